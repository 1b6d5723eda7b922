"""A SQLite file shared by all processes of a user, used in worker threads only.

Errors never reach a caller: a corrupt file is renamed and recreated, an unusable one is not used for
a while, and each problem is logged once.
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
"""Parameters of a statement that every SQLite build accepts."""

PAUSE_S = 30.0
"""How long a file is not used after an error; a locked one for a second."""

T = TypeVar("T")
Prepare = Callable[[sqlite3.Connection], object]
Identity = tuple[int, int]
Value = str | bytes | int | None

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[Value]]) -> None:
    """Executes ``into`` (``INSERT INTO table``) with as many ``rows`` per statement as allowed.

    Each statement releases and retakes the GIL, which delays the event loop: one row at a time is
    too slow on a busy server.
    """
    if not rows:
        return
    width = len(rows[0])
    for start in range(0, len(rows), PARAMETERS // width):
        part = rows[start : start + PARAMETERS // width]
        marks = ", ".join([f"({', '.join('?' * width)})"] * len(part))
        connection.execute(f"{into} VALUES {marks}", [value for row in part for value in row])


class DatabaseFile:
    """Path and error handling of a database file, shared by its connections."""

    def __init__(self, path: Path, what: str, prepare: Prepare) -> None:
        """``what`` names the file in the log; ``prepare`` sets up a new connection and the schema."""
        self.path = path
        self._what = what
        self._prepare = prepare
        self._logged_codes: set[int] = set()
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
        """Returns device and inode of the file at the path, to detect that it was replaced."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def handle_error(self, error: Exception, identity: Identity | None) -> float:
        """Handles and logs ``error``; returns the seconds to pause the use of the file."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BROKEN:
            self._set_aside(identity)
        if code not in self._logged_codes:
            self._logged_codes.add(code)
            log.warning(
                "%s %s cannot be used, calls are answered without it: %s", self._what, self.path, error
            )
        if code in _BROKEN:
            return 0
        return 1.0 if code in _LOCKED else PAUSE_S

    def _set_aside(self, identity: Identity | None) -> None:
        """Renames the corrupt file, unless another thread or process has replaced it already."""
        with self._lock, suppress(OSError):
            if identity is None or identity == self.identity():
                self.path.replace(f"{self.path}.corrupt")
                for suffix in ("-wal", "-shm"):
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)


class Connection:
    """Runs work on the file, one at a time, in the calling thread; returns ``None`` on errors."""

    def __init__(self, file: DatabaseFile, timeout_s: float) -> None:
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
                self.pause(self._file.handle_error(error, self._identity))
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
