"""Bytes by key in one SQLite file that all processes of a user share.

Nothing that goes wrong with it reaches a caller: what cannot be read was never there, and what cannot be
written is forgotten. It is written to after the answer has gone out, and read only for what may be there: the
way to the reading thread and back would cost a new question more than all else we do for it.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from engines.middleware.background import Behind, background
from engines.storage.bloom import Known
from engines.storage.database import PAUSE_S, Connection, File, insert

FILE = "answers-1.sqlite3"
"""The number changes with the layout."""

READ_S = 0.25
"""What takes longer to look up is asked anew."""
LOCKED_S = 0.1
"""How long reading waits for a lock; WAL readers meet one only when the file is made or broken."""
WRITE_S = 2.0
"""How long writing waits for a lock, and closing for the last writing."""
GATHER_S = 0.05
"""Entries that come within this time are written together."""
TOUCH_S = 3600
"""How exactly the time of an entry's last use is kept."""
PENDING = 5000
"""Entries on their way to the file; more are forgotten."""
FRESH_S = 1.0
"""How long it is believed what the file held: what another process wrote since may be asked anew."""
LEARNED_AT_ONCE = 2000
"""Keys learned with one look-up, in some five milliseconds; until all are, every key is looked up."""
KEYS_AT_ONCE = 500
"""SQLite takes 999 parameters in a query at least."""

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
"""

Row = tuple[bytes, bytes, int]


class Store:
    """At most ``max_rows`` entries and about ``max_bytes`` of file; the least recently used go first."""

    def __init__(
        self,
        folder: Path,
        *,
        max_rows: int = 200_000,
        max_bytes: int = 256 * 2**20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        file = File(folder / FILE, "the cache", _prepare)
        self._reader = Connection(file, LOCKED_S)
        self._writer = Connection(file, WRITE_S)
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock
        self._pending: dict[bytes, bytes] = {}
        self._touched: set[bytes] = set()
        self._known = Known()
        self._known_from: sqlite3.Connection | None = None
        self._known_to = 0
        self._known_at = -math.inf
        self._behind = Behind(self.flush, GATHER_S)
        self._reading = anyio.CapacityLimiter(1)
        self._writing = anyio.CapacityLimiter(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await stack.enter_async_context(background(self._behind.run))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What is there of ``keys``."""
        found = {key: self._pending[key] for key in keys if key in self._pending}
        missing = [key for key in keys if key not in found]
        for key, value, used in await self._read(missing) if self._may_hold(missing) else ():
            found[key] = value
            if self._clock() - used > TOUCH_S:
                self._touched.add(key)
                self._behind.wake()
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Keep ``value``; it is in the file a moment later."""
        if len(self._pending) < PENDING:
            self._pending[key] = value
            self._known.add(key)
            self._behind.wake()

    async def flush(self) -> None:
        """Write what ``put`` took; whatever fails is forgotten."""
        entries, touched = dict(self._pending), self._touched
        self._touched = set()
        if entries or touched:
            work = partial(self._write, entries, touched)
            await anyio.to_thread.run_sync(self._writer.run, work, limiter=self._writing)
        for key, value in entries.items():
            if self._pending.get(key) is value:
                del self._pending[key]

    def _may_hold(self, keys: Collection[bytes]) -> bool:
        if 0 <= self._clock() - self._known_at < FRESH_S:
            return any(key in self._known for key in keys)
        return bool(keys)

    async def _read(self, keys: list[bytes]) -> list[Row]:
        with anyio.move_on_after(READ_S):
            rows = await anyio.to_thread.run_sync(
                self._reader.run, partial(self._look, keys), abandon_on_cancel=True, limiter=self._reading
            )
            return rows or []
        self._reader.pause(PAUSE_S)
        return []

    def _look(self, keys: list[bytes], connection: sqlite3.Connection) -> list[Row]:
        self._learn(connection)
        return _select(keys, connection)

    def _learn(self, connection: sqlite3.Connection) -> None:
        """The keys that have come since the last look; a new connection may be to another file."""
        if connection is not self._known_from or self._known.full:
            self._known_from, self._known_to = connection, 0
            self._known, self._known_at = Known(), -math.inf
        now = self._clock()
        rows = connection.execute(
            "SELECT rowid, key FROM entries WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (self._known_to, LEARNED_AT_ONCE),
        ).fetchall()
        for self._known_to, key in rows:
            self._known.add(key)
        if len(rows) < LEARNED_AT_ONCE:
            self._known_at = now

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.flush()
            for connection in (self._reader, self._writer):
                await anyio.to_thread.run_sync(connection.close)

    def _write(
        self, entries: Mapping[bytes, bytes], touched: Collection[bytes], connection: sqlite3.Connection
    ) -> None:
        now = int(self._clock())
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(key, value, now) for key, value in entries.items()]
            insert(connection, "INSERT OR REPLACE INTO entries", rows)
            connection.executemany(
                "UPDATE entries SET used = ? WHERE key = ?", ((now, key) for key in touched)
            )
            self._evict(connection)

    def _evict(self, connection: sqlite3.Connection) -> None:
        """An eighth at a time, so that it does not come up with every entry.

        The newest row stays, or its number would be given again, to a key that no process looks for there.
        """
        while (rows := _number(connection, "SELECT count(*) FROM entries")) > 1 and (
            rows > self._max_rows or _used_bytes(connection) > self._max_bytes
        ):
            connection.execute(
                "DELETE FROM entries WHERE key IN (SELECT key FROM entries "
                "WHERE rowid < (SELECT max(rowid) FROM entries) ORDER BY used LIMIT ?)",
                (rows // 8 + 1,),
            )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(SCHEMA)


def _select(keys: list[bytes], connection: sqlite3.Connection) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = keys[start : start + KEYS_AT_ONCE]
        marks = ",".join("?" * len(part))
        rows += connection.execute(f"SELECT key, value, used FROM entries WHERE key IN ({marks})", part)
    return rows


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages = _number(connection, "PRAGMA page_count") - _number(connection, "PRAGMA freelist_count")
    return pages * _number(connection, "PRAGMA page_size")


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
