"""Three agents, on stdio, Streamable HTTP and /v1, that send calls without pause and record each outcome."""

import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation

from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.soak.home import PROJECT, Home

DEADLINE_S = 60.0
"""Deadline of every call, which is a setting of the server."""
LATE_S = 5.0
"""Allowed beyond the deadline, for the response on a busy machine."""
WORKERS = 2
"""Concurrent calls of an agent."""
PATIENCE_S = (0.01, 1.5)
"""Range of the time after which a caller cancels."""

SUBJECTS = ("the printer", "the login page", "the invoice", "the delivery", "the phone line", "the search")
TROUBLES = ("is broken", "was late", "works again", "asks for a password", "costs too much", "is gone")

Ask = Callable[[str, Mapping[str, Any]], Awaitable[str]]
"""Takes a tool and its arguments; returns ``answered`` or an error code."""


@dataclass
class Outcomes:
    """Outcomes of all calls."""

    ends: Counter[str] = field(default_factory=Counter[str])
    seconds: list[float] = field(default_factory=list[float])
    """Durations of the calls that were waited for."""
    ended: Counter[str] = field(default_factory=Counter[str])
    """Calls that were waited for, by agent."""
    cancelled: Counter[str] = field(default_factory=Counter[str])
    """Calls that were cancelled, by agent; some had ended before."""
    wrong: list[str] = field(default_factory=list[str])
    """Calls that ended in neither an answer nor a typed error, or too late."""


def call(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Returns a random valid call, seldom the same twice."""
    text = f"{chance.choice(SUBJECTS)} {chance.choice(TROUBLES)}, case {chance.randrange(10**6)}"
    match chance.randrange(6):
        case 0:
            items = [f"{subject} {chance.choice(TROUBLES)}" for subject in SUBJECTS]
            return "classify", {"items": items, "labels": ["technical problem", "delivery", "praise"]}
        case 1:
            return "classify", {"text": text, "labels": {"bug": "something fails", "question": "asks"}}
        case 2:
            return "extract", {"text": text, "fields": {"case": "number of the case"}}
        case 3:
            return "summarize", {"paths": ["notes.txt"], "max_words": 20}
        case 4:
            return "classify", {"paths": ["notes.txt"], "split": "line", "labels": ["open", "done"]}
        case _:
            return "chat", {"prompt": f"Say in a few words: {text}", "max_tokens": chance.randrange(4, 24)}


def broken(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Returns a random invalid call."""
    return chance.choice(
        [
            ("chat", {}),
            ("classify", {"text": "a", "labels": []}),
            ("extract", {"text": "a", "fields": {"a": 5}}),
            ("summarize", {"paths": ["../../etc/passwd"]}),
            ("chat", {"prompt": "x" * 200_000, "max_tokens": 10**9}),
            ("nothing", {"text": "\x00\ud7ff"}),
        ]
    )


async def work(agent: str, ask: Ask, outcomes: Outcomes, chance: random.Random, until: float) -> None:
    """Runs one worker of an agent: valid, invalid and cancelled calls."""
    while anyio.current_time() < until:
        dice = chance.random()
        tool, arguments = broken(chance) if dice < 0.1 else call(chance)
        if dice > 0.9:
            with anyio.move_on_after(chance.uniform(*PATIENCE_S)):
                await ask(tool, arguments)
            outcomes.cancelled[agent] += 1
        else:
            await _waited_for(agent, ask, tool, arguments, outcomes)


async def _waited_for(
    agent: str, ask: Ask, tool: str, arguments: Mapping[str, Any], outcomes: Outcomes
) -> None:
    began = anyio.current_time()
    try:
        with anyio.fail_after(DEADLINE_S + LATE_S):
            end = await ask(tool, arguments)
    except Exception as error:
        outcomes.wrong.append(f"{agent}: {tool} {str(arguments)[:200]}: {error!r}")
        return
    outcomes.seconds.append(anyio.current_time() - began)
    outcomes.ends[end] += 1
    outcomes.ended[agent] += 1
    if end == "internal_error":
        outcomes.wrong.append(f"{agent}: {tool} {str(arguments)[:200]}: {end}")


@asynccontextmanager
async def by_stdio(home: Home, _url: str) -> AsyncGenerator[Ask]:
    server = StdioServerParameters(command=SCRIPT, args=["stdio"], env=home.environment, cwd=home.project)
    with (home.folder / "stdio.log").open("w") as log:
        name = Implementation(name="stdio", version="1")
        async with Client(stdio_client(server, errlog=log), client_info=name) as client:
            yield _by_mcp(client)


@asynccontextmanager
async def by_streamable_http(_home: Home, url: str) -> AsyncGenerator[Ask]:
    http = httpx2.AsyncClient(headers=_headers("streamable"), timeout=DEADLINE_S + LATE_S)
    async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
        yield _by_mcp(client)


@asynccontextmanager
async def by_http(_home: Home, url: str) -> AsyncGenerator[Ask]:
    """Uses REST, and ``/v1`` for chats, every second one streamed."""
    async with aiohttp.ClientSession(headers=_headers("http")) as session:
        chats = 0

        async def ask(tool: str, arguments: Mapping[str, Any]) -> str:
            nonlocal chats
            if tool != "chat" or "prompt" not in arguments:
                async with session.post(f"{url}/mcp/tools/{tool}", json=arguments) as answer:
                    return _outcome(await answer.text())
            chats += 1
            body: dict[str, Any] = {"messages": [{"role": "user", "content": arguments["prompt"]}]}
            body |= {"max_tokens": arguments["max_tokens"], "stream": chats % 2 == 0}
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                text = await answer.text()
            return _outcome(text) if not text.startswith("data: ") else _streamed(text)

        yield ask


AGENTS = {"stdio": by_stdio, "streamable": by_streamable_http, "http": by_http}


def _headers(agent: str) -> dict[str, str]:
    return {"X-Project": PROJECT, "X-Agent": agent}


def _by_mcp(client: Client) -> Ask:
    async def ask(tool: str, arguments: Mapping[str, Any]) -> str:
        result: CallToolResult = await client.call_tool(tool, dict(arguments))
        if not result.is_error:
            return "answered"
        assert result.structured_content is not None, result
        return str(result.structured_content["error"]["code"])

    return ask


def _outcome(text: str) -> str:
    body = json.loads(text)
    return str(body["error"]["code"]) if "error" in body else "answered"


def _streamed(text: str) -> str:
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return "answered" if events[-1] == "[DONE]" else _outcome(events[-1])
