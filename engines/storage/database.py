"""A SQLite file that all processes of a user share, used in threads only.

Nothing that goes wrong with it reaches a caller: a file that cannot be read is set aside and made anew,
one that cannot be used is left alone for a while, and the log says so once.
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)

PARAMETERS = 999
"""Of a statement: what every SQLite takes."""

PAUSE_S = 30.0
"""A file that gave trouble is left alone for so long, a locked one for a second."""

T = TypeVar("T")
Prepare = Callable[[sqlite3.Connection], object]
Identity = tuple[int, int]
Value = str | bytes | int | None

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[Value]]) -> None:
    """``into`` (``INSERT INTO table``) as many ``rows`` a statement as it takes.

    Each statement lets the interpreter's lock go, and takes it from the event loop again: a row at a time
    that cost every request of a busy server more than all else the database does.
    """
    if not rows:
        return
    width = len(rows[0])
    for start in range(0, len(rows), PARAMETERS // width):
        part = rows[start : start + PARAMETERS // width]
        marks = ", ".join([f"({', '.join('?' * width)})"] * len(part))
        connection.execute(f"{into} VALUES {marks}", [value for row in part for value in row])


class File:
    """The file's place and its troubles, shared by the connections to it."""

    def __init__(self, path: Path, what: str, prepare: Prepare) -> None:
        """``what`` names it in the log; ``prepare`` makes a new connection ready, and a new file."""
        self.path = path
        self._what = what
        self._prepare = prepare
        self._said: set[int] = set()
        self._lock = threading.Lock()

    def connect(self, timeout_s: float) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def identity(self) -> Identity | None:
        """Which file lies at the path now; another one when it was set aside or removed meanwhile."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def trouble(self, error: Exception, identity: Identity | None) -> float:
        """Do and say what ``error`` calls for; returns the seconds to leave the file alone."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BROKEN:
            self._set_aside(identity)
        if code not in self._said:
            self._said.add(code)
            log.warning("%s %s cannot be used, calls go on without it: %s", self._what, self.path, error)
        if code in _BROKEN:
            return 0
        return 1.0 if code in _LOCKED else PAUSE_S

    def _set_aside(self, identity: Identity | None) -> None:
        """Unless another thread or process has done so, and a good file lies there already."""
        with self._lock, suppress(OSError):
            if identity is None or identity == self.identity():
                self.path.replace(f"{self.path}.corrupt")
                for suffix in ("-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)


class Connection:
    """Work on the file, one at a time, in whichever thread calls; ``None`` where it did not work."""

    def __init__(self, file: File, timeout_s: float) -> None:
        """``timeout_s``: how long to wait for a lock."""
        self._file = file
        self._timeout_s = timeout_s
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        if time.monotonic() < self._paused_until:
            return None
        with self._lock:
            try:
                return work(self._current())
            except (sqlite3.Error, OSError) as error:
                self.close()
                self.pause(self._file.trouble(error, self._identity))
                return None

    def pause(self, seconds: float) -> None:
        self._paused_until = time.monotonic() + seconds

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _current(self) -> sqlite3.Connection:
        identity = self._file.identity()
        if self._connection is None or self._identity != identity:
            self.close()
            self._identity = identity
            self._connection = self._file.connect(self._timeout_s)
            self._identity = self._file.identity()
        return self._connection
