"""The ledger: its content, what is never lost, and that its failures never fail a call."""

import logging
import random
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject, TextDelta
from engines.errors import AgentError, EngineUnavailableError, UnknownToolError
from engines.routing import Router
from engines.storage.database import DatabaseFile
from tests.tools.pipeline.test_dispatch import ESTIMATOR, TIERS, SingleEngine
from tools.base import Call, Project, Receipt, TokenCounts
from tools.ledger import store as ledger_module
from tools.ledger.store import (
    COLUMNS,
    FILE,
    GATHER_S,
    MIGRATIONS,
    Entry,
    Ledger,
    LedgerUnreadableError,
    entry_of,
)
from tools.pipeline.dispatch import Dispatcher

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
NOW = 1_790_000_000.0
DAY = 86400

CALL = Call("classify", {}, Project("shop"), "claude-code")
RECEIPT = Receipt(
    tier="small",
    engine="ollama",
    model="gpt-oss:20b",
    adapter="shop",
    project="shop",
    ms=120,
    tokens=TokenCounts(9000, 8000, 40),
    saved=8700,
    cached=True,
    escalated=True,
    decided_by="both",
    route="classify wants small",
    notes=("no adapter 'shop', used the base model",),
)


@pytest.fixture(autouse=True)
def _warnings_are_captured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


async def entries(ledger: Ledger) -> list[Entry]:
    def query(connection: sqlite3.Connection) -> list[Entry]:
        return [entry_of(row) for row in connection.execute(f"SELECT {COLUMNS} FROM calls ORDER BY id")]

    return await ledger.read(query)


def numbers(path: Path) -> list[int]:
    """Reads ``saved`` of every call, in order, as another program would."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT saved FROM calls ORDER BY id")]
    except sqlite3.OperationalError:  # no table yet
        return []
    finally:
        connection.close()


@asynccontextmanager
async def dispatching(ledger: Ledger, engine: ScriptedEngine) -> AsyncGenerator[Dispatcher]:
    async with engine:
        router = Router(TIERS, lambda tier: engine)
        yield Dispatcher(router, SingleEngine(engine), ESTIMATOR, deadline_s=30, record=ledger.record)


async def test_a_receipt_comes_back_as_it_went_in(tmp_path: Path) -> None:
    async with Ledger(tmp_path, clock=lambda: NOW) as ledger:
        ledger.record(CALL, RECEIPT)
        assert await entries(ledger) == [Entry(NOW, "claude-code", "classify", RECEIPT)]


async def test_leaving_writes_everything(tmp_path: Path) -> None:
    async with Ledger(tmp_path) as ledger:
        for number in range(500):
            ledger.record(CALL, replace(RECEIPT, saved=number))
    assert numbers(tmp_path / FILE) == list(range(500))


async def test_leaving_by_cancellation_writes_everything(tmp_path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with Ledger(tmp_path) as ledger:
            ledger.record(CALL, RECEIPT)
            scope.cancel()
            await anyio.sleep_forever()
    assert numbers(tmp_path / FILE) == [8700]


async def test_a_call_is_in_the_file_a_moment_later_without_anybody_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = anyio.Event()
    write = Ledger.flush

    async def heard(ledger: Ledger) -> None:
        await write(ledger)
        written.set()

    monkeypatch.setattr(Ledger, "flush", heard)
    async with Ledger(tmp_path) as ledger:
        ledger.record(CALL, RECEIPT)
        with anyio.fail_after(5):
            await written.wait()
        assert numbers(tmp_path / FILE) == [8700]


async def test_the_file_is_the_user_s_alone(tmp_path: Path) -> None:
    async with Ledger(tmp_path / "data") as ledger:
        ledger.record(CALL, RECEIPT)
        await ledger.flush()
        files = list((tmp_path / "data").iterdir())
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_nothing_of_the_text_is_kept(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("The zebra eats at noon.")
    arguments: JsonObject = {"paths": ["letter.txt"], "focus": "quokka"}
    async with Ledger(tmp_path) as ledger, dispatching(ledger, ScriptedEngine(["A lynx."])) as dispatcher:
        await dispatcher.run(Call("summarize", arguments, Project("p", tmp_path)))
        await ledger.flush()
        written = b"".join((tmp_path / f"{FILE}{suffix}").read_bytes() for suffix in ("", "-wal"))
    assert b"summarize" in written
    for word in (b"zebra", b"quokka", b"lynx"):
        assert word not in written


PROGRAM = """
import anyio, sys, pathlib
from tests.tools.ledger.test_store import CALL, RECEIPT
from tools.ledger.store import Ledger
from dataclasses import replace

async def main():
    async with Ledger(pathlib.Path(sys.argv[1])) as ledger:
        for number in range(500):
            ledger.record(CALL, replace(RECEIPT, saved=number, project=sys.argv[2]))
            await anyio.sleep(0)
            if number % 100 == 0:
                await ledger.flush()

anyio.run(main)
"""


async def test_four_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for name in "abcd":
                command = [sys.executable, "-c", PROGRAM, str(tmp_path), name]
                group.start_soon(partial(anyio.run_process, command, cwd=ROOT))
    assert sorted(numbers(tmp_path / FILE)) == sorted([*range(500)] * 4)


KILLED = """
import anyio, sys, pathlib, time
from tests.tools.ledger.test_store import CALL, RECEIPT
from tools.ledger.store import Ledger
from dataclasses import replace

async def main():
    async with Ledger(pathlib.Path(sys.argv[1])) as ledger:
        for number in range(10**9):
            ledger.record(CALL, replace(RECEIPT, saved=number))
            print(number, time.monotonic(), flush=True)
            await anyio.sleep(0.001)

anyio.run(main)
"""


async def test_a_killed_process_loses_at_most_its_last_moments(tmp_path: Path) -> None:
    output = ""
    with anyio.fail_after(60):
        async with await anyio.open_process(
            [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT
        ) as process:
            assert process.stdout
            async for chunk in process.stdout:
                output += chunk.decode()
                if output.count("\n") > 200 and len(numbers(tmp_path / FILE)) > 200:
                    process.kill()
                    break
    kept = numbers(tmp_path / FILE)
    assert kept == list(range(len(kept))), "what is there is whole, and in order"
    lost = [float(line.split()[1]) for line in output.splitlines()[:-1][len(kept) :]]
    # GATHER_S and one write, tens of milliseconds; tests run on busy machines.
    assert not lost or lost[-1] - lost[0] < GATHER_S + 5


async def test_a_file_of_an_older_version_is_brought_up_to_date_and_an_older_process_goes_on_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ledger(tmp_path) as older:
        older.record(CALL, replace(RECEIPT, saved=1))
        await older.flush()
        added = ("ALTER TABLE calls ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",)
        monkeypatch.setattr(ledger_module, "MIGRATIONS", (*MIGRATIONS, added))
        async with Ledger(tmp_path) as newer:
            newer.record(CALL, replace(RECEIPT, saved=2))
            await newer.flush()
            older.record(CALL, replace(RECEIPT, saved=3))
            await older.flush()
            moods = await newer.read(lambda file: file.execute("SELECT saved, mood FROM calls").fetchall())
    assert moods == [(1, "calm"), (2, "calm"), (3, "calm")]


@pytest.mark.parametrize("damage", [b"this is no database", b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_corrupt_file_is_set_aside_and_not_even_the_call_that_met_it_is_lost(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(damage)
    async with Ledger(tmp_path) as ledger:
        ledger.record(CALL, RECEIPT)
        assert [entry.receipt for entry in await entries(ledger)] == [RECEIPT]
    assert (tmp_path / f"{FILE}.corrupt").read_bytes() == damage
    assert len(caplog.records) == 1


async def test_a_locked_file_costs_no_call_its_answer_and_no_entry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "WAIT_S", 0.01)
    async with Ledger(tmp_path):
        pass
    async with Ledger(tmp_path) as ledger, dispatching(ledger, ScriptedEngine()) as dispatcher:
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            assert (await dispatcher.run(Call("chat", {"prompt": "hi"}))).fields == {"text": "hi"}
            await ledger.flush()
        with pytest.raises(LedgerUnreadableError):
            await entries(ledger)
        other.close()
    assert len(numbers(tmp_path / FILE)) == 3
    assert len([record for record in caplog.records if "locked" in record.message]) == 1


async def test_a_full_disk_costs_no_call_its_answer_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = DatabaseFile.connect

    def on_a_full_disk(file: DatabaseFile, timeout_s: float) -> sqlite3.Connection:
        connection = connect(file, timeout_s)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    async with Ledger(tmp_path) as ledger:
        ledger.record(CALL, RECEIPT)
    monkeypatch.setattr(DatabaseFile, "connect", on_a_full_disk)
    async with Ledger(tmp_path) as ledger, dispatching(ledger, ScriptedEngine()) as dispatcher:
        for _ in range(40):
            await dispatcher.run(Call("chat", {"prompt": "hi " * 200}))
            await ledger.flush()
        monkeypatch.undo()
    assert len([record for record in caplog.records if "full" in record.message]) == 1
    assert len(numbers(tmp_path / FILE)) == 41, "there was room again at the end"


async def test_what_cannot_be_written_does_not_grow_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "PENDING", 2)
    async with Ledger(tmp_path) as ledger:
        for number in range(5):
            ledger.record(CALL, replace(RECEIPT, saved=number))
    assert numbers(tmp_path / FILE) == [0, 1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_what_was_locked_is_written_later_though_no_further_call_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "RETRY_S", 0)
    tried: list[bool] = []
    done = anyio.Event()
    write = Ledger.flush

    async def fails_at_first(ledger: Ledger) -> None:
        tried.append(True)
        if len(tried) > 1:
            await write(ledger)
            done.set()

    monkeypatch.setattr(Ledger, "flush", fails_at_first)
    async with Ledger(tmp_path) as ledger:
        ledger.record(CALL, RECEIPT)
        with anyio.fail_after(5):
            await done.wait()
    assert numbers(tmp_path / FILE) == [8700]


async def test_calls_too_old_or_too_many_are_dropped_as_calls_are_written(tmp_path: Path) -> None:
    now = NOW - 100 * DAY
    async with Ledger(tmp_path, days=30, rows=10, clock=lambda: now) as ledger:
        for number in range(15):
            ledger.record(CALL, replace(RECEIPT, saved=number))
    assert numbers(tmp_path / FILE) == list(range(5, 15))
    now = NOW
    async with Ledger(tmp_path, days=30, rows=10, clock=lambda: now) as ledger:
        ledger.record(CALL, replace(RECEIPT, saved=99))
    assert numbers(tmp_path / FILE) == [99]


async def test_pruning_drops_what_is_older_of_one_project_or_of_all_and_frees_the_space(
    tmp_path: Path,
) -> None:
    now = NOW
    async with Ledger(tmp_path, clock=lambda: now) as ledger:
        for day in range(4):
            now = NOW + day * DAY
            for project in ("shop", "erp"):
                ledger.record(CALL, replace(RECEIPT, project=project, saved=day, notes=("n" * 300,) * 10))
        assert await ledger.prune(NOW + DAY, "shop") == 1
        assert await ledger.prune(NOW + 2 * DAY) == 3
        assert [entry.receipt.saved for entry in await entries(ledger)] == [2, 2, 3, 3]
        before = (tmp_path / FILE).stat().st_size
        assert await ledger.prune(NOW + 9 * DAY) == 4
        assert (tmp_path / FILE).stat().st_size < before


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("x" * 10_000, "x" * 100),
        ("half a pair \ud800", "half a pair ?"),
        ("a\0b\nc\x1b[31m", "a?b?c?[31m"),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("ünïcödé 漢字", "ünïcödé 漢字"),
    ],
)
async def test_names_callers_choose_do_no_harm(tmp_path: Path, name: str, kept: str) -> None:
    receipt = replace(RECEIPT, project=name, model=name, adapter=name, notes=(name,))
    async with Ledger(tmp_path) as ledger:
        ledger.record(replace(CALL, agent=name, tool=name), receipt)
        [entry] = await entries(ledger)
    assert entry.tool == "unknown"
    assert [entry.agent, entry.receipt.project, entry.receipt.model, entry.receipt.adapter] == [kept] * 4
    assert len(entry.receipt.notes[0]) <= 300


async def test_a_failed_call_is_in_the_ledger_with_its_code_and_what_it_cost(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One two three. " * 50)
    engine = ScriptedEngine([EngineUnavailableError("gone", hint="start it")])
    async with Ledger(tmp_path) as ledger, dispatching(ledger, engine) as dispatcher:
        for call in (
            Call("summarize", {"paths": ["a.txt"]}, Project("p", tmp_path)),
            Call("classify", {"text": "a"}, Project("p")),
            Call("translate", {}, Project("p")),
        ):
            with pytest.raises(AgentError):
                await dispatcher.run(call)
        unavailable, wrong, unknown = await entries(ledger)
    assert [entry.error for entry in (unavailable, wrong, unknown)] == [
        "engine_unavailable",
        "invalid_arguments",
        UnknownToolError.code,
    ]
    assert unavailable.receipt.engine == "scripted"
    assert unavailable.receipt.tokens.read == 0, "nothing was spared"
    assert all(entry.receipt.saved < 0 for entry in (unavailable, wrong, unknown))
    assert (unknown.tool, unknown.receipt.project) == ("unknown", "p")


async def test_a_call_whose_caller_went_away_is_in_the_ledger(tmp_path: Path) -> None:
    engine = ScriptedEngine(["a b c d"], pace=60)
    async with Ledger(tmp_path) as ledger, dispatching(ledger, engine) as dispatcher:
        with anyio.move_on_after(0.2):
            await dispatcher.run(Call("chat", {"prompt": "hello"}))
        [entry] = await entries(ledger)
    assert entry.error == "abandoned"
    assert entry.receipt.saved < 0


async def test_a_stream_left_early_is_abandoned_and_costs_what_was_sent(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three four five six", "one two three four five six"])
    async with Ledger(tmp_path) as ledger, dispatching(ledger, engine) as dispatcher:
        async with dispatcher.stream(Call("chat", {"prompt": "count"})) as stream:
            await anext(stream.events)
        async with dispatcher.stream(Call("chat", {"prompt": "count"})) as stream:
            async for _ in stream.events:
                pass
        left, whole = await entries(ledger)
    assert (left.error, whole.error) == ("abandoned", "")
    assert whole.receipt.saved < left.receipt.saved < 0


async def test_a_stream_that_breaks_is_in_the_ledger_with_its_code(tmp_path: Path) -> None:
    engine = ScriptedEngine([[TextDelta("one"), EngineUnavailableError("gone", hint="start it")]])
    async with Ledger(tmp_path) as ledger, dispatching(ledger, engine) as dispatcher:

        async def listen() -> None:
            async with dispatcher.stream(Call("chat", {"prompt": "count"})) as stream:
                async for _ in stream.events:
                    pass

        with pytest.raises(EngineUnavailableError):
            await listen()
        [entry] = await entries(ledger)
    assert entry.error == "engine_unavailable"


async def test_receipts_and_ledger_agree_after_ten_thousand_calls_at_full_speed(tmp_path: Path) -> None:
    calls, callers = 10_000, 16
    receipts: list[Receipt] = []
    chosen = random.Random(7)
    sizes = [chosen.randrange(1, 12) for _ in range(calls)]
    async with Ledger(tmp_path) as ledger:
        engine = ScriptedEngine()
        async with dispatching(ledger, engine) as dispatcher, anyio.create_task_group() as group:

            async def caller() -> None:
                while sizes:
                    prompt = "word " * sizes.pop()
                    receipts.append((await dispatcher.run(Call("chat", {"prompt": prompt}))).receipt)
                    engine.requests.clear()

            for _ in range(callers):
                group.start_soon(caller)
    connection = sqlite3.connect(tmp_path / FILE)
    kept = connection.execute("SELECT ms, prompt, completion, saved FROM calls").fetchall()
    connection.close()
    assert len(receipts) == calls
    assert sorted(kept) == sorted((r.ms, r.tokens.prompt, r.tokens.completion, r.saved) for r in receipts)


async def test_recording_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, writing = threading.Event(), threading.Event()

    def slow(entry: Entry) -> tuple[str | int | None, ...]:
        writing.set()
        disk.wait(5)
        return row(entry)

    row = ledger_module._row  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(ledger_module, "_row", slow)
    async with Ledger(tmp_path) as ledger, dispatching(ledger, ScriptedEngine()) as dispatcher:
        with anyio.fail_after(5):
            await dispatcher.run(Call("chat", {"prompt": "one"}))
            await anyio.to_thread.run_sync(writing.wait)
            await dispatcher.run(Call("chat", {"prompt": "two"}))
            assert not disk.is_set()
        disk.set()
    assert len(numbers(tmp_path / FILE)) == 2
