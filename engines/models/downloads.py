"""Downloads model files in parts, resumably, from the first source that works.

A file has parts of equal size. Four are downloaded at once into one file beside the target; a list of
complete parts lets the next attempt continue. The whole file is checked by sha256 before it is renamed
to the target, so an existing target is complete.
"""

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import anyio
import anyio.to_thread

from engines.errors import AgentError, EngineUnavailableError

Progress: TypeAlias = Callable[[float, float, str], Awaitable[None]]
"""``await progress(bytes_done, bytes_total, message)``; the total is 0 while unknown."""
Note: TypeAlias = Callable[[str], None]
"""Receives a line for the user, such as the switch to the next source."""

PARALLEL_PARTS = 4
MAX_IN_FLIGHT = 0.3
"""Largest share of the file in flight: an incomplete part may be on the disk twice."""


class PullFailedError(EngineUnavailableError):
    code = "pull_failed"


class WrongFileError(PullFailedError):
    """The downloaded data is not the expected file; it was deleted."""


class DiskFullError(PullFailedError):
    code = "disk_full"


@dataclass(slots=True)
class PartialFile:
    """A file that is downloaded in parts, beside its target."""

    target: Path
    size: int
    sha256: str
    part_size: int
    progress: Progress
    complete: set[int] = field(init=False)
    """Start offsets of the complete parts."""
    in_flight: dict[int, int] = field(init=False, default_factory=dict[int, int])
    """Bytes received of incomplete parts, by start offset."""

    def __post_init__(self) -> None:
        known = self._list.is_file() and self.data.is_file()
        self.complete = {int(line) for line in self._list.read_text().split()} if known else set()

    @property
    def data(self) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.sha256[:16]}.part")

    @property
    def _list(self) -> Path:
        return self.data.with_suffix(".parts")

    def missing(self) -> list[tuple[int, int]]:
        """Returns start and stop of each incomplete part."""
        starts = (start for start in range(0, self.size, self.part_size) if start not in self.complete)
        return [(start, min(start + self.part_size, self.size)) for start in starts]

    async def arrived(self, start: int, count: int, message: str) -> None:
        """Reports progress: ``count`` bytes of the part at ``start`` are received."""
        self.in_flight[start] = count
        missing = sum(stop - start for start, stop in self.missing())
        done = self.size - missing + sum(self.in_flight.values())
        await self.progress(min(done, self.size), self.size, message)

    async def write(self, offset: int, data: bytes) -> None:
        await anyio.to_thread.run_sync(self._write, offset, data)

    def _write(self, offset: int, data: bytes) -> None:
        self.data.touch()
        with self.data.open("r+b") as out:
            out.seek(offset)
            out.write(data)

    def mark_complete(self, start: int) -> None:
        """Records that the part at ``start`` is complete."""
        with self._list.open("a") as out:
            out.write(f"{start}\n")
        self.complete.add(start)
        self.in_flight.pop(start, None)

    async def finish(self) -> None:
        """Checks the whole file and renames it to its target.

        Raises:
            WrongFileError: the sha256 does not match; the data is deleted.
        """
        await self.progress(self.size, self.size, "checking the sha256")
        if (found := await digest(self.data)) != self.sha256:
            raise WrongFileError(
                f"the downloaded file has sha256 {found}, not {self.sha256}; it was deleted",
                hint="run the same command again; if it fails again, a proxy may be changing the file",
            )
        self.data.replace(self.target)
        self.discard()

    def discard(self) -> None:
        """Removes all files but the target."""
        for path in self.target.parent.glob(f".{self.target.name}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class Remote(Protocol):
    """An opened source."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    async def read(self, file: PartialFile, start: int, stop: int) -> None:
        """Writes the bytes from ``start`` to ``stop`` into ``file``, and reports progress to it."""
        ...


class Source(Protocol):
    def opened(self, size: int, sha256: str) -> AbstractAsyncContextManager[Remote]:
        """Opens the source; ``size`` and ``sha256`` are the expected values, if known."""
        ...


async def fetch(
    sources: Sequence[Source],
    target: Path,
    progress: Progress,
    note: Note,
    *,
    size: int,
    sha256: str,
    part_size: int,
) -> None:
    """Downloads the file to ``target`` from the first of ``sources`` that works.

    Raises:
        UnknownModelError, PullFailedError: the error of the last source.
        DiskFullError: the disk is too small; the data is deleted.
    """
    for source, following in zip(sources, [*sources[1:], None], strict=True):
        try:
            async with source.opened(size, sha256) as remote:
                file = PartialFile(target, remote.size, remote.sha256, part_size, progress)
                with _disk_errors(file):
                    await _fill(file, remote)
                    await file.finish()
        except DiskFullError:
            raise
        except AgentError as error:
            if not following:
                raise
            note(f"{error.message}; trying {following} instead")
        else:
            return


async def _fill(file: PartialFile, remote: Remote) -> None:
    missing = file.missing()
    free, wanted = shutil.disk_usage(file.target.parent).free, sum(stop - start for start, stop in missing)
    at_once = max(1, min(PARALLEL_PARTS, int(MAX_IN_FLIGHT * file.size / file.part_size)))
    if free < (needed := wanted + min(wanted, at_once * file.part_size)):
        raise _disk_full(file, needed, free)
    left, failures = iter(missing), list[AgentError | OSError]()
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            try:
                for start, stop in left:
                    await remote.read(file, start, stop)
                    file.mark_complete(start)
            except (AgentError, OSError) as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        for _ in range(at_once):
            tasks.start_soon(work)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _disk_errors(file: PartialFile) -> Generator[None]:
    """Translates file system errors of the body into errors with hints."""
    try:
        yield
    except (WrongFileError, DiskFullError):
        file.discard()
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise unwritable(file.target.parent, error) from error
        missing = sum(stop - start for start, stop in file.missing())
        file.discard()
        raise _disk_full(file, missing + file.part_size, 0) from error


def _disk_full(file: PartialFile, needed: int, free: int) -> DiskFullError:
    return DiskFullError(
        f"the disk of {file.target.parent} is full: {needed / 1e9:.2f} GB are needed and "
        f"{free / 1e9:.2f} GB free, {(needed - free) / 1e9:.2f} GB are missing; nothing was kept",
        hint="free some space, or set XDG_CACHE_HOME to a folder on another disk",
    )


def unwritable(folder: Path, error: OSError) -> PullFailedError:
    return PullFailedError(
        f"cannot write to {folder}: {error.strerror or error}",
        hint="make it writable, or set XDG_CACHE_HOME to a folder that is",
    )


async def digest(path: Path) -> str:
    """Returns the sha256 of a file in hexadecimal, empty when there is no file."""
    return await anyio.to_thread.run_sync(_digest, path)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
