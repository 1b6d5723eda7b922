"""Runs every fault on every engine through every entry point, then checks that the next call works."""

import os
import resource
import secrets
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path

import anyio

from tests.faults import upstream
from tests.faults.entry_points import ENTRY_POINTS, EntryPoint, Seen, by_command_line
from tests.faults.servers import ENGINES, BreakableServers, opened
from tests.faults.upstream import NONE, prompt_of
from tests.mcp_server.stdio.test_stdio import SCRIPT

SLACK_S = 3.0
"""Allowed beyond the deadline, for a loaded machine and the client's own connection."""
LOGGED_S = 8.0
"""A locked file is waited for before it is logged."""
FULL_BYTES = 8192
"""File size limit: less than a cache or ledger needs, enough for a log."""

Around = Callable[[BreakableServers], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing_else(servers: BreakableServers) -> AsyncGenerator[None]:
    yield


@asynccontextmanager
async def nobody_listens(servers: BreakableServers) -> AsyncGenerator[None]:
    await servers.upstream.leave()
    try:
        yield
    finally:
        await servers.upstream.listen()


@asynccontextmanager
async def full(servers: BreakableServers) -> AsyncGenerator[None]:
    assert sys.platform == "linux", "limits of another process are Linux's"
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in servers.processes}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    servers.command = ("sh", "-c", f'ulimit -f {FULL_BYTES // 512}; exec "$@"', "sh", SCRIPT)
    try:
        yield
    finally:
        servers.command = ()
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@asynccontextmanager
async def corrupt(servers: BreakableServers) -> AsyncGenerator[None]:
    for file in servers.files:
        _replaced(file).write_bytes(b"this is no database\n" * 500)
    yield


@asynccontextmanager
async def locked(servers: BreakableServers) -> AsyncGenerator[None]:
    servers.command = (SCRIPT,)
    with ExitStack() as stack:
        for file in servers.files:
            stack.enter_context(_locked(_replaced(file)))
        yield
    servers.command = ()


def _replaced(file: Path) -> Path:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    return file


@contextmanager
def _locked(file: Path) -> Generator[None]:
    connection = sqlite3.connect(file, isolation_level=None)
    os.chmod(file, 0o600)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("CREATE TABLE somebody_elses (a)")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@dataclass(frozen=True)
class Fault:
    name: str
    prompted: str = NONE
    """The fault the prompt requests of the engine."""
    around: Around = nothing_else
    """What else is broken during the call and repaired before the next."""
    throughout: Around = nothing_else
    """What else is broken for both calls, at every entry point."""
    answers: bool = False
    """The caller gets the answer despite the fault."""
    retry_after: float | None = None
    """The value the error must carry."""
    logged: str = ""
    """Text each server logs once for each file."""


@dataclass(frozen=True)
class Shift:
    """Faults that run one after another on servers of their own, concurrently with other shifts."""

    deadline_s: float
    """Deadline of every call."""
    faults: tuple[Fault, ...]


PLAIN = (
    upstream.RESETS,
    upstream.RESETS_MIDWAY,
    upstream.HALF_A_LINE,
    upstream.STOPS,
    upstream.GARBAGE,
)
SHIFTS = (
    # These last until the deadline: short, but long enough for the next call's answer.
    Shift(
        1.5,
        (
            Fault(upstream.HANGS, upstream.HANGS),
            Fault(upstream.HANGS_MIDWAY, upstream.HANGS_MIDWAY),
        ),
    ),
    Shift(
        15,
        (
            Fault(upstream.REFUSES, around=nobody_listens),
            *(Fault(name, name) for name in PLAIN),
            Fault(upstream.BUSY, upstream.BUSY, retry_after=upstream.RETRY_AFTER_S),
            Fault(upstream.AWAY, upstream.AWAY, retry_after=upstream.RETRY_AFTER_S),
            Fault(upstream.ANOTHERS, upstream.ANOTHERS, answers=True),
            Fault("ledger and cache corrupt", around=corrupt, answers=True, logged="not a database"),
            Fault("ledger and cache locked", throughout=locked, answers=True, logged="locked"),
            # Last, because files on a full disk are not retried for a while.
            Fault("disk full", throughout=full, answers=True, logged="disk"),
        ),
    ),
)
FAULTS = tuple(fault.name for shift in SHIFTS for fault in shift.faults)

Row = dict[str, str]
"""By entry point, what its caller saw, or what was wrong with it."""
Table = dict[tuple[str, str], Row]
"""By fault and engine."""

_command = anyio.Lock()


async def table(folder: Path) -> Table:
    """Runs all shifts and returns the rows in the order of ``FAULTS`` and ``ENGINES``."""
    rows: Table = {}
    async with anyio.create_task_group() as group:
        for number, shift in enumerate(SHIFTS):
            for engine in ENGINES:
                group.start_soon(_work, shift, engine, folder / f"{engine}-{number}", rows)
    return {(fault, engine): rows[fault, engine] for fault in FAULTS for engine in ENGINES}


async def _work(shift: Shift, engine: str, folder: Path, rows: Table) -> None:
    async with opened(engine, folder, shift.deadline_s) as servers:
        for entry_point in ENTRY_POINTS.values():
            async with _alone(entry_point, servers):
                await entry_point(servers, prompt_of(NONE, "to warm up"))
        for fault in shift.faults:
            rows[fault.name, engine] = await row(fault, servers)


async def row(fault: Fault, servers: BreakableServers) -> Row:
    seen: Row = {}
    async with fault.throughout(servers):
        for name, entry_point in ENTRY_POINTS.items():
            async with _alone(entry_point, servers):
                seen[name] = await cell(fault, servers, entry_point)
        if fault.logged and (wrong := await _not_once(fault, servers)):
            seen["stdio"] += f"; {wrong}"
    return seen


def _alone(entry_point: EntryPoint, servers: BreakableServers) -> AbstractAsyncContextManager[object]:
    """Locks the command line when it runs in this process: it replaces environment and standard output."""
    return _command if entry_point is by_command_line and not servers.command else nullcontext()


async def cell(fault: Fault, servers: BreakableServers, entry_point: EntryPoint) -> str:
    """Returns what the caller saw, or ``WRONG`` unless it came in time and the next call works."""
    word, allowed = secrets.token_hex(4), servers.deadline_s + SLACK_S
    try:
        async with fault.around(servers):
            with anyio.fail_after(allowed):
                seen = await entry_point(servers, prompt_of(fault.prompted, word))
        with anyio.fail_after(allowed):
            after = await entry_point(servers, prompt_of(NONE, word[::-1]))
    except TimeoutError:
        return "WRONG: no end in time"
    if wrong := _wrong(fault, seen, word):
        return f"WRONG: {wrong}: {seen}"
    return seen.outcome if after.text == word[::-1] else f"WRONG: the next call: {after}"


def _wrong(fault: Fault, seen: Seen, word: str) -> str:
    if fault.answers:
        return "" if seen.text == word else "not the answer"
    if not seen.code or seen.code == "internal_error":
        return "no typed error"
    # After the first event no header can carry Retry-After.
    matches = seen.kind == "streamed" or seen.retry_after == fault.retry_after
    return "" if matches else "another Retry-After"


async def _not_once(fault: Fault, servers: BreakableServers) -> str:
    """Returns what is wrong with the logs; empty if nothing is.

    A process logs a file once, unless another process moved the file aside before.
    """

    def lines(file: Path) -> int:
        found = [line for line in servers.logs().splitlines() if f"{file} cannot be used" in line]
        return sum(fault.logged in line.rpartition(": ")[2] for line in found)

    with anyio.move_on_after(LOGGED_S):
        while not all(map(lines, servers.files)):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.1)
    counts = [lines(file) for file in servers.files]
    processes = len(servers.processes)
    return "" if all(1 <= count <= processes for count in counts) else f"WRONG: {counts} lines in the logs"
