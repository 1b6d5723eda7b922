"""Cross-process engine slots, granted in order of arrival and fairness.

``Slots`` counts within this process. ``SharedSlots`` shares one count between all processes of a
user, through files in a folder that only the user can access:

- ``place-N``: the process that holds the lock on it holds the slot. The kernel releases the lock
  when the process ends, so a killed process returns its slots at once.
- ``line-*``: one per process: the time of its last poll, and the arrival times of its first small and
  first main request. A waiting process polls every few milliseconds; one that died, or has not polled
  for a second, loses its turn in the queue, but not its slots.

No method waits: each takes microseconds.
"""

import logging
import math
import os
import secrets
import struct
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from engines import system

log = logging.getLogger(__name__)

STALE_S = 1.0
"""A process that has not polled for this long is skipped."""

SILENT_S = 0.05
"""After this long without a poll, the process's lock is checked: it may have died."""

SETTLED_S = 0.02
"""Resolution of a folder's modification time: a listing younger than this may miss a file."""

_ENTRY = struct.Struct("=ddd")
_WEIGHT = struct.Struct("=q")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Arrival times of the first small and the first main request in a queue; infinite when none waits."""

    small: float = math.inf
    main: float = math.inf


NO_WAITERS = Ranks()


class Slots:
    """``count`` slots, ``reserved`` of them for the small tier, and a shared pool of tokens.

    At least one slot is open to every tier.
    """

    shared = False
    """Whether other processes use the same slots, so that a release needs polling to be noticed."""

    def __init__(self, count: int, *, reserved: int = 1, pool: float = math.inf) -> None:
        self.count = count
        self.pool = pool
        self._reserved = range(min(reserved, count - 1))
        self._common = range(len(self._reserved), count)
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

    def acquire(self, weight: int, *, common: bool, reserved: bool) -> int | None:
        """Acquires a free slot for ``weight`` tokens, the reserved one last; ``None`` when there is none.

        A weight over the whole pool gets a slot when no other slot is in use.
        """
        for index in (*(self._common if common else ()), *(self._reserved if reserved else ())):
            if index not in self._held and self._lock(index):
                self._hold(index, weight)
                if self._fits(index):
                    return index
                self.release(index)
                return None
        return None

    def release(self, index: int) -> None:
        """Releases the slot that ``acquire`` returned."""
        self._hold(index, 0)
        del self._held[index]
        self._unlock(index)

    def waiting_elsewhere(self) -> Ranks:
        """Returns the arrival times of requests waiting in other processes."""
        return NO_WAITERS

    def publish(self, ranks: Ranks) -> None:
        """Publishes this process's waiting requests, and that it still polls, to other processes."""

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


class SharedSlots(Slots):
    """Slots shared by all processes that use the same ``folder``.

    Raises:
        OSError: on entering: the folder cannot be used, or other users can access it.
    """

    shared = True

    def __init__(self, count: int, folder: Path, *, reserved: int = 1, pool: float = math.inf) -> None:
        super().__init__(count, reserved=reserved, pool=pool)
        self._folder = folder
        self._entry = f"line-{os.getpid()}-{secrets.token_hex(4)}"
        self._entry_file = -1
        self._slot_files: list[int] = []
        self._listed: tuple[int, list[str]] = 0, []
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as files:
            self._claim_folder()
            self._slot_files = [self._open(f"place-{index}", files) for index in range(self.count)]
            self._entry_file = self._open(self._entry, files)
            system.try_lock(self._entry_file)
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()
        # Windows does not remove a file that another process is just reading: that process will.
        with suppress(PermissionError):
            (self._folder / self._entry).unlink(missing_ok=True)

    def waiting_elsewhere(self) -> Ranks:
        if not (names := self._other_entries()):
            return NO_WAITERS
        waiting = [self._waiting_in(name) for name in names]
        return Ranks(min(ranks.small for ranks in waiting), min(ranks.main for ranks in waiting))

    def publish(self, ranks: Ranks) -> None:
        self._write(self._entry_file, _ENTRY.pack(time.monotonic(), ranks.small, ranks.main))

    def _claim_folder(self) -> None:
        system.make_own_folder(self._folder)
        if system.is_open_to_others(self._folder):
            raise PermissionError(f"{self._folder} is open to other users")
        for name in self._other_entries():
            with suppress(OSError):
                # A younger one may not have been locked yet.
                if time.time() - os.stat(self._folder / name).st_mtime > STALE_S:
                    self._sweep(name)

    def _open(self, name: str, files: ExitStack) -> int:
        file = system.open_private(self._folder / name)
        files.callback(os.close, file)
        return file

    def _other_entries(self) -> list[str]:
        """Lists the other processes' entries; cached until the folder changes, as every request needs it."""
        try:
            changed = os.stat(self._folder).st_mtime_ns
            if changed != self._listed[0]:
                names = os.listdir(self._folder)
                others = [name for name in names if name.startswith("line-") and name != self._entry]
                settled = time.time() - changed / 1e9 > SETTLED_S
                self._listed = changed if settled else 0, others
        except OSError:  # the folder was deleted; the open files still work
            return []
        return self._listed[1]

    def _waiting_in(self, name: str) -> Ranks:
        looked, ranks = self._read(name)
        silent_s = time.monotonic() - looked
        # A time in the future was written before the last boot.
        if not 0 <= silent_s <= STALE_S or (silent_s > SILENT_S and self._sweep(name)):
            return NO_WAITERS
        return ranks

    def _read(self, name: str) -> tuple[float, Ranks]:
        try:
            file = os.open(self._folder / name, system.READING)
        except OSError:  # its process has exited since
            return -math.inf, NO_WAITERS
        try:
            written = os.read(file, _ENTRY.size)
        finally:
            os.close(file)
        if len(written) < _ENTRY.size:
            return -math.inf, NO_WAITERS
        looked, small, main = _ENTRY.unpack(written)
        return looked, Ranks(small, main)

    def _sweep(self, name: str) -> bool:
        """Removes the entry of a dead process, which no longer holds its lock."""
        with suppress(OSError):
            file = os.open(self._folder / name, system.READING)
            try:
                if not system.try_lock(file):
                    return False
            finally:
                os.close(file)
            # Closed first, as Windows removes no open file. No process takes the name again.
            os.unlink(self._folder / name)
            return True
        return False

    def _hold(self, index: int, weight: int) -> None:
        super()._hold(index, weight)
        if self.pool != math.inf:
            self._write(self._slot_files[index], _WEIGHT.pack(weight))

    def _write(self, file: int, written: bytes) -> None:
        with suppress(OSError):  # on a full disk the request loses its turn, but does not fail
            system.write_at(file, written)

    def _lock(self, index: int) -> bool:
        try:
            return system.try_lock(self._slot_files[index])
        except OSError:
            return False

    def _unlock(self, index: int) -> None:
        system.unlock(self._slot_files[index])

    def _weight_elsewhere(self) -> int:
        return sum(self._weight_at(index) for index in range(self.count) if index not in self._held)

    def _weight_at(self, index: int) -> int:
        written = system.read_at(self._slot_files[index], _WEIGHT.size)
        weight = int(_WEIGHT.unpack(written)[0]) if len(written) == _WEIGHT.size else 0
        # A weight in an unlocked slot was left by a process that died.
        if weight and self._lock(index):
            self._unlock(index)
            return 0
        return weight


@contextmanager
def open_slots(count: int, folder: Path | None, *, pool: float = math.inf) -> Generator[Slots, None, None]:
    """Opens slots shared through ``folder``; without a folder, slots of this process.

    If the folder cannot be used, logs a warning and applies the limit per process.
    """
    with ExitStack() as stack:
        slots = Slots(count, pool=pool)
        if folder:
            try:
                slots = stack.enter_context(SharedSlots(count, folder, pool=pool))
            except OSError as error:
                log.warning("engine slots are counted within this process only: %s", error)
        yield slots
