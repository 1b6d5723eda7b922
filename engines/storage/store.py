"""Key-value store in one SQLite file shared by all processes of a user.

Errors never reach a caller: failed reads count as missing, failed writes are dropped. Writes happen
after the answer is sent. A Bloom filter skips reads of missing keys, because the switch to the reading
thread is the largest cost of a new request.
"""

import math
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

import anyio
import anyio.to_thread

from engines.middleware.background import Debouncer, background
from engines.storage.bloom import BloomFilter
from engines.storage.database import PAUSE_S, Connection, DatabaseFile, insert

FILE = "answers-1.sqlite3"
"""The number changes with the schema."""

READ_S = 0.25
"""A look-up that takes longer counts as missing."""
LOCKED_S = 0.1
"""Lock timeout of reads; WAL readers only wait when the file is created or corrupt."""
WRITE_S = 2.0
"""Lock timeout of writes, and of the last write on closing."""
GATHER_S = 0.05
"""Entries within this time are written together."""
TOUCH_S = 3600
"""Resolution of an entry's time of last use."""
PENDING = 5000
"""Entries waiting to be written at most; more are dropped."""
FRESH_S = 1.0
"""How long the filter counts as current; newer entries of other processes count as missing."""
LEARNED_AT_ONCE = 2000
"""Keys added to the filter per look-up; until all are added, every key is looked up."""
KEYS_AT_ONCE = 500
"""Keys per query; every SQLite build accepts 999 parameters."""

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
"""

Row = tuple[bytes, bytes, int]


class Store(anyio.AsyncContextManagerMixin):
    """At most ``max_rows`` entries in about ``max_bytes``; evicts the least recently used first."""

    def __init__(
        self,
        folder: Path,
        *,
        max_rows: int = 200_000,
        max_bytes: int = 256 * 2**20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        file = DatabaseFile(folder / FILE, "the cache", _prepare)
        self._reader = Connection(file, LOCKED_S)
        self._writer = Connection(file, WRITE_S)
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock
        self._pending: dict[bytes, bytes] = {}
        self._touched: set[bytes] = set()
        self._known = BloomFilter()
        self._known_from: sqlite3.Connection | None = None
        self._known_to = 0
        self._known_at = -math.inf
        self._debouncer = Debouncer(self.flush, GATHER_S)
        self._reading = anyio.CapacityLimiter(1)
        self._writing = anyio.CapacityLimiter(1)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with background(self._debouncer.run):
                yield self
        finally:
            await self._close()

    async def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Returns the stored values of ``keys``."""
        found = {key: self._pending[key] for key in keys if key in self._pending}
        missing = [key for key in keys if key not in found]
        for key, value, used in await self._read(missing) if self._may_hold(missing) else ():
            found[key] = value
            if self._clock() - used > TOUCH_S:
                self._touched.add(key)
                self._debouncer.wake()
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Stores ``value``; it is written to the file shortly after."""
        if len(self._pending) < PENDING:
            self._pending[key] = value
            self._known.add(key)
            self._debouncer.wake()

    async def flush(self) -> None:
        """Writes pending entries; failed writes are dropped."""
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
        """Adds keys written since the last look-up to the filter; resets it for a new connection."""
        if connection is not self._known_from or self._known.full:
            self._known_from, self._known_to = connection, 0
            self._known, self._known_at = BloomFilter(), -math.inf
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
        """Evicts an eighth of the rows at a time, so that it is not needed for every entry.

        Keeps the newest row: its rowid would be reused, and other processes would miss the new key.
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
