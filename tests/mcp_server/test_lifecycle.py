"""Server lifecycle: cleanup after a kill, start beside other servers, resources over many calls."""

import json
import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
import pytest
from anyio.abc import Process
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from engines.backends.llamacpp import server as llamacpp_server
from engines.backends.llamacpp.engine import LlamaCppEngine
from tests.engines import embedded
from tests.engines.sample_requests import ask
from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.serving import answering
from tests.soak.samples import Sample, sample

pytestmark = pytest.mark.anyio

CHAT = {"prompt": "Say yes.", "max_tokens": 4}


@asynccontextmanager
async def serving(home: Path, **settings: object) -> AsyncGenerator[tuple[Process, str]]:
    """Runs ``serve`` with its own home folder; kills it at the end if it still runs."""
    for folder in ("run", "tmp"):
        (home / folder).mkdir(mode=0o700, exist_ok=True)
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    (home / "config.toml").write_text("".join(lines).replace("__", "."))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LOCAL_LLM_CONFIG": str(home / "config.toml"),
        "XDG_CACHE_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "TMPDIR": str(home / "tmp"),
    }  # fmt: skip
    command = [SCRIPT, "serve", "--port", str(port)]
    with (home / "log").open("wb") as log:
        async with await anyio.open_process(command, env=environment, stderr=log) as process:
            url = f"http://127.0.0.1:{port}"
            try:
                await answering(url)
                yield process, url
            finally:
                if process.returncode is None:
                    process.kill()


async def post(url: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/mcp/tools/{tool}", json=arguments) as answer,
    ):
        return await answer.json()


@pytest.mark.model
async def test_no_engine_outlives_a_killed_server_for_long(models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "local-llm-agent").mkdir()
    (tmp_path / "local-llm-agent" / "models").symlink_to(models_folder)
    small = {"llamacpp__idle_seconds": 1, "llamacpp__context": 2048}
    folder = tmp_path / "run" / "local-llm-agent"
    with anyio.fail_after(60):
        async with serving(tmp_path, engine="llamacpp", **small) as (process, url):
            assert "text" in await post(url, "chat", CHAT)
            lock = embedded.lock(folder)
            process.kill()
            await process.wait()
        await embedded.gone(lock)
        assert not list(folder.glob("llamacpp-*.json"))
        async with serving(tmp_path, engine="llamacpp", **small) as (_, url):
            assert "text" in await post(url, "chat", CHAT)
        await embedded.stop(folder)


@pytest.mark.model
async def test_after_an_upgrade_older_servers_keep_the_older_engine_beside_the_newer_one(
    models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine() -> LlamaCppEngine:
        return LlamaCppEngine(embedded.settings(), models_folder=models_folder, runtime_folder=tmp_path)

    with anyio.fail_after(60):
        async with engine() as older, engine() as newer:
            assert (await older.complete(ask(max_tokens=4))).text
            monkeypatch.setattr(llamacpp_server, "package_version", lambda: "another")
            assert (await newer.complete(ask(max_tokens=4))).text
            states = embedded.states(tmp_path)
            assert len(states) == 2
            assert (await older.complete(ask(max_tokens=5))).text
            assert (await newer.complete(ask(max_tokens=5))).text
            assert embedded.states(tmp_path) == states
        for state in states:
            os.kill(int(state["pid"]), signal.SIGTERM)
            await embedded.gone(tmp_path / f"llamacpp-{state['fingerprint']}.lock")


async def test_a_server_that_is_stopped_hangs_up_in_peace(tmp_path: Path) -> None:
    async with serving(tmp_path, engine="scripted") as (process, url), aiohttp.ClientSession() as session:
        sent = anyio.Event()

        async def half_a_body() -> AsyncGenerator[bytes]:
            yield b"{"
            sent.set()
            await anyio.sleep_forever()

        with anyio.fail_after(20):
            async with session.get(f"{url}/sse") as stream, anyio.create_task_group() as group:
                await stream.content.readline()
                group.start_soon(refused, session, f"{url}/mcp/tools/chat", half_a_body())
                await sent.wait()
                process.terminate()
                assert await process.wait() == 0
                group.cancel_scope.cancel()
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said


async def refused(session: aiohttp.ClientSession, url: str, body: AsyncGenerator[bytes]) -> None:
    with suppress(aiohttp.ClientError):
        async with session.post(url, data=body):
            pass


async def test_a_thousand_calls_leave_nothing_behind(tmp_path: Path) -> None:
    with anyio.fail_after(120):
        async with serving(tmp_path, engine="scripted") as (process, url):
            await calls(url, 200)
            before = sample(process.pid, None, tmp_path)
            await calls(url, 1000)
            after = await settled(process.pid, tmp_path, before.descriptors)
    # Answers are kept in memory until they are in the file: a few MiB come and go.
    assert after.server < before.server + 8
    assert after.threads <= before.threads + 1
    assert after.descriptors <= before.descriptors + 1
    assert after.files == before.files
    assert after.state_files == before.state_files


async def settled(pid: int, folder: Path, descriptors: int) -> Sample:
    """Returns the resources in use once the server has closed the last connections."""
    with anyio.move_on_after(10):
        while sample(pid, None, folder).descriptors > descriptors:  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.1)
    return sample(pid, None, folder)


async def calls(url: str, count: int) -> None:
    """Makes ``count`` calls over REST, ``/v1``, Streamable HTTP and SSE, on new connections and sessions."""
    async with aiohttp.ClientSession() as session:
        for number in range(count // 4):
            arguments = {"prompt": f"question {number} of {count}"}
            async with session.post(f"{url}/mcp/tools/chat", json=arguments) as answer:
                assert answer.status == 200
            body = {"messages": [{"role": "user", "content": f"and {number} of {count}"}], "stream": True}
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                assert (await answer.text()).endswith("[DONE]\n\n")
    for start in range(0, count // 4, 10):
        http = httpx2.AsyncClient(timeout=20)
        async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            for number in range(start, start + 10):
                await client.call_tool("chat", {"prompt": f"streamable {number} of {count}"})
        async with Client(sse_client(f"{url}/sse")) as client:
            for number in range(start, start + 10):
                await client.call_tool("chat", {"prompt": f"sse {number} of {count}"})
