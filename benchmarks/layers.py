"""Measures the CPU time each of our layers adds to a request to ``/v1``.

    python -P -m benchmarks.layers

CPU of the event loop's thread, in one process without an HTTP server. Each layer includes all those before
it, so its own part is the difference to the one before. The upstream is that of ``overhead``.
"""

import asyncio
import json
import math
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio

from benchmarks import overhead
from benchmarks.callers import PROMPT, SYSTEM
from benchmarks.processes import clean_environment
from benchmarks.upstream import MODEL
from engines.base import Engine, JsonObject, JsonValue, Message, Request, Tags
from tools.base import Call

if TYPE_CHECKING:
    import aiohttp
    from starlette.types import ASGIApp
    from starlette.types import Message as Sent

    from mcp_server.app import App

ROUNDS, EACH, WARM_UP = 7, 60, 10
MAX_TOKENS = 64
BARE, STREAMED = "aiohttp, a whole answer", "the same, streamed"
CALL, WHOLE = "dispatcher", "access control, routes, shim"
NAMES = {
    "VllmEngine": "vLLM client",
    "BreakerEngine": "breaker",
    "AdmittedEngine": "admission",
    "CachedEngine": "cache",
    "MeteredEngine": "metrics",
}

Ask = Callable[[], Awaitable[object]]
Layers = dict[str, float]
"""Microseconds of CPU per request, by its outermost layer, innermost first."""

_numbers = count(1)


async def measured() -> Layers:
    """Measures in a process of its own, as it needs settings of its own."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        async with overhead.upstream(folder / "upstream") as engine:
            environment = clean_environment(
                folder / "ours",
                PYTHONPATH=str(overhead.ROOT),
                LOCAL_LLM_ENGINE="vllm",
                LOCAL_LLM_VLLM__URL=overhead.url_of(engine.target.port),
            )
            command = [sys.executable, "-P", "-m", "benchmarks.layers", "here"]
            with anyio.fail_after(120):
                done = await anyio.run_process(command, stdout=PIPE, stderr=None, env=environment)
    return json.loads(done.stdout)


async def _here() -> Layers:
    import aiohttp

    from mcp_server.app import build
    from mcp_server.folders import folders
    from mcp_server.http.app import build_http
    from mcp_server.settings import read

    settings = read()
    url = f"{settings.vllm.url}/chat/completions"
    async with build(settings, folders()) as app, aiohttp.ClientSession() as session:
        contenders: dict[str, Ask] = {
            BARE: lambda: _post(session, url, stream=False),
            STREAMED: lambda: _post(session, url, stream=True),
        }
        for engine in reversed(_layers_of(app.engines.of("small"))):
            contenders[NAMES[type(engine).__name__]] = _asking(engine)
        contenders[CALL] = lambda: _call(app)
        asgi = build_http(app)
        contenders[WHOLE] = lambda: _request(asgi)
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(ROUNDS):
            for name in overhead.rotated(list(contenders), number):
                taken[name].append(await _cpu_us(contenders[name]))
    return {name: statistics.median(several) for name, several in taken.items()}


def _layers_of(engine: Engine) -> list[Engine]:
    """Returns ``engine`` and the engines it wraps."""
    inner: Engine | None = getattr(engine, "inner", None)
    return [engine, *_layers_of(inner)] if inner else [engine]


async def _cpu_us(ask: Ask) -> float:
    for _ in range(WARM_UP):
        await ask()
    begun = time.thread_time()
    for _ in range(EACH):
        await ask()
    return (time.thread_time() - begun) / EACH * 1e6


def _messages() -> list[Message]:
    """Returns a new message that equals no other, to miss every cache."""
    return [Message("system", SYSTEM), Message("user", f"{next(_numbers)}-{time.time_ns()}: {PROMPT}")]


def _arguments() -> JsonObject:
    messages: list[JsonValue] = [{"role": each.role, "content": each.content} for each in _messages()]
    return {"messages": messages, "max_tokens": MAX_TOKENS}


def _body(*, stream: bool) -> bytes:
    return json.dumps({"model": MODEL, "stream": stream, **_arguments()}).encode()


async def _post(session: "aiohttp.ClientSession", url: str, *, stream: bool) -> None:
    headers = {"content-type": "application/json"}
    async with session.post(url, data=_body(stream=stream), headers=headers) as answer:
        await answer.read()


def _asking(engine: Engine) -> Ask:
    tags = Tags("chat", "small")

    async def ask() -> None:
        deadline = anyio.current_time() + 30
        await engine.complete(Request(tuple(_messages()), MAX_TOKENS, deadline=deadline, tags=tags))

    return ask


async def _call(app: "App") -> None:
    await app.dispatcher.complete(Call("chat", _arguments()))


async def _request(asgi: "ASGIApp") -> None:
    body = _body(stream=False)
    received = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> "Sent":
        for message in received:
            return message
        await asyncio.sleep(math.inf)
        raise AssertionError

    sent: list[Sent] = []

    async def send(message: "Sent") -> None:
        sent.append(message)

    path = "/v1/chat/completions"
    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
             "query_string": b"", "headers": headers, "scheme": "http", "http_version": "1.1"}  # fmt: skip
    await asgi(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(sent)


def table(layers: Layers) -> str:
    before, rows = 0.0, ["| up to and including | CPU per request, us | its own part |", "|---|---|---|"]
    for name, us in layers.items():
        rows.append(f"| {name} | {us:,.0f} | {us - before:,.0f} |")
        before = us
    return "\n".join(rows)


def main() -> None:
    if sys.argv[1:] == ["here"]:
        print(json.dumps(anyio.run(_here, backend_options={"use_uvloop": True})))
    else:
        print(table(anyio.run(measured)))


if __name__ == "__main__":
    main()
