"""Results files: the rows of answers too long for the caller's context, in the user's cache folder.

An answer names its file by path and by URI. A name is 128 random bits, so nobody can read the results of
another project without having been told the name; there is no list of names.
"""

import os
import re
import secrets
import stat
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

from engines.base import JsonObject
from engines.errors import AgentError, InvalidArgumentsError
from tools.pipeline.structured import compact

URI = "local-llm://results/"
"""Prefix of the URI of every results file."""

KEPT_S = 7 * 24 * 3600
MOST_BYTES = 200 * 2**20
"""Size of all results files together, above which the oldest are removed."""
PAGE_BYTES = 4_500
"""Size of a page: about 1,500 tokens of JSON, and never more than 4,500."""
WRITE_S = 10.0

READING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))
"""No link is opened, and no FIFO's writer is waited for; Windows has neither flag."""

_NAME = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(rf"{_NAME.pattern}\.jsonl")
_PART = re.compile(rf"\.{_NAME.pattern}\.part")
"""A file that is being written, or was when its process died."""


class ResultsNotStoredError(AgentError):
    kind = "unavailable"
    code = "results_not_stored"


class UnknownResultsError(InvalidArgumentsError):
    code = "unknown_results"


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete results file."""

    path: Path
    name: str
    rows: int

    @property
    def uri(self) -> str:
        return f"{URI}{self.name}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: rows before it, and bytes of its first row before it."""

    after: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON lines; a row longer than a page is in pieces, on several pages."""

    text: str
    next: Cursor | None
    """``None`` on the last page."""


class ResultFiles:
    """Writes, prunes and reads results files. Only the user may read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def write(self, rows: Iterable[JsonObject]) -> Stored:
        """Writes ``rows`` to a new file in a worker thread; removes old files.

        Raises:
            ResultsNotStoredError: the disk is full, the folder is not writable or too slow.
        """
        try:
            with anyio.fail_after(WRITE_S):
                return await anyio.to_thread.run_sync(self._write, rows, abandon_on_cancel=True)
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ResultsNotStoredError(
                f"results are not stored: {reason}",
                hint=f"make room in {self.folder}, or ask with detail=full",
            ) from error

    async def page(self, name: str, cursor: Cursor = Cursor()) -> Page:
        """Returns the rows at ``cursor`` that fit a page.

        Raises:
            UnknownResultsError: there is no such file.
        """
        return await anyio.to_thread.run_sync(self._page, name, cursor)

    def _write(self, rows: Iterable[JsonObject]) -> Stored:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = secrets.token_hex(16)
        path, part = self.folder / f"{name}.jsonl", self.folder / f".{name}.part"
        count = 0
        try:
            with open(part, "xb", opener=partial(os.open, mode=0o600)) as file:
                for row in rows:
                    # A lone surrogate becomes a JSON escape.
                    file.write(compact(row).encode("utf-8", "backslashreplace") + b"\n")
                    count += 1
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        self._prune(path)
        return Stored(path, name, count)

    def _prune(self, new: Path) -> None:
        """Removes files older than ``KEPT_S``, then the oldest while all are larger than ``MOST_BYTES``."""
        oldest = time.time() - KEPT_S
        size = 0
        for status, path in self._ours(new):
            size += status.st_size
            complete = path.suffix == ".jsonl"
            if path != new and (status.st_mtime < oldest or (complete and size > MOST_BYTES)):
                with suppress(OSError):
                    path.unlink()

    def _ours(self, new: Path) -> list[tuple[os.stat_result, Path]]:
        """Returns the results files, ``new`` first, then from the newest to the oldest."""
        found: list[tuple[os.stat_result, Path]] = []
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if _FILE.fullmatch(entry.name) or _PART.fullmatch(entry.name):
                    with suppress(OSError):
                        found.append((entry.stat(follow_symlinks=False), Path(entry)))
        regular = [(status, path) for status, path in found if stat.S_ISREG(status.st_mode)]
        return sorted(regular, key=lambda each: (each[1] != new, -each[0].st_mtime))

    def _page(self, name: str, cursor: Cursor) -> Page:
        text = b""
        after, at = cursor.after, cursor.at
        with self._opened(name) as file:
            for number, line in enumerate(file):
                if number < cursor.after:
                    continue
                rest = line[at:]
                free = PAGE_BYTES - len(text)
                if len(rest) > free:
                    if text:
                        return Page(text.decode(errors="replace"), Cursor(after, at))
                    piece = rest[: _character_end(rest, free)]
                    return Page(piece.decode(errors="replace"), Cursor(after, at + len(piece)))
                text += rest
                after, at = number + 1, 0
        return Page(text.decode(errors="replace"), None)

    @contextmanager
    def _opened(self, name: str) -> Generator[BinaryIO]:
        unknown = UnknownResultsError(
            f"there are no results {name[:40]!r}",
            hint=f"they are kept for {KEPT_S // 86_400} days and {MOST_BYTES >> 20} MiB; ask again",
        )
        if not _NAME.fullmatch(name):
            raise unknown
        try:
            descriptor = os.open(self.folder / f"{name}.jsonl", READING)
        except OSError:
            raise unknown from None
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise unknown
            yield file


def _character_end(data: bytes, most: int) -> int:
    """Returns the largest length up to ``most`` that cuts no UTF-8 character; at least 1."""
    end = most
    while end > max(1, most - 3) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
