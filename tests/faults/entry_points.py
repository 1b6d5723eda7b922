"""Sends one question through each entry point and returns what the caller saw: an answer or an error code."""

import io
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import count
from typing import Any
from unittest.mock import patch

import aiohttp
import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from mcp_server.cli import tools as asking
from mcp_server.cli.parser import parser
from shim.errors import OPENAI_CODE, STATUS, STATUS_OF_CODE
from tests.mcp_server.stdio.test_stdio import Host

ANSWERED = "answered"
OURS = {theirs: ours for ours, theirs in OPENAI_CODE.items()}
SDK_S = 20


@dataclass(frozen=True)
class Seen:
    """What a caller got. ``kind`` and ``code`` are empty for an answer."""

    text: str = ""
    code: str = ""
    kind: str = ""
    retry_after: float | None = None

    @property
    def outcome(self) -> str:
        return self.code or ANSWERED


@dataclass
class Servers:
    """The processes that serve one engine, and their addresses."""

    environment: Mapping[str, str]
    url: str
    host: Host
    """The other end of a stdio server."""
    command: Sequence[str]
    """Starts the command line in a process of its own; empty: it runs in this process."""


async def by_stdio(servers: Servers, prompt: str) -> Seen:
    number = next(_numbers)
    call: dict[str, Any] = {"name": "chat", "arguments": {"prompt": prompt}}
    answer = await servers.host.ask({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
    while answer.get("id") != number:
        answer = await servers.host.receive()
    return _of_mcp(CallToolResult.model_validate(answer["result"]))


async def by_streamable_http(servers: Servers, prompt: str) -> Seen:
    http = httpx2.AsyncClient(timeout=SDK_S)
    async with http, Client(streamable_http_client(f"{servers.url}/mcp", http_client=http)) as client:
        return _of_mcp(await client.call_tool("chat", {"prompt": prompt}))


async def by_sse(servers: Servers, prompt: str) -> Seen:
    async with Client(sse_client(f"{servers.url}/sse")) as client:
        return _of_mcp(await client.call_tool("chat", {"prompt": prompt}))


async def by_v1(servers: Servers, prompt: str) -> Seen:
    status, headers, text = await _post(f"{servers.url}/v1/chat/completions", _openai(prompt))
    body = json.loads(text)
    if status == 200:
        return Seen(body["choices"][0]["message"]["content"])
    return _of_openai(body["error"], status, headers)


async def by_v1_streamed(servers: Servers, prompt: str) -> Seen:
    body = _openai(prompt) | {"stream": True}
    status, headers, text = await _post(f"{servers.url}/v1/chat/completions", body)
    if status != 200:
        return _of_openai(json.loads(text)["error"], status, headers)
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    bodies = [json.loads(event) for event in events if event != "[DONE]"]
    if "error" in bodies[-1]:
        return _of_openai(bodies[-1]["error"], None, headers)
    assert events[-1] == "[DONE]", events
    return Seen("".join(event["choices"][0]["delta"].get("content", "") for event in bodies))


async def by_rest(servers: Servers, prompt: str) -> Seen:
    status, headers, text = await _post(f"{servers.url}/mcp/tools/chat", {"prompt": prompt})
    body = json.loads(text)
    if status == 200:
        return Seen(body["text"])
    error = body["error"]
    assert status == (STATUS_OF_CODE.get(error["code"]) or STATUS[error["kind"]]), text
    return Seen(code=error["code"], kind=error["kind"], retry_after=_retry_after(headers))


async def by_command_line(servers: Servers, prompt: str) -> Seen:
    arguments = ["chat", "--json", prompt]
    code, out = await (_apart if servers.command else _here)(servers, arguments)
    body = json.loads(out)
    if code == 0:
        return Seen(body["text"])
    error = body["error"]
    return Seen(code=error["code"], kind=error["kind"], retry_after=error.get("retry_after"))


async def _here(servers: Servers, arguments: Sequence[str]) -> tuple[int, str]:
    """Runs the command in this process, one at a time; start-up time is measured by another test."""
    with patch.dict(os.environ, servers.environment), redirect_stdout(io.StringIO()) as out:
        code = await asking.chat(parser().parse_args(arguments))
    return code, out.getvalue()


async def _apart(servers: Servers, arguments: Sequence[str]) -> tuple[int, str]:
    done = await anyio.run_process([*servers.command, *arguments], env=servers.environment, check=False)
    return done.returncode, done.stdout.decode()


EntryPoint = Callable[[Servers, str], Awaitable[Seen]]

ENTRY_POINTS: dict[str, EntryPoint] = {
    "stdio": by_stdio,
    "Streamable HTTP": by_streamable_http,
    "SSE": by_sse,
    "/v1": by_v1,
    "/v1 streamed": by_v1_streamed,
    "REST": by_rest,
    "command line": by_command_line,
}

_numbers = count(100)


def _openai(prompt: str) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": prompt}]}


async def _post(url: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], str]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, answer.headers, await answer.text()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return float(headers["retry-after"]) if "retry-after" in headers else None


def _of_mcp(result: CallToolResult) -> Seen:
    [block] = result.content
    assert isinstance(block, TextContent)
    if not result.is_error:
        return Seen(block.text)
    assert result.structured_content is not None
    error = result.structured_content["error"]
    assert block.text.startswith(f"{error['code']}: "), block.text
    return Seen(code=error["code"], kind=error["kind"], retry_after=error.get("retry_after"))


def _of_openai(error: Mapping[str, Any], status: int | None, headers: Mapping[str, str]) -> Seen:
    """Derives the kind of an error that comes before the first event from its HTTP status."""
    code = OURS.get(error["code"]) or str(error["code"])
    kinds: dict[int, str] = {number: kind for kind, number in STATUS.items()}
    kind = kinds.get(status, "caller") if status else "streamed"
    return Seen(code=code, kind=kind, retry_after=_retry_after(headers))
