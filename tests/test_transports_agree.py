"""One call through every transport gives one result: stdio, Streamable HTTP, SSE, REST, the command line."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.serving import serving

pytestmark = pytest.mark.anyio

LOG = "\n".join(["the disk is full", "user 12 signed in", "disk space is running out", "a user logged out"])

CALLS: dict[str, dict[str, Any]] = {
    "classify": {"paths": ["service.log"], "split": "line", "labels": ["disk space", "user login"]},
    "extract": {"paths": ["service.log"], "fields": {"user": "number of the user that signed in"}},
    "summarize": {"paths": ["service.log"], "max_words": 20},
    "chat": {"prompt": "Name a colour.", "max_tokens": 12},
}

COMMANDS: dict[str, list[str]] = {
    "classify": ["--labels", "disk space,user login", "--paths", "service.log", "--split", "line"],
    "extract": [
        "--fields", '{"user": "number of the user that signed in"}', "--paths", "service.log",
    ],
    "summarize": ["--max-words", "20", "--paths", "service.log"],
    "chat": ["--max-tokens", "12", "Name a colour."],
}  # fmt: skip


@dataclass(frozen=True)
class ServedProject:
    """A project on disk, the URL of a server for it, and the environment of both."""

    root: Path
    url: str
    environment: dict[str, str]


@pytest.fixture(params=["scripted", pytest.param("llamacpp", marks=pytest.mark.model)])
async def served(
    request: pytest.FixtureRequest, tmp_path: Path, models_folder: Path
) -> AsyncIterator[ServedProject]:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "service.log").write_text(LOG)
    config = tmp_path / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(project))}]\n")
    cache = tmp_path / "cache"
    (cache / "local-llm-agent").mkdir(parents=True)
    (cache / "local-llm-agent" / "models").symlink_to(models_folder)
    environment = {
        **os.environ,
        "LOCAL_LLM_CONFIG": str(config),
        "LOCAL_LLM_ENGINE": request.param,
        "LOCAL_LLM_CACHE": "false",
        "LOCAL_LLM_LLAMACPP__IDLE_SECONDS": "20",
        "XDG_CACHE_HOME": str(cache),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    async with serving(environment, tmp_path) as url:
        yield ServedProject(project, url, environment)


Transport = Callable[[ServedProject, str, dict[str, Any]], Awaitable[dict[str, Any]]]


async def by_stdio(served: ServedProject, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    server = StdioServerParameters(command=SCRIPT, args=["stdio"], env=served.environment, cwd=served.root)
    async with Client(stdio_client(server)) as client:
        return answer_of(await client.call_tool(tool, arguments))


async def by_stdio_through_the_server(
    served: ServedProject, tool: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    options = ["stdio", "--through", served.url]
    server = StdioServerParameters(command=SCRIPT, args=options, env=served.environment, cwd=served.root)
    async with Client(stdio_client(server)) as client:
        return answer_of(await client.call_tool(tool, arguments))


async def by_streamable_http(served: ServedProject, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    http = httpx2.AsyncClient(headers={"X-Project": "shop"}, timeout=60)
    async with http, Client(streamable_http_client(f"{served.url}/mcp", http_client=http)) as client:
        return answer_of(await client.call_tool(tool, arguments))


async def by_sse(served: ServedProject, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    async with Client(sse_client(f"{served.url}/sse", headers={"X-Project": "shop"})) as client:
        return answer_of(await client.call_tool(tool, arguments))


async def by_rest(served: ServedProject, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(headers={"X-Project": "shop"}) as session,
        session.post(f"{served.url}/mcp/tools/{tool}", json=arguments) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def by_command_line(served: ServedProject, tool: str) -> dict[str, Any]:
    command = [SCRIPT, tool, "--json", *COMMANDS[tool]]
    done = await anyio.run_process(command, env=served.environment, cwd=served.root, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


TRANSPORTS: list[Transport] = [
    by_stdio,
    by_stdio_through_the_server,
    by_streamable_http,
    by_sse,
    by_rest,
]


def answer_of(result: CallToolResult) -> dict[str, Any]:
    """Converts an MCP result to the REST form; checks that text and structured content are equal."""
    assert not result.is_error, result.content
    block = result.content[0]
    assert isinstance(block, TextContent)
    assert result.meta is not None
    beside = {name: value for name, value in result.meta.items() if not name.startswith("io.")}
    if result.structured_content is not None:
        assert json.loads(block.text) == result.structured_content
        return {**result.structured_content, **beside}
    return {("summary" if "covered" in beside else "text"): block.text, **beside}


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Drops what may differ: the time, and the saving, which counts each transport's own arguments."""
    receipt = {k: v for k, v in answer["receipt"].items() if k not in {"ms", "saved", "route", "tokens"}}
    return {**answer, "receipt": receipt}


@pytest.mark.parametrize("tool", list(CALLS))
async def test_every_transport_gives_the_same_result(served: ServedProject, tool: str) -> None:
    if served.environment["LOCAL_LLM_ENGINE"] == "llamacpp" and tool in {"summarize", "chat"}:
        pytest.skip("free text of a real model may differ in its last digits and so in its words")
    with anyio.fail_after(120):
        answers = [await transport(served, tool, CALLS[tool]) for transport in TRANSPORTS]
        answers.append(await by_command_line(served, tool))
    first, *others = map(comparable, answers)
    assert first["receipt"]["project"] == "shop"
    for other in others:
        assert other == first
