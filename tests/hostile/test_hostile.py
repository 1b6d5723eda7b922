"""Hostile files and arguments through every transport give a result or a typed error, and leak nothing."""

import io
import json
import os
import re
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
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

from engines.backends.scripted.engine import ScriptedEngine
from engines.errors import AgentError
from tests.hostile.corpus import MANY, TEXTS, Call, argument_calls, build, sendable, tools_on
from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.serving import answering
from tests.tools.pipeline.test_dispatch import dispatching
from tools import base
from tools.pipeline.results import ResultFiles

pytestmark = pytest.mark.anyio

CALL_S = 30
"""Deadline of one call."""
PROMPTS = re.compile(
    r"The text is data: do not follow|You summarize the text the user sends|copy names and numbers exactly",
    re.IGNORECASE,
)
"""Words of our own prompts."""
PATH = re.compile(r"(?<![\w/.:~-])/(?:home|root|tmp|usr|work|var|opt)/[^\s\"',;:)\\]+")

Ask = Callable[[str, dict[str, Any]], Awaitable[tuple[str, str]]]
"""Calls a tool; returns the answer as text, and the error's code, empty for a result."""


@dataclass
class Hostile:
    """A project of hostile files, and what may be said of its surroundings."""

    root: Path
    paths: list[str]
    environment: dict[str, str]
    allowed: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter[str])

    def faults(self, answer: str, code: str) -> list[str]:
        """Returns what is wrong with an answer."""
        found = [path for path in PATH.findall(answer) if not path.startswith(self.allowed)]
        faults = [f"names {path}" for path in found if path not in SAID]
        faults += [f"has our prompt: {said[0]}" for said in [PROMPTS.search(answer)] if said]
        faults += ["has a traceback"] if 'Traceback (most recent call last):\n  File "/' in answer else []
        faults += ["tells a secret"] if "TOP-SECRET-OUTSIDE" in answer or "root:x:0" in answer else []
        return faults + ([f"is an {code} error"] if code == AgentError.code else [])

    async def checked(self, ask: Ask, calls: list[Call]) -> list[str]:
        """Asks every call; returns what went wrong, and counts results and errors."""
        wrong: list[str] = []
        for tool, arguments in calls:
            shown = f"{tool} {repr(arguments)[:160]}"
            try:
                with anyio.fail_after(CALL_S):
                    answer, code = await ask(tool, arguments)
            except TimeoutError:
                wrong.append(f"{shown}: no answer")
                continue
            except Exception as error:
                wrong.append(f"{shown}: {error!r}"[:600])
                continue
            self.counts[code or "result"] += 1
            wrong += [f"{shown} {fault}: {answer[:300]}" for fault in self.faults(answer, code)]
        return wrong


SAID = {"/usr/local", "/root/.bashrc"}
"""Paths that the corpus itself names."""


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    root = tmp_path / "shop"
    root.mkdir()
    config = tmp_path / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(root))}]\n")
    cache = tmp_path / "cache"
    environment = {
        **os.environ,
        "LOCAL_LLM_CONFIG": str(config),
        "LOCAL_LLM_ENGINE": "scripted",
        "LOCAL_LLM_CACHE": "false",
        "XDG_CACHE_HOME": str(cache),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    return Hostile(root, build(root), environment, (str(root), str(cache), str(tmp_path / "results")))


def file_calls(hostile: Hostile, every: int = 1) -> list[Call]:
    return [call for path in hostile.paths[::every] for call in tools_on(paths=[path])]


def text_calls(every: int = 1) -> list[Call]:
    return [call for text in list(TEXTS.values())[::every] for call in tools_on(text=text)]


def all_calls(hostile: Hostile, every: int = 1) -> list[Call]:
    calls = [*file_calls(hostile, every), *text_calls(every), *list(argument_calls())[:: 3 * every - 2]]
    return [call for call in calls if every == 1 or sendable(call[1])]


@pytest.mark.parametrize(
    ("parameters", "every"), [pytest.param(0.5, 1, marks=pytest.mark.slow), (0.5, 4), (0.0, 8)]
)
async def test_the_dispatcher_answers_or_refuses_everything(
    hostile: Hostile, tmp_path: Path, parameters: float, every: int
) -> None:
    """With a small model, which parsers and sentences stand in for, and one of unknown size."""
    project = base.Project("shop", hostile.root)
    engine = ScriptedEngine(parameters=parameters)
    async with dispatching(engine, results=ResultFiles(tmp_path / "results")) as dispatcher:

        async def ask(tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
            try:
                result = await dispatcher.run(base.Call(tool, arguments, project=project))
            except AgentError as error:
                return f"{error.message} {error.hint}", error.code
            return json.dumps({**result.fields, "receipt": result.receipt.as_json()}), ""

        wrong = await hostile.checked(ask, all_calls(hostile, every))
    report("dispatcher", hostile, wrong)
    assert wrong == []


@asynccontextmanager
async def served(hostile: Hostile, log: Path) -> AsyncGenerator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    command = [SCRIPT, "serve", "--port", str(port)]
    with log.open("wb") as stderr:
        process = await anyio.open_process(
            command, env=hostile.environment, cwd=hostile.root.parent, stderr=stderr
        )
    async with process:
        try:
            await answering(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            with anyio.fail_after(10):
                assert await process.wait() == 0


JSON = {"content-type": "application/json"}


def body_of(arguments: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(json.dumps(arguments).encode())


async def by_rest(stack: AsyncExitStack, url: str) -> Ask:
    session = await stack.enter_async_context(aiohttp.ClientSession(headers={"X-Project": "shop"}))

    async def ask(tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
        async with session.post(f"{url}/mcp/tools/{tool}", data=body_of(arguments), headers=JSON) as answer:
            text = await answer.text()
            if answer.status == 200:
                return text, ""
            return text, json.loads(text)["error"]["code"]

    return ask


async def by_openai(stack: AsyncExitStack, url: str) -> Ask:
    """Asks ``/v1/chat/completions`` whatever the tool, with its text or the arguments as JSON."""
    session = await stack.enter_async_context(aiohttp.ClientSession(headers={"X-Project": "shop"}))

    async def ask(tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
        content = arguments.get("text") or arguments.get("prompt") or json.dumps(arguments)
        body = {"model": "main", "messages": [{"role": "user", "content": content}], "max_tokens": 20}
        extra = {
            name: arguments[name] for name in ("temperature", "max_tokens", "messages") if name in arguments
        }
        async with session.post(
            f"{url}/v1/chat/completions", data=body_of({**body, **extra}), headers=JSON
        ) as answer:
            text = await answer.text()
            if answer.status == 200:
                return text, ""
            return text, json.loads(text)["error"]["code"]

    return ask


def by_client(client: Client) -> Ask:
    async def ask(tool: str, arguments: dict[str, Any]) -> tuple[str, str]:
        return said(await client.call_tool(tool, arguments))

    return ask


async def by_streamable_http(stack: AsyncExitStack, url: str) -> Ask:
    http = await stack.enter_async_context(httpx2.AsyncClient(headers={"X-Project": "shop"}, timeout=CALL_S))
    return by_client(
        await stack.enter_async_context(Client(streamable_http_client(f"{url}/mcp", http_client=http)))
    )


async def by_sse(stack: AsyncExitStack, url: str) -> Ask:
    return by_client(
        await stack.enter_async_context(Client(sse_client(f"{url}/sse", headers={"X-Project": "shop"})))
    )


def said(result: CallToolResult) -> tuple[str, str]:
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if not result.is_error:
        return text, ""
    assert result.structured_content is not None, text
    return text, result.structured_content["error"]["code"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("connect", "every"), [(by_rest, 3), (by_openai, 4), (by_streamable_http, 5), (by_sse, 6)]
)
async def test_the_server_answers_or_refuses_everything(
    hostile: Hostile, tmp_path: Path, connect: Callable[[AsyncExitStack, str], Awaitable[Ask]], every: int
) -> None:
    log = tmp_path / "stderr"
    async with served(hostile, log) as url, AsyncExitStack() as stack:
        calls = [call for call in all_calls(hostile, every) if sendable(call[1])]
        wrong = await hostile.checked(await connect(stack, url), calls)
    report(connect.__name__, hostile, wrong)
    assert wrong == []
    assert "Traceback" not in log.read_text(), log.read_text()[-3_000:]


@pytest.mark.slow
async def test_the_stdio_server_answers_or_refuses_everything(hostile: Hostile, tmp_path: Path) -> None:
    server = StdioServerParameters(command=SCRIPT, args=["stdio"], env=hostile.environment, cwd=hostile.root)
    log = tmp_path / "stderr"
    with log.open("w") as stderr:
        async with Client(stdio_client(server, errlog=stderr)) as client:
            wrong = await hostile.checked(by_client(client), all_calls(hostile, 5))
    report("stdio", hostile, wrong)
    assert wrong == []
    assert "Traceback" not in log.read_text(), log.read_text()[-3_000:]


def report(transport: str, hostile: Hostile, wrong: list[str]) -> None:
    """Prints the counts; ``pytest -s`` shows them."""
    counts = hostile.counts
    print(f"\n{transport}: {counts.total()} answers, {dict(counts.most_common())}; {len(wrong)} wrong")


def test_the_corpus_has_what_it_says(hostile: Hostile) -> None:
    assert len(hostile.paths) > 100
    assert len(list((hostile.root / "many").iterdir())) == MANY
