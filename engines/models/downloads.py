"""Fetches model files part by part from the first source that has them.

A file has parts of equal size. Four are fetched at once, each from whatever source is being asked, into one
file beside the target; a list of those that are there makes the next attempt continue. The whole is checked
by sha256 before it gets its name, so a file that is there was whole.
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
"""``await progress(bytes_done, bytes_in_all, message)``; in all is 0 while unknown."""
Note: TypeAlias = Callable[[str], None]
"""Takes a line the user should read, such as that a source gave way to the next."""

AT_ONCE = 4
SPARE = 0.3
"""Bytes under way at most, as a share of the file: a part may lie on the disk twice until it is in place."""


class PullFailedError(EngineUnavailableError):
    code = "pull_failed"


class WrongFileError(PullFailedError):
    """What arrived is not what was meant; nothing of it is kept."""


class DiskFullError(PullFailedError):
    code = "disk_full"


@dataclass(slots=True)
class PartialFile:
    """A file that fills part by part, beside the name it will get."""

    target: Path
    size: int
    sha256: str
    part_size: int
    progress: Progress
    there: set[int] = field(init=False)
    """Where the parts that are there start."""
    under_way: dict[int, int] = field(init=False, default_factory=dict[int, int])
    """Bytes that arrived of parts that are not there yet, by where the part starts."""

    def __post_init__(self) -> None:
        known = self._list.is_file() and self.data.is_file()
        self.there = {int(line) for line in self._list.read_text().split()} if known else set()

    @property
    def data(self) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.sha256[:16]}.part")

    @property
    def _list(self) -> Path:
        return self.data.with_suffix(".parts")

    def missing(self) -> list[tuple[int, int]]:
        """Start and stop of each part that is not there."""
        starts = (start for start in range(0, self.size, self.part_size) if start not in self.there)
        return [(start, min(start + self.part_size, self.size)) for start in starts]

    async def arrived(self, start: int, count: int, message: str) -> None:
        """Tell that ``count`` bytes of the part at ``start`` are on this machine."""
        self.under_way[start] = count
        missing = sum(stop - start for start, stop in self.missing())
        done = self.size - missing + sum(self.under_way.values())
        await self.progress(min(done, self.size), self.size, message)

    async def write(self, offset: int, data: bytes) -> None:
        await anyio.to_thread.run_sync(self._write, offset, data)

    def _write(self, offset: int, data: bytes) -> None:
        self.data.touch()
        with self.data.open("r+b") as out:
            out.seek(offset)
            out.write(data)

    def keep(self, start: int) -> None:
        """Take down that the part at ``start`` is there."""
        with self._list.open("a") as out:
            out.write(f"{start}\n")
        self.there.add(start)
        self.under_way.pop(start, None)

    async def finish(self) -> None:
        """Give the whole file its name.

        Raises:
            WrongFileError: its sha256 is another; nothing is kept.
        """
        await self.progress(self.size, self.size, "checking the sha256")
        if (found := await digest(self.data)) != self.sha256:
            raise WrongFileError(
                f"what arrived has sha256 {found}, not {self.sha256}; it was deleted",
                hint="run the same command again; if it repeats, something on the way changes the file",
            )
        self.data.replace(self.target)
        self.discard()

    def discard(self) -> None:
        """Remove everything but the finished file."""
        for path in self.target.parent.glob(f".{self.target.name}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


class Remote(Protocol):
    """A source that answered."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    async def read(self, file: PartialFile, start: int, stop: int) -> None:
        """Write the bytes from ``start`` to ``stop`` into ``file``, and tell it how many have arrived."""
        ...


class Source(Protocol):
    def opened(self, size: int, sha256: str, folder: Path) -> AbstractAsyncContextManager[Remote]:
        """Ask the source; ``size`` and ``sha256`` are those the file must have, if known."""
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
    """Put the file that ``sources`` have at ``target``; each that fails gives way to the next.

    Raises:
        UnknownModelError, PullFailedError: what the last source said.
        DiskFullError: there is no room; nothing is kept.
    """
    for source, following in zip(sources, [*sources[1:], None], strict=True):
        try:
            async with source.opened(size, sha256, target.parent) as remote:
                file = PartialFile(target, remote.size, remote.sha256, part_size, progress)
                with _room(file):
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
    at_once = max(1, min(AT_ONCE, int(SPARE * file.size / file.part_size)))
    if free < (needed := wanted + min(wanted, at_once * file.part_size)):
        raise _no_room(file, needed, free)
    left, failures = iter(missing), list[AgentError | OSError]()
    async with anyio.create_task_group() as tasks:

        async def work() -> None:
            try:
                for start, stop in left:
                    await remote.read(file, start, stop)
                    file.keep(start)
            except (AgentError, OSError) as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        for _ in range(at_once):
            tasks.start_soon(work)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _room(file: PartialFile) -> Generator[None]:
    """Errors of the file system in the body say what the user can do."""
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
        raise _no_room(file, missing + file.part_size, 0) from error


def _no_room(file: PartialFile, needed: int, free: int) -> DiskFullError:
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
    """The sha256 of a file in hexadecimal, empty when there is no file."""
    return await anyio.to_thread.run_sync(_digest, path)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
