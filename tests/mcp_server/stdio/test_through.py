"""``stdio --through``: a host's messages go to a running server, its answers come back."""

import json
import os
import signal
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import TextContent

from mcp_server.stdio.handshake import MODERN
from tests.mcp_server.stdio.test_stdio import CHAT, INITIALIZE, SCRIPT, Host, started
from tests.serving import free_port, serving
from tests.vllm.double import Double, chunk, doubled

pytestmark = pytest.mark.anyio

TOKEN = "a-token-of-the-server"


def of_a_user(home: Path, **variables: str) -> dict[str, str]:
    """Returns an environment whose processes share the folders in ``home``."""
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "LOCAL_LLM_ENGINE": "scripted",
        **variables,
    }


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project that no settings name."""
    folder = tmp_path / "shop"
    (folder / "src").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "service.log").write_text("The disk is full.")
    (tmp_path / "other.log").write_text("Outside.")
    return folder


@asynccontextmanager
async def through(url: str, folder: Path, user: dict[str, str], *options: str) -> AsyncGenerator[Host]:
    async with started(folder, INITIALIZE, ["--through", url, *options], variables=user) as host:
        yield host


def summarize(path: str, number: int = 2) -> dict[str, Any]:
    return {**CHAT, "id": number, "params": {"name": "summarize", "arguments": {"paths": [path]}}}


def modern(method: str, number: int, **params: Any) -> dict[str, Any]:
    """Returns a request of revision 2026-07-28."""
    meta: dict[str, Any] = {
        MODERN: "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": number,
    }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_client_gets_answers_and_progress(tmp_path: Path, shop: Path, mode: str) -> None:
    user = of_a_user(tmp_path)
    reported: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)

    async with serving(user, tmp_path) as url:
        process = StdioServerParameters(command=SCRIPT, args=["stdio", "--through", url], env=user, cwd=shop)
        with anyio.fail_after(30):
            async with Client(stdio_client(process), mode=mode) as client:
                assert (await client.list_tools()).tools[0].name == "classify"
                items = [f"Disk {number} is full in {number * 7}" for number in range(400)]
                arguments = {"items": items, "labels": ["disk", "login"]}
                answer = await client.call_tool("classify", arguments, progress_callback=report)
                assert answer.structured_content is not None
                assert sum(answer.structured_content["counts"].values()) == 400
                refused = await client.call_tool("classify", {"labels": []})
                assert refused.is_error
                assert isinstance(refused.content[0], TextContent)
    assert reported


async def test_the_files_of_the_folder_it_was_started_in_are_read_and_no_others(
    tmp_path: Path, shop: Path
) -> None:
    user = of_a_user(tmp_path)
    async with serving(user, tmp_path) as url, through(url, shop / "src", user) as host:
        answer = await host.ask(summarize("service.log"))
        assert answer["result"]["_meta"]["receipt"]["project"] == "shop"
        answer = await host.ask(summarize(str(tmp_path / "other.log")))
        assert "path_refused" in answer["result"]["content"][0]["text"]


async def test_claude_code_names_the_project_by_a_variable(tmp_path: Path, shop: Path) -> None:
    user = of_a_user(tmp_path, CLAUDE_PROJECT_DIR=str(shop))
    async with serving(of_a_user(tmp_path), tmp_path) as url, through(url, tmp_path, user) as host:
        answer = await host.ask(summarize("service.log"))
    assert answer["result"]["_meta"]["receipt"]["project"] == "shop"


@pytest.mark.parametrize("key", ["", "not the key of the server"])
async def test_without_the_key_only_a_configured_project_is_read(
    tmp_path: Path, shop: Path, key: str
) -> None:
    served = of_a_user(tmp_path)
    stranger = of_a_user(tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "other"))
    async with serving(served, tmp_path) as url:
        if key:
            file = tmp_path / "other" / "local-llm-agent" / f"serve-{url.rpartition(':')[2]}.key"
            file.parent.mkdir(parents=True)
            file.write_text(key)
        async with through(url, shop, stranger) as host:
            refused = (await host.ask(summarize("service.log")))["result"]["content"][0]["text"]
    assert "may read no files here" in refused
    assert "[projects.NAME] paths" in refused


async def test_without_the_key_the_folder_names_a_configured_project(tmp_path: Path, shop: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(shop))}]\n")
    served = of_a_user(tmp_path, LOCAL_LLM_CONFIG=str(config))
    stranger = of_a_user(tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "other"))
    async with serving(served, tmp_path) as url, through(url, shop, stranger) as host:
        answer = await host.ask(summarize("service.log"))
    assert answer["result"]["_meta"]["receipt"]["project"] == "shop"


async def test_the_key_is_the_user_s_own_and_ends_with_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "local-llm-agent"
    async with serving(of_a_user(tmp_path), tmp_path):
        (key,) = folder.glob("serve-*.key")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert len(key.read_text()) > 40
    assert list(folder.glob("serve-*.key")) == []


async def test_the_key_is_sent_to_no_other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mcp_server.local_key import KEY, key_file
    from mcp_server.stdio.target import Target
    from mcp_server.stdio.through import Caller

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    key_file(3160).parent.mkdir()
    key_file(3160).write_text("secret")
    for url, sent in [
        ("http://127.0.0.1:3160", True),
        ("http://localhost:3160/mcp", True),
        ("http://127.0.0.1.example.com:3160", False),
        ("http://10.0.0.7:3160", False),
        ("https://127.0.0.1:3160", False),
        ("http://127.0.0.1@example.com:3160", False),
    ]:
        assert (KEY in await Caller(Target(url), "").headers()) == sent, url


async def test_a_token_of_the_environment_is_sent_and_a_wrong_one_is_explained(tmp_path: Path) -> None:
    served = of_a_user(tmp_path, LOCAL_LLM_HTTP__TOKEN=TOKEN)
    async with serving(served, tmp_path) as url:
        async with through(url, tmp_path, served) as host:
            assert (await host.ask(CHAT))["result"]["content"][0]["text"] == "hello"
        async with through(url, tmp_path, of_a_user(tmp_path)) as host:
            error = (await host.ask(CHAT))["error"]
            assert error["data"]["code"] == "server_refused"
            assert "LOCAL_LLM_HTTP__TOKEN" in error["message"]


async def test_url_and_token_may_be_in_the_user_s_settings(tmp_path: Path) -> None:
    async with serving(of_a_user(tmp_path, LOCAL_LLM_HTTP__TOKEN=TOKEN), tmp_path) as url:
        config = tmp_path / "config.toml"
        config.write_text(f'[stdio]\nthrough = "{url}"\n[http]\ntoken = "{TOKEN}"\n')
        # An engine that cannot be: the process must not build one.
        user = of_a_user(tmp_path, LOCAL_LLM_CONFIG=str(config), LOCAL_LLM_ENGINE="none")
        async with started(tmp_path, variables=user) as host:
            assert (await host.ask(CHAT))["result"]["content"][0]["text"] == "hello"


async def test_without_a_server_a_call_says_what_to_do_and_with_one_it_is_answered(tmp_path: Path) -> None:
    user, port = of_a_user(tmp_path), free_port()
    async with through(f"http://127.0.0.1:{port}", tmp_path, user) as host:
        error = (await host.ask(CHAT))["error"]
        assert error["data"]["code"] == "server_unavailable"
        assert error["data"]["retryable"] is True
        assert "local-llm-agent serve" in error["data"]["hint"]
        async with serving(user, tmp_path, port):
            assert (await host.ask(CHAT))["result"]["content"][0]["text"] == "hello"


async def test_a_server_that_was_started_again_gets_a_new_session(tmp_path: Path) -> None:
    user, port = of_a_user(tmp_path), free_port()
    async with through(f"http://127.0.0.1:{port}", tmp_path, user) as host:
        for _ in range(2):
            async with serving(user, tmp_path, port):
                answers = [await host.ask({**CHAT, "id": number}) for number in (7, 8)]
                assert [answer["result"]["content"][0]["text"] for answer in answers] == ["hello", "hello"]


async def test_a_server_that_ends_in_a_call_is_reported(tmp_path: Path) -> None:
    double = Double()
    double.say(chunk({"content": "The"}, None), hold=True)
    async with doubled(double):
        user = of_a_user(tmp_path, LOCAL_LLM_ENGINE="vllm", LOCAL_LLM_VLLM__URL=double.url)
        port = free_port()
        async with through(f"http://127.0.0.1:{port}", tmp_path, user) as host:
            async with serving(user, tmp_path, port):
                await host.send(CHAT)
                await double.began.wait()
            answer = await host.receive()
    assert answer["error"]["data"]["code"] == "server_interrupted"


@pytest.mark.parametrize("call", [CHAT, modern("tools/call", 2, **CHAT["params"])], ids=["legacy", "modern"])
async def test_a_cancelled_call_is_cancelled_at_the_engine(tmp_path: Path, call: dict[str, Any]) -> None:
    double = Double()
    double.say(chunk({"content": "The"}, None), hold=True)
    async with doubled(double):
        user = of_a_user(tmp_path, LOCAL_LLM_ENGINE="vllm", LOCAL_LLM_VLLM__URL=double.url)
        async with serving(user, tmp_path) as url, through(url, tmp_path, user) as host:
            await host.send(call)
            await double.began.wait()
            await host.send(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
            )
            await double.left.wait()
            answer = await host.ask({**call, "id": 3})
    assert answer["id"] == 3
    assert answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
async def test_the_end_of_input_and_signals_end_it_cleanly(
    tmp_path: Path, number: signal.Signals | None
) -> None:
    user = of_a_user(tmp_path)
    async with serving(user, tmp_path) as url, through(url, tmp_path, user) as host:
        await host.ask(CHAT)
        if number is None:
            await host.hang_up()
        else:
            host.process.send_signal(number)
        with anyio.fail_after(5):
            assert await host.process.wait() == 0
        assert host.process.stderr is not None
        assert [part async for part in host.process.stderr] == []


@pytest.mark.parametrize(
    "line",
    [b"garbage\n", b"[]\n", b"7\n", b'{"id": 5}\n', b'{"method": 5, "id": {}}\n', b"[" * 90_000 + b"\n"],
)
async def test_a_line_that_is_no_message_does_not_end_the_session(tmp_path: Path, line: bytes) -> None:
    user = of_a_user(tmp_path)
    async with serving(user, tmp_path) as url, through(url, tmp_path, user) as host:
        assert host.process.stdin is not None
        await host.process.stdin.send(line)
        answer = await host.ask(CHAT)
        while answer.get("id") != 2:
            assert answer["error"]["code"] in (-32600, -32700)
            answer = await host.receive()
    assert answer["result"]["content"][0]["text"] == "hello"


@pytest.mark.parametrize("url", ["127.0.0.1:3160", "http://127.0.0.1:port", "ftp://127.0.0.1:3160"])
async def test_a_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    command = [SCRIPT, "stdio", "--through", url]
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in (INITIALIZE, CHAT))
    done = await anyio.run_process(command, input=lines, env=of_a_user(tmp_path), cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert b"http://127.0.0.1:3160" in done.stderr
