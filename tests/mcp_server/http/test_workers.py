"""``serve --workers``: spreading, sessions, metrics, restarts and the end."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import aiohttp
import anyio
import httpx2
import psutil
import pytest
from anyio.abc import Process
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from engines import system
from mcp_server.http import workers
from mcp_server.http.workers import serve_workers
from mcp_server.settings import HttpSettings, Settings, SettingsError
from tests.engines import embedded
from tests.mcp_server.test_lifecycle import CHAT, post, serving
from tests.soak.samples import Sample, sample

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(system.WINDOWS, reason="one worker only")]

TWO = {"engine": "scripted", "http__workers": 2}
LIMIT_S = 60

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    },
}
HEADERS = {"accept": "application/json, text/event-stream", "connection": "close"}


async def both(process: Process, url: str) -> list[psutil.Process]:
    """Returns the worker processes once new sessions reach both."""
    while len({(await initialized(url)).partition("-")[0] for _ in range(2)}) < 2:  # noqa: ASYNC110 (theirs)
        await anyio.sleep(0.05)
    return psutil.Process(process.pid).children()


async def initialized(url: str) -> str:
    """Returns the id of a new session, opened on a connection of its own."""
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(f"{url}/mcp", json=INITIALIZE) as answer,
    ):
        assert answer.status == 200
        return answer.headers["mcp-session-id"]


async def listing(url: str, session_id: str) -> int:
    """Returns the status of ``tools/list`` in a session."""
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with (
        aiohttp.ClientSession(headers={**HEADERS, "mcp-session-id": session_id}) as session,
        session.post(f"{url}/mcp", json=body) as answer,
    ):
        await answer.read()
        return answer.status


async def counted(url: str, name: str = "requests_total") -> int:
    """Returns a metric as one scrape, on a connection of its own, shows it."""
    async with aiohttp.ClientSession(headers=HEADERS) as session, session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = [line for line in lines if line.startswith(f"local_llm_agent_{name}{{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in found)


async def test_bursts_of_connections_are_spread_evenly(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            await both(process, url)
            opened: list[str] = []

            async def open_session() -> None:
                opened.append(await initialized(url))

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(open_session)
    assert Counter(name.partition("-")[0] for name in opened) == {"0": 10, "1": 10}


Transport = Callable[[str, str, int, Counter[str]], Coroutine[None, None, None]]


async def streamable(url: str, mode: str, number: int, seen: Counter[str]) -> None:
    async def note(response: httpx2.Response) -> None:
        seen[response.headers.get("mcp-session-id", "none").partition("-")[0]] += 1

    # Each request on a connection of its own, which the other worker may get.
    fresh = httpx2.Limits(max_keepalive_connections=0)
    http = httpx2.AsyncClient(timeout=20, limits=fresh, event_hooks={"response": [note]})
    connection = streamable_http_client(f"{url}/mcp", http_client=http)
    async with http, Client(connection, mode="legacy" if mode == "legacy" else "auto") as client:
        for call in range(4):
            assert not (await client.call_tool("chat", {"prompt": f"{mode} {number} {call}"})).is_error


async def sse(url: str, mode: str, number: int, seen: Counter[str]) -> None:
    async with Client(sse_client(f"{url}/sse"), mode="legacy" if mode == "legacy" else "auto") as client:
        for call in range(4):
            assert not (await client.call_tool("chat", {"prompt": f"sse {mode} {number} {call}"})).is_error


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("transport", [streamable, sse])
async def test_sessions_are_answered_whichever_worker_their_connections_reach(
    tmp_path: Path, transport: Transport, mode: str
) -> None:
    seen: Counter[str] = Counter()
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            await both(process, url)
            async with anyio.create_task_group() as group:
                for number in range(12):
                    group.start_soon(transport, url, mode, number, seen)
            assert await counted(url) == 12 * 4
    assert "Traceback" not in (tmp_path / "log").read_text()
    if transport is streamable:
        assert set(seen) == ({"0", "1"} if mode == "legacy" else {"none"})


async def test_a_caller_that_leaves_cancels_its_call_at_the_other_worker(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            pids = [worker.pid for worker in await both(process, url)]
            first = await initialized(url)
            before = [sample(pid, None, tmp_path) for pid in pids]
            # Of two connections with the same session, one reaches the worker that only passes it on.
            for _ in range(2):
                while (status := await opened_and_left(url, first)) == 409:  # noqa: ASYNC110 (of another process)
                    await anyio.sleep(0.05)  # the stream of the call before is not closed yet
                assert status == 200
            while [sample(pid, None, tmp_path).descriptors for pid in pids] > descriptors(before):  # noqa: ASYNC110 (theirs)
                await anyio.sleep(0.05)


async def opened_and_left(url: str, session_id: str) -> int:
    """Opens the session's stream, leaves at once, and returns the status."""
    async with (
        aiohttp.ClientSession(headers={**HEADERS, "mcp-session-id": session_id}) as session,
        session.get(f"{url}/mcp") as stream,
    ):
        return stream.status


def descriptors(samples: list[Sample]) -> list[int]:
    return [each.descriptors for each in samples]


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            await both(process, url)
            for session_id in ("0-", "1-nothing", "7-abc", "99-abc", "-", "²-abc", "abc", "1"):
                assert [await listing(url, session_id) for _ in range(2)] == [404, 404], session_id


async def test_the_session_of_a_worker_that_died_is_not_found_and_the_others_go_on(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            for worker in await both(process, url):
                opened = [await initialized(url) for _ in range(4)]
                await killed(worker, tmp_path)
                statuses = {(name[0], await listing(url, name)) for name in opened}
                assert {status for _, status in statuses} == {200, 404}
                assert len(statuses) == 2
                await both(process, url)


async def test_metrics_are_those_of_all_workers_and_survive_one_that_is_killed(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            first, _ = await both(process, url)
            for number in range(10):
                await post(url, "chat", {"prompt": f"before {number}"})
            assert [await counted(url) for _ in range(4)] == [10] * 4
            await killed(first, tmp_path)
            assert [await counted(url) for _ in range(4)] == [10] * 4
            await both(process, url)
            for number in range(10):
                await post(url, "chat", {"prompt": f"after {number}"})
            assert [await counted(url) for _ in range(4)] == [20] * 4
            assert await counted(url, "request_seconds_count") == 20
            assert await counted(url, "active") == 0
            assert await counted(url, "ledger_calls") == 20


async def test_metrics_do_not_wait_for_a_worker_that_hangs(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            hanging, _ = await both(process, url)
            await post(url, "chat", {"prompt": "one"})
            assert await counted(url) == 1
            hanging.suspend()
            found: list[int] = []

            async def scrape(scope: anyio.CancelScope) -> None:
                found.append(await counted(url))
                scope.cancel()

            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(scrape, group.cancel_scope)
            assert found == [1]
            hanging.resume()


async def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url):
            children = await both(process, url)
            process.kill()
            await process.wait()
            await gone(*children)
    assert "Traceback" not in (tmp_path / "log").read_text()


async def killed(worker: psutil.Process, folder: Path) -> None:
    """Kills a worker and waits until its parent has noticed."""
    before = restarts(folder)
    worker.kill()
    while restarts(folder) == before:  # noqa: ASYNC110 (no event crosses processes)
        await anyio.sleep(0.01)


def restarts(folder: Path) -> int:
    return (folder / "log").read_text().count("is started again")


async def gone(*processes: psutil.Process) -> None:
    while any(map(runs, processes)):  # noqa: ASYNC110 (no event crosses processes)
        await anyio.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("signalled", ["the parent", "all, as systemd does"])
async def test_a_signal_ends_all_cleanly_and_open_streams_with_them(tmp_path: Path, signalled: str) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url), aiohttp.ClientSession() as session:
            children = await both(process, url)
            async with session.get(f"{url}/sse") as stream:
                await stream.content.readline()
                begun = anyio.current_time()
                process.terminate()
                for child in children if signalled != "the parent" else ():
                    child.terminate()
                assert await process.wait() == 0
                assert anyio.current_time() - begun < workers.STOP_S
            assert not any(map(runs, children))
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log


async def test_at_a_second_signal_open_calls_are_not_waited_for(tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        async with serving(tmp_path, **TWO) as (process, url), aiohttp.ClientSession() as session:
            await both(process, url)
            async with session.get(f"{url}/sse") as stream:
                await stream.content.readline()
                begun = anyio.current_time()
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
                assert anyio.current_time() - begun < 1.5


def fake_worker(folder: Path, monkeypatch: pytest.MonkeyPatch, rest: str) -> Path:
    """Has workers run a script that notes its start and then ``rest``; returns the file of its notes."""
    notes, script = folder / "notes", folder / "worker.py"
    script.write_text(
        f"import socket, sys, time\nopen({str(notes)!r}, 'a').write(str(time.monotonic()) + ' ')\n{rest}\n"
    )
    monkeypatch.setattr(workers, "MAIN", script)
    return notes


def settings() -> Settings:
    return Settings(http=HttpSettings(port=0, workers=3))


async def test_an_error_at_the_start_is_reported_once_and_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = fake_worker(tmp_path, monkeypatch, "sys.exit(3)")
    announced: list[int] = []
    with anyio.fail_after(20):
        code = await serve_workers(settings(), lambda _, port: announced.append(port), verbose=False)
    assert code == 3
    assert len(noted(notes)) == 1
    assert announced == []


async def test_a_worker_that_ends_again_and_again_is_started_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = fake_worker(
        tmp_path, monkeypatch, "socket.socket(fileno=int(sys.argv[-1])).sendall(b'ready \\n')"
    )
    one = Settings(http=HttpSettings(port=0, workers=2))
    monkeypatch.setattr(workers, "LONGEST_PAUSE_S", 0.4)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: serve_workers(one, lambda host, port: None, verbose=False))
            while len(noted(notes)) < 10:  # noqa: ASYNC110 (no event crosses processes)
                await anyio.sleep(0.05)
            os.kill(os.getpid(), signal.SIGTERM)
    # Two workers, each at once and then after 0.1, 0.2, 0.4 and 0.4 s.
    starts = noted(notes)
    assert starts[9] - starts[0] > 1.0


def noted(notes: Path) -> list[float]:
    return [float(each) for each in notes.read_text().split()] if notes.exists() else []


async def test_windows_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    with pytest.raises(SettingsError, match="one worker"):
        await serve_workers(settings(), lambda host, port: None, verbose=False)


@pytest.mark.model
async def test_workers_share_one_embedded_engine(models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "local-llm-agent").mkdir()
    (tmp_path / "local-llm-agent" / "models").symlink_to(models_folder)
    folder = tmp_path / "run" / "local-llm-agent"
    with anyio.fail_after(LIMIT_S):
        async with serving(
            tmp_path, engine="llamacpp", http__workers=2, llamacpp__context=2048, llamacpp__idle_seconds=1
        ) as (process, url):
            await both(process, url)
            answers: list[str] = []

            async def ask(number: int) -> None:
                answer = await post(url, "chat", {**CHAT, "prompt": f"Say yes to {number}."})
                answers.append(json.dumps(answer))

            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(ask, number)
            assert all('"text"' in answer for answer in answers)
            assert len(embedded.states(folder)) == 1
        await embedded.stop(folder)
