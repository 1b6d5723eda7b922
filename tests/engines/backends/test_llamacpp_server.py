"""The embedded engine's process: shared, restarted, stopped when idle, and private to its user."""

import json
import signal
import stat
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import anyio
import pytest

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.llamacpp.server import attach, configuration
from engines.base import TextDelta
from engines.errors import EngineInterruptedError, EngineTimeoutError, EngineUnavailableError
from engines.locks import held, is_held
from tests.engines import embedded
from tests.engines.sample_requests import ask

pytestmark = [pytest.mark.anyio, pytest.mark.model]

CLIENT = """
import sys, anyio
from pathlib import Path
from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.base import Message, Request
from tests.engines import embedded

async def main(models, folder):
    settings = embedded.settings(embedding="", adapters={})
    async with LlamaCppEngine(settings, models_folder=Path(models), runtime_folder=Path(folder)) as engine:
        await engine.complete(Request((Message("user", "Hi"),), max_tokens=2))
    print(embedded.process(Path(folder)))

anyio.run(main, *sys.argv[1:])
"""

HOLDER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def engine(models_folder: Path, tmp_path: Path) -> AsyncGenerator[LlamaCppEngine, None]:
    """An engine with a separate process in ``tmp_path``."""
    settings = embedded.settings(embedding="", adapters={}, idle_seconds=60)
    async with LlamaCppEngine(settings, models_folder=models_folder, runtime_folder=tmp_path) as llamacpp:
        yield llamacpp
    await embedded.stop(tmp_path)


@pytest.fixture
def hasty(models_folder: Path, tmp_path: Path) -> LlamaCppEngine:
    """An engine whose process stops after a short idle time."""
    settings = embedded.settings(embedding="", adapters={}, idle_seconds=0.2)
    return LlamaCppEngine(settings, models_folder=models_folder, runtime_folder=tmp_path)


async def say(engine: LlamaCppEngine) -> str:
    with anyio.fail_after(60):
        return (await engine.complete(ask("Hi", max_tokens=2))).text


async def test_processes_that_start_at_once_share_one_engine(models_folder: Path, tmp_path: Path):
    async def client(found: list[str]) -> None:
        command = [sys.executable, "-c", CLIENT, str(models_folder), str(tmp_path)]
        found.append((await anyio.run_process(command, stderr=None)).stdout.decode())

    pids: list[str] = []
    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client, pids)
    assert len(pids) == 3
    assert {int(pid) for pid in pids} == {embedded.process(tmp_path)}
    await embedded.stop(tmp_path)


async def test_the_process_outlives_its_client_and_the_next_client_finds_it(
    engine: LlamaCppEngine, models_folder: Path, tmp_path: Path
):
    async with LlamaCppEngine(
        embedded.settings(embedding="", adapters={}), models_folder=models_folder, runtime_folder=tmp_path
    ) as first:
        await say(first)
    pid = embedded.process(tmp_path)
    assert [model.loaded for model in await engine.models()] == [True]
    await say(engine)
    assert embedded.process(tmp_path) == pid


async def test_the_process_stops_when_idle_and_restarts_on_a_request(hasty: LlamaCppEngine, tmp_path: Path):
    async with hasty:
        await say(hasty)
        lock = embedded.lock(tmp_path)
        await embedded.gone(lock)
        assert embedded.states(tmp_path) == []
        assert not lock.with_suffix(".json").exists()
        await say(hasty)
        await embedded.gone(lock)


async def test_a_long_answer_is_not_idleness(hasty: LlamaCppEngine, tmp_path: Path):
    async with hasty:
        with anyio.fail_after(120):
            answer = await hasty.complete(ask("Tell a very long story.", max_tokens=150))
        assert answer.done.usage.completion_tokens > 100
        await embedded.gone(embedded.lock(tmp_path))


async def test_a_process_that_dies_interrupts_only_the_current_answer(engine: LlamaCppEngine, tmp_path: Path):
    with anyio.fail_after(60):
        async with engine.stream(ask("Tell a story.", max_tokens=2000)) as events:
            assert isinstance(await anext(events), TextDelta)
            first = embedded.process(tmp_path)
            await embedded.kill(tmp_path)
            with pytest.raises(EngineInterruptedError):
                async for _ in events:
                    pass
    assert await say(engine)
    assert embedded.process(tmp_path) != first


async def test_a_dead_process_is_replaced_without_an_error(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    await embedded.kill(tmp_path)
    assert [model.loaded for model in await engine.models()] == [False]
    assert await say(engine)


async def test_a_request_is_repeated_if_the_process_dies_before_the_first_event(
    engine: LlamaCppEngine, tmp_path: Path
):
    await say(engine)
    answers: list[str] = []

    async def long_prompt() -> None:
        answers.append((await engine.complete(ask("word " * 600, max_tokens=2))).text)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(long_prompt)
            while not await embedded.busy_slots(tmp_path):  # noqa: ASYNC110 (no event crosses processes)
                await anyio.sleep(0.02)
            await embedded.kill(tmp_path)
    assert len(answers) == 1


async def test_a_stale_state_file_is_ignored(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    lock, state = embedded.lock(tmp_path), embedded.states(tmp_path)[0]
    await embedded.kill(tmp_path)
    lock.with_suffix(".json").write_text(json.dumps(state | {"url": "http://127.0.0.1:1"}))
    assert await say(engine)


async def test_a_process_without_its_state_file_stops(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    lock = embedded.lock(tmp_path)
    await anyio.Path(lock.with_suffix(".json")).unlink()
    await embedded.gone(lock)


async def test_a_stopped_process_removes_its_state_file(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    lock = embedded.lock(tmp_path)
    await embedded.kill(tmp_path, signal.SIGTERM)
    assert not lock.with_suffix(".json").exists()


def read(path: Path) -> bytes:
    return path.read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_key_is_the_owners_alone(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    (state,) = embedded.states(tmp_path)
    key = state["key"].encode()
    assert len(key) > 40
    lock = embedded.lock(tmp_path)
    process = Path("/proc", str(state["pid"]))
    assert not any(key in read(file) for file in (process / "cmdline", process / "environ"))
    assert key not in read(lock.with_suffix(".log"))
    assert mode(tmp_path) == 0o700
    assert [mode(lock.with_suffix(suffix)) for suffix in (".json", ".log", ".lock")] == [0o600] * 3


async def test_requests_without_the_key_are_rejected(engine: LlamaCppEngine, tmp_path: Path):
    await say(engine)
    (state,) = embedded.states(tmp_path)
    for path in ("/slots", "/props", "/metrics"):
        async with aiohttp.request("GET", state["url"] + path) as response:
            assert response.status == 401


async def test_a_start_that_takes_too_long_is_given_up(
    engine: LlamaCppEngine, models_folder: Path, tmp_path: Path
):
    settings = embedded.settings(embedding="", adapters={})
    config = configuration(settings, model=settings.model, models_folder=models_folder)
    with anyio.fail_after(10), pytest.raises(EngineTimeoutError, match="embedded engine to start"):
        await attach(config, tmp_path, deadline=anyio.current_time() + 0.05)
    assert await say(engine)


async def test_a_folder_that_is_not_ours_is_refused(models_folder: Path, tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    settings = embedded.settings(embedding="", adapters={})
    async with LlamaCppEngine(
        settings, models_folder=models_folder, runtime_folder=tmp_path / "ours"
    ) as engine:
        with pytest.raises(EngineUnavailableError, match="belongs to another user"):
            await engine.complete(ask())


async def test_a_lock_is_for_one_at_a_time_and_ends_with_its_holder(tmp_path: Path):
    path = tmp_path / "lock"
    assert not is_held(path)
    async with held(path):
        assert is_held(path)
        with anyio.move_on_after(0.1) as waited:
            async with held(path):
                pytest.fail("two at once")
        assert waited.cancelled_caught
    assert not is_held(path)
    async with await anyio.open_process([sys.executable, "-c", HOLDER, str(path)]) as other:
        assert other.stdout
        with anyio.fail_after(5):
            await other.stdout.receive()
        assert is_held(path)
        other.kill()
    assert not is_held(path)
