"""The places at an engine, and who is next to take one.

``Places`` counts within this process. ``SharedPlaces`` lets all processes of a user count
together, by files in a folder only that user can enter:

- ``place-N``: whoever holds ``flock`` on it holds the place. The kernel lets go when the holder
  dies, however it dies, so a killed process gives its places back at once.
- ``line-*``: one per process: when it last looked, and since when its first small and its first
  main request wait. Whoever waits looks every few milliseconds; a process that died, or has not
  looked for a second, loses its turn, not what it holds.

Nothing in here ever waits: each method takes microseconds.
"""

import logging
import math
import os
import secrets
import struct
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

STALE_S = 1.0
"""A process that has not looked for this long is passed over: long for one that is only short of CPU."""

SILENT_S = 0.05
"""One that has not looked for this long may be dead, which its lock tells."""

SETTLED_S = 0.02
"""A folder's time moves in steps of a few milliseconds: what was listed within one may miss a later file."""

_LINE = struct.Struct("=ddd")
_WEIGHT = struct.Struct("=q")


@dataclass(frozen=True, slots=True)
class Ranks:
    """When the first small and the first main request came in line; infinite when none waits."""

    small: float = math.inf
    main: float = math.inf


NOBODY = Ranks()


class Places:
    """``count`` places, ``kept`` of them for the small tier alone, and a pool of tokens they share.

    At least one is for everybody.
    """

    shared = False
    """Whether other processes take the same places, so that one may come free unnoticed."""

    def __init__(self, count: int, *, kept: int = 1, pool: float = math.inf) -> None:
        self.count = count
        self.pool = pool
        self._kept = range(min(kept, count - 1))
        self._common = range(len(self._kept), count)
        self._held: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def take(self, weight: int, *, common: bool, kept: bool) -> int | None:
        """A free place for ``weight`` tokens, the kept one last; ``None`` when there is none.

        A weight over the whole pool gets a place when nobody else has one.
        """
        for index in (*(self._common if common else ()), *(self._kept if kept else ())):
            if index not in self._held and self._lock(index):
                self._hold(index, weight)
                if self._fits(index):
                    return index
                self.give(index)
                return None
        return None

    def give(self, index: int) -> None:
        """Give back what ``take`` returned."""
        self._hold(index, 0)
        del self._held[index]
        self._unlock(index)

    def waiting_elsewhere(self) -> Ranks:
        """Who waits in other processes."""
        return NOBODY

    def tell(self, ranks: Ranks) -> None:
        """Say to other processes who waits here, and that this process still looks."""

    def _fits(self, index: int) -> bool:
        if self.pool == math.inf:
            return True
        others = sum(self._held.values()) - self._held[index] + self._weight_elsewhere()
        return not others or others + self._held[index] <= self.pool

    def _hold(self, index: int, weight: int) -> None:
        self._held[index] = weight

    def _lock(self, index: int) -> bool:
        return True

    def _unlock(self, index: int) -> None:
        return None

    def _weight_elsewhere(self) -> int:
        return 0


class SharedPlaces(Places):
    """The same places for every process that names the same ``folder``.

    Raises:
        OSError: on entering: the folder cannot be used, or others than its owner can enter it.
    """

    shared = True

    def __init__(self, count: int, folder: Path, *, kept: int = 1, pool: float = math.inf) -> None:
        super().__init__(count, kept=kept, pool=pool)
        self._folder = folder
        self._line = f"line-{os.getpid()}-{secrets.token_hex(4)}"
        self._line_file = -1
        self._places: list[int] = []
        self._listed: tuple[int, list[str]] = 0, []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as files:
            self._claim_folder()
            self._places = [self._open(f"place-{index}", files) for index in range(self.count)]
            self._line_file = self._open(self._line, files)
            fcntl.flock(self._line_file, fcntl.LOCK_SH)
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        (self._folder / self._line).unlink(missing_ok=True)
        self._files.close()

    def waiting_elsewhere(self) -> Ranks:
        if not (names := self._other_lines()):
            return NOBODY
        waiting = [self._waiting_in(name) for name in names]
        return Ranks(min(ranks.small for ranks in waiting), min(ranks.main for ranks in waiting))

    def tell(self, ranks: Ranks) -> None:
        self._write(self._line_file, _LINE.pack(time.monotonic(), ranks.small, ranks.main))

    def _claim_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._folder.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{self._folder} is open to other users")
        for name in self._other_lines():
            self._sweep(name)

    def _open(self, name: str, files: ExitStack) -> int:
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        files.callback(os.close, file)
        return file

    def _other_lines(self) -> list[str]:
        """Looked up only where the folder has changed: it is asked for with every request."""
        try:
            changed = os.stat(self._folder).st_mtime_ns
            if changed != self._listed[0]:
                names = os.listdir(self._folder)
                others = [name for name in names if name.startswith("line-") and name != self._line]
                settled = time.time() - changed / 1e9 > SETTLED_S
                self._listed = changed if settled else 0, others
        except OSError:  # someone tidied up; the open files go on working
            return []
        return self._listed[1]

    def _waiting_in(self, name: str) -> Ranks:
        looked, ranks = self._read(name)
        silent_s = time.monotonic() - looked
        # A time to come was written before the last boot.
        if not 0 <= silent_s <= STALE_S or (silent_s > SILENT_S and self._sweep(name)):
            return NOBODY
        return ranks

    def _read(self, name: str) -> tuple[float, Ranks]:
        try:
            file = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # its process has left since
            return -math.inf, NOBODY
        try:
            written = os.read(file, _LINE.size)
        finally:
            os.close(file)
        if len(written) < _LINE.size:
            return -math.inf, NOBODY
        looked, small, main = _LINE.unpack(written)
        return looked, Ranks(small, main)

    def _sweep(self, name: str) -> bool:
        """Remove the line of a process that died: nobody holds it."""
        with suppress(OSError), open(self._folder / name, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(self._folder / name)
            return True
        return False

    def _hold(self, index: int, weight: int) -> None:
        super()._hold(index, weight)
        if self.pool != math.inf:
            self._write(self._places[index], _WEIGHT.pack(weight))

    def _write(self, file: int, written: bytes) -> None:
        with suppress(OSError):  # a full disk costs a turn, not the request
            os.pwrite(file, written, 0)

    def _lock(self, index: int) -> bool:
        try:
            fcntl.flock(self._places[index], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(self, index: int) -> None:
        fcntl.flock(self._places[index], fcntl.LOCK_UN)

    def _weight_elsewhere(self) -> int:
        return sum(self._weight_at(index) for index in range(self.count) if index not in self._held)

    def _weight_at(self, index: int) -> int:
        written = os.pread(self._places[index], _WEIGHT.size, 0)
        weight = int(_WEIGHT.unpack(written)[0]) if len(written) == _WEIGHT.size else 0
        # A weight at a place nobody holds was left there by a process that died.
        if weight and self._lock(index):
            self._unlock(index)
            return 0
        return weight


@contextmanager
def open_places(count: int, folder: Path | None, *, pool: float = math.inf) -> Generator[Places, None, None]:
    """Places shared through ``folder``; on Windows, or without a folder, places of this process.

    A folder that cannot be used is said in the log, and the limit then holds per process.
    """
    with ExitStack() as stack:
        places = Places(count, pool=pool)
        if folder and sys.platform != "win32":
            try:
                places = stack.enter_context(SharedPlaces(count, folder, pool=pool))
            except OSError as error:
                log.warning("places at the engine are counted within this process only: %s", error)
        yield places
