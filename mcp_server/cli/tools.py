"""The ``classify``, ``extract``, ``summarize`` and ``chat`` commands."""

import argparse
import json
import math
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from engines.base import JsonObject, JsonValue, TextDelta
from engines.errors import AgentError, InvalidArgumentsError
from mcp_server.app import App
from mcp_server.cli.context import fail, plain_console, started
from tools.base import Call, Receipt, Result
from tools.base import Progress as Report
from tools.pipeline.short import rows_of
from tools.sources.documents import decode

BAR = 20
"""Characters of the bar of all lines."""

Show = Callable[[JsonObject], None]


async def classify(options: argparse.Namespace) -> int:
    return await _ask(options, "classify", _show_classified)


async def extract(options: argparse.Namespace) -> int:
    return await _ask(options, "extract", _show_extracted)


async def summarize(options: argparse.Namespace) -> int:
    return await _ask(options, "summarize", lambda fields: print(fields["summary"]))


async def chat(options: argparse.Namespace) -> int:
    return await _ask(options, "chat", _show_chat)


async def _ask(options: argparse.Namespace, tool: str, show: Show) -> int:
    """Calls the tool and prints its answer as text or JSON."""
    try:
        arguments = _arguments(options)
        async with started(options) as (app, project):
            call = Call(
                tool,
                arguments,
                project=project,
                agent="cli",
                model=options.model,
                adapter=options.adapter,
            )
            if tool == "chat" and not options.json and "schema" not in arguments:
                return await _stream(app, call)
            async with reporting() as report:
                result = await app.dispatcher.run(call, report)
            # Print before ledger and cache close: closing may wait for a lock.
            if getattr(options, "jsonl", False):
                _print_rows(result)
            else:
                _print(result, show, as_json=options.json)
    except AgentError as error:
        return fail(error, as_json=options.json)
    return 0


async def _stream(app: App, call: Call) -> int:
    """Prints the answer while it is generated."""
    async with app.dispatcher.stream(call) as stream:
        async for event in stream.events:
            if isinstance(event, TextDelta):
                print(event.text, end="", flush=True)
        print()
        _show_receipt(stream.receipt)
    return 0


def _print(result: Result, show: Show, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**result.fields, "receipt": result.receipt.as_json()}, ensure_ascii=False))
        return
    show(result.fields)
    if "results_file" in result.fields and not result.plain:
        print(f"  all {result.fields['total']} are in {result.fields['results_file']}", file=sys.stderr)
    _show_receipt(result.receipt)


def _print_rows(result: Result) -> None:
    for row in rows_of(result.fields):
        print(json.dumps(row, ensure_ascii=False))
    _show_receipt(result.receipt)


def _arguments(options: argparse.Namespace) -> JsonObject:
    """Returns the tool's arguments from the options that were given.

    Raises:
        InvalidArgumentsError: a file or a JSON text cannot be read.
    """
    given: JsonObject = {
        name: getattr(options, name)
        for name in ("items", "split", "tier", "instructions", "multi", "min_confidence", "many", "focus",
                     "max_words", "style", "prompt", "system", "max_tokens", "temperature")
        if getattr(options, name, None) is not None
    }  # fmt: skip
    if getattr(options, "full", False) or getattr(options, "jsonl", False):
        given["detail"] = "full"
    if options.text is not None:
        given["text"] = options.text
    if options.text == "-":
        given["text"], _ = decode(options.piped, "standard input")
    if options.paths:
        # Paths are relative to the working folder; the tools resolve from the project root.
        given["paths"] = [os.path.join(os.getcwd(), path) for path in options.paths]
    return {**given, **_from_json(options)}


def _from_json(options: argparse.Namespace) -> JsonObject:
    given: JsonObject = {}
    if getattr(options, "labels", None):
        given["labels"] = [label.strip() for label in options.labels.split(",") if label.strip()]
    for name, option, key in (
        ("labels_file", "--labels-file", "labels"),
        ("examples_file", "--examples-file", "examples"),
        ("fields", "--fields", "fields"),
        ("schema", "--schema", "schema"),
    ):
        value = getattr(options, name, None)
        if value is not None:
            given[key] = _json(value, option, file=name.endswith("_file"))
    return given


def _json(value: str, option: str, *, file: bool) -> JsonValue:
    """Parses JSON from the command line or from the file it names."""
    try:
        if file or not value.lstrip().startswith(("{", "[")):
            value = Path(value).read_text(encoding="utf-8")
        return cast("JsonValue", json.loads(value))
    except (OSError, ValueError) as error:
        raise InvalidArgumentsError(
            f"{option}: {error}", hint="give JSON, or the name of a JSON file"
        ) from None


@asynccontextmanager
async def reporting() -> AsyncGenerator[Report]:
    """Yields a progress callback with a bar on standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("working", total=None)

        async def report(done: float, total: float, message: str) -> None:
            bar.update(task, completed=done, total=total, description=message)

        yield report


def _show_classified(fields: JsonObject) -> None:
    if "counts" not in fields:
        print(_verdict(fields))
        return
    console = plain_console()
    if "results" in fields:
        table = Table("id", "label", "confidence", box=None, pad_edge=False)
        for result in cast("list[JsonObject]", fields["results"]):
            table.add_row(str(result["id"]), *_verdict(result).rsplit("  ", 1))
        console.print(table)
    if "groups" in fields:
        table = Table("label", "count", "", "lines", "such as", box=None, pad_edge=False)
        for group in cast("list[JsonObject]", fields["groups"]):
            shown = group.get("pattern") or group.get("example") or f"({group['kinds']} kinds)"
            bar = "█" * math.ceil(cast("float", group["share"]) * BAR)
            table.add_row(str(group["label"]), str(group["count"]), bar, str(group["ids"]), str(shown))
        console.print(table)
    counts = cast("dict[str, int]", fields["counts"])
    console.print(", ".join(f"{label}: {count}" for label, count in counts.items()))


def _verdict(result: JsonObject) -> str:
    if "error" in result:
        return f"failed: {result['error']}  "
    named = result.get("label") or ", ".join(cast("list[str]", result.get("labels", []))) or "-"
    doubt = " (abstained)" if result["abstained"] else ""
    return f"{named}{doubt}  {cast('float', result['confidence']):.2f}"


def _show_extracted(fields: JsonObject) -> None:
    print(json.dumps(fields.get("data", fields.get("records")), ensure_ascii=False, indent=2))
    for pointer, lines in cast("dict[str, int | str]", fields.get("evidence", {})).items():
        print(f"  {pointer}  {lines if ':' in str(lines) else f'line {lines}'}")
    for unsupported in cast("list[JsonObject]", fields.get("unsupported", [])):
        print(f"  {unsupported['pointer']}  NOT FOUND IN THE TEXT: {unsupported['value']}")


def _show_chat(fields: JsonObject) -> None:
    print(
        fields["text"] if "text" in fields else json.dumps(fields.get("data"), ensure_ascii=False, indent=2)
    )
    if "unsupported" in fields:
        print(f"  NOT FOUND IN THE TEXT: {fields['unsupported']}")


def _show_receipt(receipt: Receipt) -> None:
    """Prints the receipt to standard error, apart from the answer."""
    tokens = receipt.tokens
    parts = [receipt.tier, receipt.engine, receipt.model, receipt.adapter, f"{receipt.ms} ms",
             f"read {tokens.read}, in {tokens.prompt}, out {tokens.completion} tokens",
             f"saved {receipt.saved}", "cached" if receipt.cached else ""]  # fmt: skip
    print(f"[{' | '.join(part for part in parts if part)}]", file=sys.stderr)
    for note in receipt.notes:
        print(f"  note: {note}", file=sys.stderr)
