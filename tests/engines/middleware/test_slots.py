import json
import logging
import math
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from engines.backends.scripted.engine import ScriptedEngine
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import STALE_S, Ranks, SharedSlots, Slots, open_slots
from tests.engines.middleware.fakes import ask
from tests.posix import KILL

pytestmark = pytest.mark.anyio

STOPPED: list[tuple[signal.Signals, float]] = (
    [] if sys.platform == "win32" else [(signal.SIGSTOP, STALE_S + 1)]
)
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="files have modes, and can go while open")

ROOT = Path(__file__).parents[3]


class Agent:
    """A process that uses the slots, see ``agent_process``."""

    def __init__(self, process: Process) -> None:
        assert process.stdout
        assert process.stdin
        self.process = process
        self.stdin = process.stdin
        self.stdout = BufferedByteReceiveStream(process.stdout)

    async def read_line(self) -> str:
        with anyio.fail_after(20):  # an interpreter starts, on a busy machine
            return (await self.stdout.receive_until(b"\n", 1000)).decode()

    async def send_line(self) -> None:
        await self.stdin.send(b"\n")


@asynccontextmanager
async def agent(
    role: str, folder: Path, count: int, *, name: str = "", pool: float = math.inf, callers: int = 4
) -> AsyncGenerator[Agent, None]:
    command = [sys.executable, "-m", "tests.engines.middleware.agent_process"]
    arguments = [role, name, str(folder), str(count), str(pool), str(callers)]
    async with await anyio.open_process([*command, *arguments], cwd=ROOT, stderr=None) as process:
        try:
            running = Agent(process)
            assert await running.read_line() == "ready"
            yield running
        finally:
            if process.returncode is None:
                process.kill()


async def test_processes_share_the_limit_and_are_served_in_turn(tmp_path: Path):
    work: dict[str, list[tuple[str, float, float]]] = {"ann": [], "bob": [], "cyd": []}

    callers = {"ann": 12, "bob": 5, "cyd": 4}

    async def run(name: str) -> None:
        async with agent("worker", tmp_path / "places", 3, name=name, callers=callers[name]) as worker:
            started.append(name)
            if len(started) == 3:
                everyone.set()
            await everyone.wait()
            await worker.send_line()
            while min(map(len, work.values())) < 50:
                work[name].append(json.loads(await worker.read_line()))
            await worker.send_line()

    started, everyone = list[str](), anyio.Event()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in work:
                tasks.start_soon(run, name)
    intervals = [interval for intervals in work.values() for interval in intervals]
    assert _most_at_once(intervals) == 3
    assert _most_at_once([interval for interval in intervals if interval[0] == "main"]) == 2
    # Counted while all of them were running.
    begin, end = max(w[0][1] for w in work.values()), min(w[-1][2] for w in work.values())
    shares = [sum(begin <= started and ended <= end for _, started, ended in w) for w in work.values()]
    assert all(0.25 <= share / sum(shares) <= 0.42 for share in shares), shares


def _most_at_once(intervals: list[tuple[str, float, float]]) -> int:
    steps = sorted([(start, 1) for _, start, _ in intervals] + [(end, -1) for _, _, end in intervals])
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110  (another process sets no event here)
            await anyio.sleep(0.001)


async def test_slots_of_a_killed_process_are_free_within_a_second(tmp_path: Path):
    async with (
        agent("holder", tmp_path / "places", 2) as holder,
        AdmittedEngine(ScriptedEngine(), open_slots(2, tmp_path / "places")) as engine,
    ):
        await holder.send_line()
        assert await holder.read_line() == "held"
        killed = math.inf
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.complete, ask())
            tasks.start_soon(engine.complete, ask(tier="small"))
            await anyio.wait_all_tasks_blocked()
            holder.process.kill()
            killed = time.monotonic()
        assert time.monotonic() - killed < 1


async def test_slots_of_a_process_killed_under_load_go_to_the_others(tmp_path: Path):
    names = ("ann", "bob", "cyd")
    after: list[tuple[str, float, float]] = []

    async def survive(worker: Agent, killed: float) -> None:
        ended = killed
        while ended < killed + 2:
            tier, began, ended = json.loads(await worker.read_line())
            if began > killed + 1:
                after.append((tier, began, ended))

    with anyio.fail_after(60):
        async with AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(agent("worker", tmp_path / "places", 3, name=name, callers=6))
                for name in names
            ]
            for worker in workers:
                await worker.send_line()
            for worker in workers:
                for _ in range(10):
                    await worker.read_line()
            workers[0].process.kill()
            killed = time.monotonic()
            async with anyio.create_task_group() as tasks:
                for worker in workers[1:]:
                    tasks.start_soon(survive, worker, killed)
    assert _most_at_once(after) == 3


@pytest.mark.parametrize(("sign", "within"), [*STOPPED, (KILL, STALE_S / 2)])
async def test_a_process_that_stops_or_dies_in_the_queue_loses_its_turn(
    tmp_path: Path, sign: signal.Signals, within: float
):
    async with agent("worker", tmp_path, 1) as worker:
        with SharedSlots(1, tmp_path) as slots:
            held = slots.acquire(0, common=True, reserved=True)
            assert held is not None
            await worker.send_line()
            await until(lambda: slots.waiting_elsewhere() != Ranks())
            worker.process.send_signal(sign)
            signalled = time.monotonic()
            await until(lambda: slots.waiting_elsewhere() == Ranks())
            assert time.monotonic() - signalled < within
            slots.release(held)
        async with AdmittedEngine(ScriptedEngine(), open_slots(1, tmp_path)) as engine:
            with anyio.fail_after(5):
                await engine.complete(ask())


async def test_the_token_pool_is_shared_and_freed_by_a_killed_process(tmp_path: Path):
    async with agent("holder", tmp_path, 4, pool=160) as holder:
        await holder.send_line()
        assert await holder.read_line() == "held"  # two of 80 tokens
        with SharedSlots(4, tmp_path, pool=160) as slots:
            assert slots.acquire(1, common=True, reserved=True) is None
            holder.process.kill()
            with anyio.fail_after(5):
                await holder.process.wait()
            assert slots.acquire(100, common=True, reserved=False) is not None
            assert slots.acquire(60, common=True, reserved=False) is not None
            assert slots.acquire(1, common=True, reserved=False) is None


def test_processes_with_the_same_folder_share_the_slots(tmp_path: Path):
    with SharedSlots(2, tmp_path) as one, SharedSlots(2, tmp_path) as other:
        assert one.acquire(0, common=True, reserved=False) == 1
        assert other.acquire(0, common=True, reserved=False) is None
        assert other.acquire(0, common=True, reserved=True) == 0
        one.release(1)
        assert other.acquire(0, common=True, reserved=True) == 1


def test_waiting_times_of_other_processes_are_visible_while_they_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with SharedSlots(1, tmp_path) as one, SharedSlots(1, tmp_path) as other:
        assert one.waiting_elsewhere() == Ranks()
        other.publish(Ranks(small=5.0, main=7.0))
        assert one.waiting_elsewhere() == Ranks(small=5.0, main=7.0)
        assert other.waiting_elsewhere() == Ranks()
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + STALE_S + 0.1)
        assert one.waiting_elsewhere() == Ranks()


def test_an_entry_from_before_the_last_boot_is_ignored(tmp_path: Path):
    with SharedSlots(1, tmp_path) as slots:
        (tmp_path / "line-1-old").write_bytes(struct.pack("=ddd", time.monotonic() + 1e6, 1.0, 1.0))
        (tmp_path / "line-1-cut").write_bytes(b"half")
        assert slots.waiting_elsewhere() == Ranks()


def test_the_queue_entry_of_a_dead_process_is_removed(tmp_path: Path):
    (tmp_path / "line-1-dead").touch()
    os.utime(tmp_path / "line-1-dead", (0, 0))
    with SharedSlots(1, tmp_path) as alive, SharedSlots(1, tmp_path):
        assert len(list(tmp_path.glob("line-*"))) == 2
        assert alive.acquire(0, common=True, reserved=True) is not None
    assert not list(tmp_path.glob("line-*"))


def test_the_queue_entry_of_a_process_that_is_just_starting_stays(tmp_path: Path):
    (tmp_path / "line-1-new").touch()
    with SharedSlots(1, tmp_path):
        assert (tmp_path / "line-1-new").exists()


@ON_POSIX
def test_only_the_user_can_access_the_folder(tmp_path: Path):
    with SharedSlots(1, tmp_path / "runtime" / "places") as slots:
        assert slots.acquire(0, common=True, reserved=True) == 0
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "runtime" / "places").iterdir()} == {
        "0o600"
    }
    assert (tmp_path / "runtime" / "places").stat().st_mode & 0o777 == 0o700


@ON_POSIX
def test_a_folder_others_can_access_is_not_used_and_a_warning_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING), open_slots(2, tmp_path) as slots:
        assert type(slots) is Slots
    assert "within this process only" in caplog.text
    assert not list(tmp_path.iterdir())


def test_without_a_folder_slots_are_per_process():
    with open_slots(2, None) as slots:
        assert type(slots) is Slots


@ON_POSIX
def test_slots_work_after_the_folder_is_deleted(tmp_path: Path):
    with SharedSlots(2, tmp_path) as slots:
        for path in tmp_path.iterdir():
            path.unlink()
        os.rmdir(tmp_path)
        slots.publish(Ranks(small=1.0))
        assert slots.waiting_elsewhere() == Ranks()
        held = slots.acquire(0, common=True, reserved=True)
        assert held is not None
        slots.release(held)
