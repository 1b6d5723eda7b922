"""Every fault at every engine through every door: what the caller saw, and whether the next call works."""

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
from tests.faults.doors import DOORS, Door, Seen, by_command_line
from tests.faults.houses import ENGINES, Broken, opened
from tests.faults.upstream import NONE, prompt_of
from tests.mcp_server.stdio.test_stdio import SCRIPT

SLACK_S = 3.0
"""Beyond the deadline: a machine under load, and the client's own connection."""
LOGGED_S = 8.0
"""A file that is locked is waited for before the log tells."""
FULL_BYTES = 8192
"""No file grows beyond: less than a cache or ledger needs, enough for a log."""

Around = Callable[[Broken], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing_else(house: Broken) -> AsyncGenerator[None]:
    yield


@asynccontextmanager
async def nobody_listens(house: Broken) -> AsyncGenerator[None]:
    await house.upstream.leave()
    try:
        yield
    finally:
        await house.upstream.listen()


@asynccontextmanager
async def full(house: Broken) -> AsyncGenerator[None]:
    assert sys.platform == "linux", "limits of another process are Linux's"
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in house.processes}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, hard))
    house.command = ("sh", "-c", f'ulimit -f {FULL_BYTES // 512}; exec "$@"', "sh", SCRIPT)
    try:
        yield
    finally:
        house.command = ()
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@asynccontextmanager
async def corrupt(house: Broken) -> AsyncGenerator[None]:
    for file in house.files:
        _replaced(file).write_bytes(b"this is no database\n" * 500)
    yield


@asynccontextmanager
async def locked(house: Broken) -> AsyncGenerator[None]:
    house.command = (SCRIPT,)
    with ExitStack() as stack:
        for file in house.files:
            stack.enter_context(_locked(_replaced(file)))
        yield
    house.command = ()


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
    """The fault asked of the engine."""
    around: Around = nothing_else
    """What else is broken during the call, and well again for the next."""
    throughout: Around = nothing_else
    """What else is broken for both, at every door."""
    answers: bool = False
    """The caller gets the answer nonetheless."""
    retry_after: float | None = None
    """What the error must tell."""
    logged: str = ""
    """What each server's log says of each file, once."""


@dataclass(frozen=True)
class Shift:
    """Rows that are gone through one after another, by houses of their own, beside other shifts."""

    deadline_s: float
    """Of every call."""
    faults: tuple[Fault, ...]


PLAIN = (
    upstream.RESETS,
    upstream.RESETS_MIDWAY,
    upstream.HALF_A_LINE,
    upstream.STOPS,
    upstream.GARBAGE,
)
SHIFTS = (
    # These last until the deadline, which is short therefore, but long enough for a sound answer.
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
            # The last: files on a full disk are left alone for a while.
            Fault("disk full", throughout=full, answers=True, logged="disk"),
        ),
    ),
)
FAULTS = tuple(fault.name for shift in SHIFTS for fault in shift.faults)

Row = dict[str, str]
"""By door, what its caller saw, or what was wrong with that."""
Table = dict[tuple[str, str], Row]
"""By fault and engine."""

_command = anyio.Lock()


async def table(folder: Path) -> Table:
    """All of it, the rows in the order of ``FAULTS`` and ``ENGINES``."""
    rows: Table = {}
    async with anyio.create_task_group() as group:
        for number, shift in enumerate(SHIFTS):
            for engine in ENGINES:
                group.start_soon(_work, shift, engine, folder / f"{engine}-{number}", rows)
    return {(fault, engine): rows[fault, engine] for fault in FAULTS for engine in ENGINES}


async def _work(shift: Shift, engine: str, folder: Path, rows: Table) -> None:
    async with opened(engine, folder, shift.deadline_s) as house:
        for door in DOORS.values():
            async with _alone(door, house):
                await door(house, prompt_of(NONE, "to warm up"))
        for fault in shift.faults:
            rows[fault.name, engine] = await row(fault, house)


async def row(fault: Fault, house: Broken) -> Row:
    seen: Row = {}
    async with fault.throughout(house):
        for name, door in DOORS.items():
            async with _alone(door, house):
                seen[name] = await cell(fault, house, door)
        if fault.logged and (wrong := await _not_once(fault, house)):
            seen["stdio"] += f"; {wrong}"
    return seen


def _alone(door: Door, house: Broken) -> AbstractAsyncContextManager[object]:
    """The command, run in this process, takes its environment and standard output for itself."""
    return _command if door is by_command_line and not house.command else nullcontext()


async def cell(fault: Fault, house: Broken, door: Door) -> str:
    """What the caller saw: an answer or a typed error, in time, and the next call works."""
    word, allowed = secrets.token_hex(4), house.deadline_s + SLACK_S
    try:
        async with fault.around(house):
            with anyio.fail_after(allowed):
                seen = await door(house, prompt_of(fault.prompted, word))
        with anyio.fail_after(allowed):
            after = await door(house, prompt_of(NONE, word[::-1]))
    except TimeoutError:
        return "WRONG: no end in time"
    if wrong := _wrong(fault, seen, word):
        return f"WRONG: {wrong}: {seen}"
    return seen.said if after.text == word[::-1] else f"WRONG: the next call: {after}"


def _wrong(fault: Fault, seen: Seen, word: str) -> str:
    if fault.answers:
        return "" if seen.text == word else "not the answer"
    if not seen.code or seen.code == "internal_error":
        return "no typed error"
    # Behind the first event no header can tell.
    told = seen.kind == "streamed" or seen.retry_after == fault.retry_after
    return "" if told else "another Retry-After"


async def _not_once(fault: Fault, house: Broken) -> str:
    """What is wrong with the logs, if anything.

    A process says it once of a file, unless another process has set the file aside before it looked.
    """

    def lines(file: Path) -> int:
        found = [line for line in house.said().splitlines() if f"{file} cannot be used" in line]
        return sum(fault.logged in line.rpartition(": ")[2] for line in found)

    with anyio.move_on_after(LOGGED_S):
        while not all(map(lines, house.files)):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.1)
    counts = [lines(file) for file in house.files]
    processes = len(house.processes)
    return "" if all(1 <= count <= processes for count in counts) else f"WRONG: {counts} lines in the logs"
