"""The ``models`` command: lists engine models and the catalogue, and pulls models."""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from engines.errors import AgentError, ModelNotPulledError
from engines.models import default_model
from engines.models import pull as catalogue
from mcp_server.cli.context import Start, fail, plain_console, start, started


async def models(options: argparse.Namespace) -> int:
    """Lists models, or pulls those named."""
    try:
        if options.action == "pull":
            begun = start(options)
            names = options.names or needed(begun, tell, small=options.small)
            await pull(begun, names, print)
            return 0
        return await _list(options)
    except AgentError as error:
        return fail(error, as_json=options.json)


async def pull(begun: Start, names: Sequence[str], done: Callable[[str], None]) -> None:
    """Downloads the models with a progress bar, skips those present; says to ``done`` where each is.

    Raises:
        AgentError: a model is unknown or cannot be downloaded.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=_standard_error()) as bar:
        note = partial(bar.console.print, soft_wrap=True)
        for each in names:
            task = bar.add_task(each, total=None)

            async def report(done: float, total: float, message: str, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total or None, description=message)

            path = await catalogue.pull(each, folder=begun.folders.models, progress=report, note=note)
            done(f"{each}: {path}")


def tell(text: str) -> None:
    """Prints a line on standard error."""
    _standard_error().print(text, soft_wrap=True)


def _standard_error() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


def needed(begun: Start, note: Callable[[str], None], *, small: bool) -> list[str]:
    """Returns the configured chat and embedding models; for ``auto``, the best chat model that fits."""
    chat, folder = begun.settings.llamacpp.model, begun.folders.models
    if small:
        chat = default_model.SMALL
    elif chat == catalogue.AUTO:
        card, why = default_model.choose(default_model.free_resources(folder), folder)
        note(f"taking {why}")
        chat = card.name
    return [name for name in (chat, begun.settings.llamacpp.embedding) if name]


async def _list(options: argparse.Namespace) -> int:
    """Prints the models of every engine that answers, and the catalogue with what is downloaded."""
    async with started(options) as (app, _):
        offered = await app.dispatcher.models()
    folder = start(options).folders.models
    rows = [
        {"name": model.name, "engine": model.engine, "base": model.base, "loaded": model.loaded}
        for model in offered
        if model.kind == "chat"
    ]
    cards = list(catalogue.CATALOGUE.values())
    pullable = [
        {"name": card.name, "kind": card.kind, "bytes": card.size, "here": is_here(card, folder)}
        for card in cards
    ]
    if options.json:
        print(json.dumps({"models": rows, "catalogue": pullable}))
        return 0
    console = plain_console()
    table = Table("model", "engine", "state", box=None, pad_edge=False)
    for row in rows:
        state = "loaded" if row["loaded"] else f"adapter of {row['base']}" if row["base"] else "ready"
        table.add_row(str(row["name"]), str(row["engine"]), state)
    console.print(table)
    more = Table("for the embedded engine", "kind", "size", "licence", "", box=None, pad_edge=False)
    for card in cards:
        here = "pulled" if is_here(card, folder) else "not pulled"
        more.add_row(card.name, card.kind, f"{card.size / 1e6:,.0f} MB", card.licence, here)
    console.print(more)
    return 0


def is_here(card: catalogue.ModelCard, folder: Path) -> bool:
    try:
        return catalogue.path_of(card, folder).is_file()
    except ModelNotPulledError:
        return False
