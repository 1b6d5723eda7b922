"""The stdio server as a subprocess: pipes, signals and exit codes."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

pytestmark = pytest.mark.anyio

SCRIPT = str(Path(sys.executable).with_name("local-llm-agent"))

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    },
}
CHAT: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "chat", "arguments": {"prompt": "hello"}},
}


class Host:
    """An MCP host: the client end of the pipes."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._in = process.stdin
        self._out = BufferedByteReceiveStream(process.stdout)

    async def send(self, message: dict[str, Any]) -> None:
        await self._in.send(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        return json.loads(await self._out.receive_until(b"\n", 2**20))

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        await self.send(message)
        return await self.receive()

    async def hang_up(self) -> None:
        await self._in.aclose()


@asynccontextmanager
async def started(
    folder: Path,
    initialize: dict[str, Any] = INITIALIZE,
    options: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> AsyncGenerator[Host]:
    environment = {**os.environ, "LOCAL_LLM_ENGINE": "scripted", **variables}
    command = [SCRIPT, "stdio", *options]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, cwd=folder, env=environment) as process:
            host = Host(process)
            assert (await host.ask(initialize))["result"]["serverInfo"]["name"] == "local-llm-agent"
            await host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            yield host


async def test_end_of_input_ends_the_server_cleanly(tmp_path: Path) -> None:
    async with started(tmp_path) as host:
        await host.hang_up()
        assert await host.process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_cleanly_though_input_stays_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with started(tmp_path) as host:
        host.process.send_signal(number)
        with anyio.fail_after(2):
            assert await host.process.wait() == 0


async def test_a_line_that_is_no_message_does_not_end_the_session(tmp_path: Path) -> None:
    async with started(tmp_path) as host:
        await host.send({"garbage": True})
        answer = await host.ask(CHAT)
        while answer.get("id") != 2:
            answer = await host.receive()
    assert answer["result"]["content"][0]["text"] == "hello"


async def test_an_error_is_a_result_the_model_can_read(tmp_path: Path) -> None:
    async with started(tmp_path) as host:
        arguments = {"paths": ["missing.txt"]}
        answer = await host.ask({**CHAT, "params": {"name": "summarize", "arguments": arguments}})
    result = answer["result"]
    assert result["isError"] is True
    assert "missing.txt" in result["content"][0]["text"]
    assert result["structuredContent"]["error"]["code"] == "path_not_found"


async def test_the_project_is_the_git_root_of_the_folder_we_were_started_in(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "top.txt").write_text("At the top.")
    async with started(below) as host:
        arguments = {"paths": ["top.txt"]}
        answer = await host.ask({**CHAT, "params": {"name": "summarize", "arguments": arguments}})
    assert answer["result"]["_meta"]["receipt"]["project"] == tmp_path.name


async def test_claude_code_names_the_project_by_a_variable(tmp_path: Path) -> None:
    project = tmp_path / "elsewhere"
    project.mkdir()
    (project / "a.txt").write_text("Here.")
    async with started(tmp_path, variables={"CLAUDE_PROJECT_DIR": str(project)}) as host:
        answer = await host.ask({**CHAT, "params": {"name": "summarize", "arguments": {"paths": ["a.txt"]}}})
    assert answer["result"]["_meta"]["receipt"]["project"] == "elsewhere"


async def test_all_definitions_fit_into_nine_hundred_tokens(tmp_path: Path) -> None:
    from engines.tokens import load

    async with started(tmp_path) as host:
        answer = await host.ask({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    tools = answer["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["classify", "extract", "summarize", "chat"]
    assert load(tmp_path).count(json.dumps(tools, separators=(",", ":"))) <= 900
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools)


async def test_a_client_with_roots_is_asked_for_them_and_its_log_stays_empty(tmp_path: Path) -> None:
    folder, project = tmp_path / "empty", tmp_path / "shop"
    folder.mkdir()
    project.mkdir()
    (tmp_path / "config.toml").write_text(f"[projects.shop]\npaths = [{json.dumps(str(project))}]\n")
    with_roots: dict[str, Any] = {
        **INITIALIZE,
        "params": {**INITIALIZE["params"], "capabilities": {"roots": {}}},
    }
    variables = {"LOCAL_LLM_CONFIG": str(tmp_path / "config.toml"), "HOME": str(folder)}
    async with started(folder, with_roots, variables=variables) as host:
        asked = await host.ask(CHAT)
        assert asked["method"] == "roots/list"
        roots = {"roots": [{"uri": project.as_uri()}]}
        answer = await host.ask({"jsonrpc": "2.0", "id": asked["id"], "result": roots})
        await host.hang_up()
        assert await host.process.wait() == 0
        assert host.process.stderr is not None
        assert [part async for part in host.process.stderr] == []
    assert answer["result"]["_meta"]["receipt"]["project"] == "shop"
