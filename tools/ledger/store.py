"""Ledger of calls: one SQLite file per user, shared by all processes.

Recording appends the call to a list, which takes microseconds; it is written to the file after ``GATHER_S``.
Leaving the context writes what is left, so only a killed process loses calls, those of its last moments.
A failing file never fails a call: what cannot be written is retried, up to ``PENDING`` calls, and logged
once.

Only the receipt of a call is stored: no arguments, no text, no answer.
"""

import json
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import anyio
import anyio.to_thread

from engines.errors import EngineUnavailableError
from engines.middleware.background import Debouncer, background
from engines.storage.database import Connection, DatabaseFile, insert
from tools.base import Call, Receipt, TokenCounts, ToolName

log = logging.getLogger(__name__)

FILE = "ledger.sqlite3"

GATHER_S = 0.05
"""Calls that end within this time are written together; a killed process loses about this much."""
WAIT_S = 2.0
"""Seconds that reading and writing wait for another process's lock."""
RETRY_S = 1.0
"""Seconds until a failed write is retried."""
PENDING = 20_000
"""Calls waiting to be written; while the file cannot be written, further ones are dropped."""
PRUNE_EVERY = 1000
"""Rows a process writes between two checks for expired calls."""

NAME_LENGTH = 100
NOTE_LENGTH = 300
NOTES = 10
"""Limits of stored names and notes; callers choose some names, sources some notes."""

DEFINITIONS = "definitions"
"""Tool name of an entry for loading the tools' definitions into a model's context."""
UNKNOWN = "unknown"
"""Stored instead of the name of a tool that does not exist."""
TOOLS = frozenset({*get_args(ToolName), DEFINITIONS})

MIGRATIONS = (
    (
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, project TEXT NOT NULL, "
        "agent TEXT NOT NULL, tool TEXT NOT NULL, tier TEXT NOT NULL, engine TEXT NOT NULL, "
        "model TEXT NOT NULL, adapter TEXT, ms INTEGER NOT NULL, read INTEGER NOT NULL, "
        "prompt INTEGER NOT NULL, completion INTEGER NOT NULL, saved INTEGER NOT NULL, "
        "cached INTEGER NOT NULL, escalated INTEGER NOT NULL, decided_by TEXT NOT NULL, "
        "route TEXT NOT NULL, notes TEXT NOT NULL, error TEXT NOT NULL)",
        "CREATE INDEX calls_by_time ON calls (at)",
    ),
)
"""Statements from each version of the file to the next; ``user_version`` counts them.

They only add, so that a process of an older release can go on writing to a newer file.
"""

COLUMNS = (
    "at, project, agent, tool, tier, engine, model, adapter, ms, read, prompt, completion, saved, "
    "cached, escalated, decided_by, route, notes, error"
)

T = TypeVar("T")


class LedgerUnreadableError(EngineUnavailableError):
    code = "ledger_unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call in the ledger. ``at`` is in seconds since 1970; ``error`` is a code, empty for none."""

    at: float
    agent: str
    tool: str
    receipt: Receipt
    error: str = ""


class Ledger(anyio.AsyncContextManagerMixin):
    """The ledger file; open it with ``async with``. The dispatcher calls ``record``."""

    def __init__(
        self, folder: Path, *, days: int = 400, rows: int = 200_000, clock: Callable[[], float] = time.time
    ) -> None:
        """Calls older than ``days``, and the oldest beyond ``rows``, are deleted."""
        self.path = folder / FILE
        file = DatabaseFile(self.path, "the ledger", _prepare)
        self.clock = clock
        self._reader = Connection(file, WAIT_S)
        self._writer = Connection(file, WAIT_S)
        self._days = days
        self._rows = rows
        self._pending: list[Entry] = []
        self._behind = Debouncer(self._flush_or_wake, GATHER_S)
        self._reading = anyio.CapacityLimiter(1)
        self._until_pruning = 0
        self._said_lost = False

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with background(self._behind.run):
                yield self
        finally:
            await self._close()

    def record(self, call: Call, receipt: Receipt, error: str = "") -> None:
        """Records the receipt of ``call``; neither blocks nor raises."""
        self._add(Entry(self.clock(), call.agent, call.tool, receipt, error))

    def charge(self, project: str, agent: str, tokens: int) -> None:
        """Records that a host loaded the tools' definitions, of ``tokens`` tokens, into a model's context."""
        receipt = Receipt("", "", "", None, project, 0, TokenCounts(), saved=-tokens)
        self._add(Entry(self.clock(), agent, DEFINITIONS, receipt))

    async def flush(self) -> None:
        """Writes the recorded calls; what cannot be written stays pending."""
        if self._pending:
            await anyio.to_thread.run_sync(self._write_pending)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Returns the result of ``query``, with calls recorded just now included.

        Raises:
            LedgerUnreadableError: the file cannot be used, or is locked.
        """
        await self.flush()
        work = partial(_in_transaction, query)
        found = await anyio.to_thread.run_sync(self._reader.run, work, limiter=self._reading)
        if found is None:
            raise LedgerUnreadableError(
                f"the ledger {self.path} cannot be read",
                hint="the log has the reason; calls are answered without it",
            )
        return found

    async def prune(self, before: float, project: str = "") -> int:
        """Deletes the calls before that time, of one project or all, and frees their disk space.

        Returns:
            The number of deleted calls.

        Raises:
            LedgerUnreadableError: the file cannot be used, or is locked.
        """
        await self.flush()
        work = partial(_prune, round(before * 1000), project)
        dropped = await anyio.to_thread.run_sync(self._writer.run, work)
        if dropped is None:
            raise LedgerUnreadableError(f"the ledger {self.path} is in use", hint="try again in a moment")
        return dropped

    def expired(self) -> float:
        """Time before which calls are deleted; seconds since 1970."""
        return self.clock() - self._days * 86400

    def _add(self, entry: Entry) -> None:
        if len(self._pending) < PENDING:
            self._pending.append(entry)
            self._behind.wake()
        elif not self._said_lost:
            self._said_lost = True
            log.warning("calls are missing in the ledger %s: it cannot be written to", self.path)

    async def _flush_or_wake(self) -> None:
        await self.flush()
        if self._pending:
            await anyio.sleep(RETRY_S)
            self._behind.wake()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            self._writer.pause(0)
            await self.flush()
            for connection in (self._reader, self._writer):
                await anyio.to_thread.run_sync(connection.close)
        if self._pending:
            log.warning("%d calls could not be written to the ledger %s", len(self._pending), self.path)

    def _write_pending(self) -> None:
        """Writes in a worker thread; tries twice, because a broken file is set aside the first time."""
        if not self._writer.run(self._write):
            self._writer.run(self._write)

    def _write(self, connection: sqlite3.Connection) -> bool:
        """Removes from the list only what was written, even if the waiting task is cancelled."""
        entries = self._pending[:]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            insert(connection, f"INSERT INTO calls ({COLUMNS})", [_row(entry) for entry in entries])
            self._until_pruning -= len(entries)
            if self._until_pruning < 0:
                self._until_pruning = PRUNE_EVERY
                _drop_old(connection, round(self.expired() * 1000), self._rows)
        del self._pending[: len(entries)]
        return True


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Returns the entry of a row of ``COLUMNS``."""
    (at, project, agent, tool, tier, engine, model, adapter, ms, read, prompt, completion, saved,
     cached, escalated, decided_by, route, notes, error) = row  # fmt: skip
    receipt = Receipt(
        tier=tier,
        engine=engine,
        model=model,
        adapter=adapter,
        project=project,
        ms=ms,
        tokens=TokenCounts(read, prompt, completion),
        saved=saved,
        cached=bool(cached),
        escalated=bool(escalated),
        decided_by=decided_by,
        route=route,
        notes=tuple(json.loads(notes)),
    )
    return Entry(at / 1000, agent, tool, receipt, error)


def _row(entry: Entry) -> tuple[str | int | None, ...]:
    receipt = entry.receipt
    return (
        round(entry.at * 1000),
        _name(receipt.project),
        _name(entry.agent),
        entry.tool if entry.tool in TOOLS else UNKNOWN,
        _name(receipt.tier),
        _name(receipt.engine),
        _name(receipt.model),
        None if receipt.adapter is None else _name(receipt.adapter),
        receipt.ms,
        receipt.tokens.read,
        receipt.tokens.prompt,
        receipt.tokens.completion,
        receipt.saved,
        receipt.cached,
        receipt.escalated,
        _name(receipt.decided_by),
        _name(receipt.route),
        json.dumps([note[:NOTE_LENGTH] for note in receipt.notes[:NOTES]]),
        entry.error,
    )


def _name(text: str) -> str:
    """Returns ``text`` cut and printable: a name may contain control codes or lone surrogates."""
    text = text[:NAME_LENGTH]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _prepare(connection: sqlite3.Connection) -> None:
    """Sets pragmas and migrates the file; another process may be doing the same."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if _version(connection) >= len(MIGRATIONS):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _in_transaction(query: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Runs ``query`` in one transaction, however many statements it has."""
    with connection:
        connection.execute("BEGIN")
        return query(connection)


def _drop_old(connection: sqlite3.Connection, before: int, rows: int) -> None:
    connection.execute("DELETE FROM calls WHERE at < ?", (before,))
    connection.execute("DELETE FROM calls WHERE id <= (SELECT max(id) FROM calls) - ?", (rows,))


def _prune(before: int, project: str, connection: sqlite3.Connection) -> int:
    found = connection.execute(
        "DELETE FROM calls WHERE at < ? AND (? = '' OR project = ?)", (before, project, project)
    )
    with suppress(sqlite3.OperationalError):  # the file is in use, or the disk is full
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found.rowcount
