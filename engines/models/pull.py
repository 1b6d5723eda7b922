"""Finds and downloads models of the embedded engine by name.

A name is one of ``CATALOGUE``, ``hf:OWNER/REPO/FILE.gguf[@REVISION]``, or the path of a GGUF file.
"""

import difflib
import re
import shutil
from math import prod
from pathlib import Path
from typing import cast

import platformdirs

from engines.errors import ModelNotPulledError, UnknownModelError
from engines.locks import held, is_held
from engines.models.catalogue import CATALOGUE, ModelCard
from engines.models.downloads import Note, Progress, digest, fetch, unwritable
from engines.models.gguf_header import read_header
from engines.models.hub import Hub
from engines.models.wheels import convert_checkpoint

HUB_NAME = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+\.gguf)(?:@(?P<revision>[\w.-]+))?")
AUTO = "auto"


def models_folder() -> Path:
    """Returns the models folder in the user's cache, shared by all projects."""
    return platformdirs.user_cache_path("local-llm-agent") / "models"


def find(name: str) -> ModelCard:
    """Returns the card of a model.

    Raises:
        UnknownModelError: no such name; the hint lists similar ones.
    """
    if card := CATALOGUE.get(name.lower()):
        return card
    if hub := HUB_NAME.fullmatch(name):
        source = Hub(hub["repo"], hub["file"], hub["revision"] or "main")
        return ModelCard(name, "chat", name.replace("/", "--").replace(":", "--"), (source,))
    if name.endswith(".gguf") and not name.startswith("hf:"):
        path = Path(name).expanduser()
        return ModelCard(path.stem, "chat", path.name, path=path)
    near = difflib.get_close_matches(name.lower(), CATALOGUE, cutoff=0.4) or list(CATALOGUE)
    raise UnknownModelError(
        f"no model {name!r}",
        hint=f"one of {', '.join(near)}; or hf:OWNER/REPO/FILE.gguf, or the path of a GGUF file",
    )


def path_of(card: ModelCard, folder: Path | None = None) -> Path:
    """Returns the path of the model's file.

    Raises:
        ModelNotPulledError: the file is missing or incomplete.
    """
    if card.path:
        if not card.path.is_file():
            raise ModelNotPulledError(f"there is no file {card.path}", hint="check the path")
        return card.path
    path = (folder or models_folder()) / card.file
    hint = f"run: local-llm-agent models pull {card.name}"
    if not path.is_file():
        raise ModelNotPulledError(f"the model {card.name} is not on this machine yet", hint=hint)
    if card.size and (size := path.stat().st_size) != card.size:
        raise ModelNotPulledError(
            f"the file of the model {card.name} has {size:,} bytes, not {card.size:,}: {path}", hint=hint
        )
    return path


def best_pulled(folder: Path | None = None) -> ModelCard:
    """Returns the best chat model of the catalogue that is on this machine.

    Raises:
        ModelNotPulledError: there is none.
    """
    for card in CATALOGUE.values():
        if card.kind == "chat" and ((folder or models_folder()) / card.file).is_file():
            return card
    raise ModelNotPulledError("no chat model is on this machine yet", hint="run: local-llm-agent models pull")


def context_of(path: Path) -> int:
    """Reads the trained context length from a GGUF file, in tokens; 0 when it is not stated."""
    metadata = read_header(path).metadata
    return cast("int", metadata.get(f"{metadata.get('general.architecture')}.context_length", 0))


def parameters_of(path: Path) -> float:
    """Reads the number of weights from a GGUF file, in billions."""
    return sum(map(prod, read_header(path).shapes.values())) / 1e9


async def pull(
    name: str, *, folder: Path | None = None, progress: Progress | None = None, note: Note | None = None
) -> Path:
    """Downloads a model unless it is present, and returns its file. Safe to run concurrently.

    Raises:
        UnknownModelError: no such model in the catalogue or on the Hub.
        PullFailedError: the download failed, or has the wrong sha256.
        ModelNotPulledError: ``name`` is a path without a file.
    """
    card, folder, progress = find(name), folder or models_folder(), progress or _no_progress
    if card.path:
        return path_of(card)
    target, lock = folder / card.file, folder / f"{card.file}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_held(lock):
            await progress(0, card.size, f"{card.name}: waiting for another process that is pulling it")
        async with held(lock):
            if not await _is_whole(target, card.sha256):
                await _fetch(card, target, progress, note or _no_notes)
    except OSError as error:
        raise unwritable(folder, error) from error
    await progress(card.size, card.size, f"{card.name} is ready")
    return target


async def _fetch(card: ModelCard, target: Path, progress: Progress, note: Note) -> None:
    for left in target.parent.glob(f".{card.file}.*/"):  # left by a killed pull
        shutil.rmtree(left)
    if card.checkpoint:
        await convert_checkpoint(card.checkpoint, target, progress)
    else:
        size, sha256, part_size = card.size, card.sha256, card.part_size
        await fetch(card.sources, target, progress, note, size=size, sha256=sha256, part_size=part_size)


async def _is_whole(file: Path, sha256: str) -> bool:
    found = await digest(file)
    return bool(found) and sha256 in ("", found)


async def _no_progress(done: float, total: float, message: str) -> None:
    """Ignores progress."""


def _no_notes(line: str) -> None:
    """Ignores notes."""
