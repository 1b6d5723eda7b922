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
from engines.base import complete
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import STALE_S, Places, Ranks, SharedPlaces, open_places
from tests.engines.middleware.asking import ask

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="places are per process on Windows"),
]

ROOT = Path(__file__).parents[3]


class Agent:
    """A process at the places, see ``agent_process``."""

    def __init__(self, process: Process) -> None:
        assert process.stdout
        assert process.stdin
        self.process = process
        self.stdin = process.stdin
        self.stdout = BufferedByteReceiveStream(process.stdout)

    async def says(self) -> str:
        with anyio.fail_after(20):  # an interpreter starts, on a machine with other things to do
            return (await self.stdout.receive_until(b"\n", 1000)).decode()

    async def go_on(self) -> None:
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
            assert await running.says() == "ready"
            yield running
        finally:
            if process.returncode is None:
                process.kill()


async def test_processes_together_keep_the_limit_and_are_served_in_turn(tmp_path: Path):
    work: dict[str, list[tuple[str, float, float]]] = {"ann": [], "bob": [], "cyd": []}

    callers = {"ann": 12, "bob": 5, "cyd": 4}

    async def run(name: str) -> None:
        async with agent("worker", tmp_path / "places", 3, name=name, callers=callers[name]) as worker:
            started.append(name)
            if len(started) == 3:
                everyone.set()
            await everyone.wait()
            await worker.go_on()
            while min(map(len, work.values())) < 50:
                work[name].append(json.loads(await worker.says()))
            await worker.go_on()

    started, everyone = list[str](), anyio.Event()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name in work:
                tasks.start_soon(run, name)
    intervals = [interval for intervals in work.values() for interval in intervals]
    assert _most_at_once(intervals) == 3
    assert _most_at_once([interval for interval in intervals if interval[0] == "main"]) == 2
    # Counted while all of them were there.
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


async def test_a_killed_process_gives_its_places_back_within_a_second(tmp_path: Path):
    async with (
        agent("holder", tmp_path / "places", 2) as holder,
        AdmittedEngine(ScriptedEngine(), open_places(2, tmp_path / "places")) as engine,
    ):
        await holder.go_on()
        assert await holder.says() == "held"
        killed = math.inf
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(complete, engine, ask())
            tasks.start_soon(complete, engine, ask(tier="small"))
            await anyio.wait_all_tasks_blocked()
            holder.process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
        assert time.monotonic() - killed < 1


async def test_one_of_three_killed_under_load_leaves_its_places_to_the_others(tmp_path: Path):
    names = ("ann", "bob", "cyd")
    after: list[tuple[str, float, float]] = []

    async def survive(worker: Agent, killed: float) -> None:
        ended = killed
        while ended < killed + 2:
            tier, began, ended = json.loads(await worker.says())
            if began > killed + 1:
                after.append((tier, began, ended))

    with anyio.fail_after(60):
        async with AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(agent("worker", tmp_path / "places", 3, name=name, callers=6))
                for name in names
            ]
            for worker in workers:
                await worker.go_on()
            for worker in workers:
                for _ in range(10):
                    await worker.says()
            workers[0].process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            async with anyio.create_task_group() as tasks:
                for worker in workers[1:]:
                    tasks.start_soon(survive, worker, killed)
    assert _most_at_once(after) == 3


@pytest.mark.parametrize(("sign", "within"), [(signal.SIGSTOP, STALE_S + 1), (signal.SIGKILL, STALE_S / 2)])
async def test_a_process_that_stops_or_dies_in_line_loses_its_turn(
    tmp_path: Path, sign: signal.Signals, within: float
):
    async with agent("worker", tmp_path, 1) as worker:
        with SharedPlaces(1, tmp_path) as places:
            held = places.take(0, common=True, kept=True)
            assert held is not None
            await worker.go_on()
            await until(lambda: places.waiting_elsewhere() != Ranks())
            worker.process.send_signal(sign)
            signalled = time.monotonic()
            await until(lambda: places.waiting_elsewhere() == Ranks())
            assert time.monotonic() - signalled < within
            places.give(held)
        async with AdmittedEngine(ScriptedEngine(), open_places(1, tmp_path)) as engine:
            with anyio.fail_after(5):
                await complete(engine, ask())


async def test_the_memory_is_shared_too_and_a_killed_process_gives_it_back(tmp_path: Path):
    async with agent("holder", tmp_path, 4, pool=160) as holder:
        await holder.go_on()
        assert await holder.says() == "held"  # two of 80 tokens
        with SharedPlaces(4, tmp_path, pool=160) as places:
            assert places.take(1, common=True, kept=True) is None
            holder.process.send_signal(signal.SIGKILL)
            with anyio.fail_after(5):
                await holder.process.wait()
            assert places.take(100, common=True, kept=False) is not None
            assert places.take(60, common=True, kept=False) is not None
            assert places.take(1, common=True, kept=False) is None


def test_two_that_share_a_folder_share_the_places(tmp_path: Path):
    with SharedPlaces(2, tmp_path) as one, SharedPlaces(2, tmp_path) as other:
        assert one.take(0, common=True, kept=False) == 1
        assert other.take(0, common=True, kept=False) is None
        assert other.take(0, common=True, kept=True) == 0
        one.give(1)
        assert other.take(0, common=True, kept=True) == 1


def test_each_sees_since_when_the_other_waits_as_long_as_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with SharedPlaces(1, tmp_path) as one, SharedPlaces(1, tmp_path) as other:
        assert one.waiting_elsewhere() == Ranks()
        other.tell(Ranks(small=5.0, main=7.0))
        assert one.waiting_elsewhere() == Ranks(small=5.0, main=7.0)
        assert other.waiting_elsewhere() == Ranks()
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + STALE_S + 0.1)
        assert one.waiting_elsewhere() == Ranks()


def test_a_line_from_before_the_last_boot_is_not_believed(tmp_path: Path):
    with SharedPlaces(1, tmp_path) as places:
        (tmp_path / "line-1-old").write_bytes(struct.pack("=ddd", time.monotonic() + 1e6, 1.0, 1.0))
        (tmp_path / "line-1-cut").write_bytes(b"half")
        assert places.waiting_elsewhere() == Ranks()


def test_what_a_dead_process_left_in_line_is_swept(tmp_path: Path):
    (tmp_path / "line-1-dead").touch()
    with SharedPlaces(1, tmp_path) as alive, SharedPlaces(1, tmp_path):
        assert len(list(tmp_path.glob("line-*"))) == 2
        assert alive.take(0, common=True, kept=True) is not None
    assert not list(tmp_path.glob("line-*"))


def test_only_the_user_can_enter_the_folder(tmp_path: Path):
    with SharedPlaces(1, tmp_path / "runtime" / "places") as places:
        assert places.take(0, common=True, kept=True) == 0
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "runtime" / "places").iterdir()} == {
        "0o600"
    }
    assert (tmp_path / "runtime" / "places").stat().st_mode & 0o777 == 0o700


def test_a_folder_others_can_enter_is_not_used_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING), open_places(2, tmp_path) as places:
        assert type(places) is Places
    assert "within this process only" in caplog.text
    assert not list(tmp_path.iterdir())


def test_without_a_folder_places_are_of_this_process():
    with open_places(2, None) as places:
        assert type(places) is Places


def test_a_folder_that_is_tidied_away_does_not_stop_the_work(tmp_path: Path):
    with SharedPlaces(2, tmp_path) as places:
        for path in tmp_path.iterdir():
            path.unlink()
        os.rmdir(tmp_path)
        places.tell(Ranks(small=1.0))
        assert places.waiting_elsewhere() == Ranks()
        held = places.take(0, common=True, kept=True)
        assert held is not None
        places.give(held)
