"""Measures the time the tools add to the engine's, and the speed-up of one call for many items.

    python -P -m benchmarks.tools [--engine llamacpp] [--engine vllm]

The added time is measured with the scripted engine, which answers at once; its own time is reported too.
The speed-up is measured with the embedded engine, and with vLLM if ``LOCAL_LLM_VLLM__URL`` is set.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import anyio

from benchmarks.host import hosted
from benchmarks.length import text_of
from benchmarks.overhead import ROOT, SCRIPT
from benchmarks.processes import clean_environment, free_port, running
from benchmarks.quality import opened
from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Engine, JsonObject
from engines.middleware.wrapper import WrapperEngine
from mcp_server.app import App
from tools.base import Call

CALLS = 100
WARM_UP = 10
MODEL = "smollm2-135m"
"""Model of the embedded engine, the same as that of the stored figures."""
ITEMS = 200
CHATS = 20
"""Single chats that are timed, as each takes long; their time counts ``ITEMS / CHATS`` times."""
AT_ONCE = 4
TOKENS = 100_000
LABELS = ["billing", "delivery", "login", "refund", "other"]
COMPLAINTS = (
    "The invoice has the wrong address on it",
    "My parcel was left in the rain",
    "The password reset mail never comes",
    "I want my money back for the second one",
    "Do you have shops in Lisbon",
)
NOTE = (
    "Release 4.2.1 came out on 2026-03-14. It repairs the import of calendars, which lost the time zone of "
    "repeated meetings, and makes the search twice as fast on large mailboxes. "
) * 4

_numbers = itertools.count(1)


def arguments() -> Mapping[str, JsonObject]:
    """Returns a typical call of each tool; no two are equal, so that they miss every cache."""
    mark = f"{next(_numbers)}: "
    return {
        "classify": {"items": [mark + text for text in COMPLAINTS], "labels": [*LABELS]},
        "extract": {"text": mark + NOTE, "fields": {"version": "the release", "date": "when it came out"}},
        "summarize": {"text": mark + NOTE},
        "chat": {"prompt": f"{mark}Reword: {NOTE}"},
    }


@dataclass(frozen=True, slots=True)
class Added:
    """p50 in milliseconds of each tool, over each transport."""

    stdio: Mapping[str, float]
    http: Mapping[str, float]
    bare: float
    """p50 of a bare SDK server's chat over stdio."""
    engine: Mapping[str, float]
    """Part of it taken by the scripted engine, which generates an answer for each schema."""


async def added(calls: int = CALLS) -> Added:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        return Added(
            await _stdio(folder, calls),
            await _http(folder, calls),
            await _bare(folder, calls),
            {tool: await _engine(tool, calls) for tool in arguments()},
        )


async def _stdio(folder: Path, calls: int) -> Mapping[str, float]:
    environment = clean_environment(folder, LOCAL_LLM_ENGINE="scripted")
    async with hosted([str(SCRIPT), "stdio"], folder=folder, environment=environment) as host:
        await host.open()
        return {
            tool: _p50([await host.call(tool, arguments()[tool]) for _ in range(WARM_UP + calls)])
            for tool in arguments()
        }


async def _engine(tool: str, calls: int) -> float:
    """Times the same requests to a scripted engine without middleware."""
    async with opened("scripted") as app:
        engine: Engine = app.engines.each["scripted"]
        while isinstance(engine, WrapperEngine):
            engine = engine.inner
        assert isinstance(engine, ScriptedEngine)
        await app.dispatcher.run(Call(tool, arguments()[tool]))
        requests, texts = list(engine.requests), list(engine.embedded)
    times: list[float] = []
    for _ in range(WARM_UP + calls):
        begun = time.perf_counter()
        for request in requests:
            await engine.complete(request)
        if texts:
            await engine.embed(texts)
        times.append(time.perf_counter() - begun)
    return _p50(times)


async def _bare(folder: Path, calls: int) -> float:
    environment = clean_environment(folder, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-P", "-m", "benchmarks.bare"]
    async with hosted(command, folder=folder, environment=environment) as host:
        await host.open()
        return _p50([await host.call("chat", arguments()["chat"]) for _ in range(WARM_UP + calls)])


async def _http(folder: Path, calls: int) -> Mapping[str, float]:
    port = free_port()
    environment = clean_environment(folder, LOCAL_LLM_ENGINE="scripted")
    command = [str(SCRIPT), "serve", "--port", str(port)]
    async with (
        running(command, port, "/ready", folder=folder, environment=environment),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):

        async def call(tool: str) -> float:
            begun = time.perf_counter()
            async with session.post(f"/mcp/tools/{tool}", json=arguments()[tool]) as answer:
                answer.raise_for_status()
                await answer.read()
            return time.perf_counter() - begun

        return {tool: _p50([await call(tool) for _ in range(WARM_UP + calls)]) for tool in arguments()}


def _p50(seconds: list[float]) -> float:
    return statistics.median(seconds[WARM_UP:]) * 1000


@dataclass(frozen=True, slots=True)
class Speedup:
    """Seconds of many calls and of one call for many items, on one engine."""

    engine: str
    many: float
    """``ITEMS`` items in one call of classify."""
    single: float
    """``ITEMS`` chats, one after another, each with the labels in its prompt."""
    in_a_row: float
    """``AT_ONCE`` chats one after another."""
    at_once: float
    """The same chats concurrently."""
    long: float
    """A summary of ``TOKENS`` tokens."""
    long_again: float
    """The same summary again, from the cache."""


async def speedup(engine: str) -> Speedup:
    async with opened(engine, MODEL if engine == "llamacpp" else "") as app:
        await _chats(app, 1, "Warm up")
        items: JsonObject = {"items": _items(ITEMS), "labels": [*LABELS]}
        many = await _timed(app, "classify", items)
        begun = time.perf_counter()
        for item in _items(CHATS):
            prompt = f"Answer with one of {', '.join(LABELS)}: {item}"
            await app.dispatcher.run(
                Call("chat", {"prompt": prompt, "max_tokens": 32, "schema": _one_label()})
            )
        single = (time.perf_counter() - begun) * ITEMS / CHATS
        in_a_row = await _chats(app, AT_ONCE, "In a row", together=False)
        at_once = await _chats(app, AT_ONCE, "At once")
        text: JsonObject = {"text": text_of(_paragraphs(), TOKENS)}
        return Speedup(
            engine, many, single, in_a_row, at_once,
            await _timed(app, "summarize", text), await _timed(app, "summarize", text),
        )  # fmt: skip


def _items(count: int) -> list[Any]:
    return [f"{COMPLAINTS[number % len(COMPLAINTS)]}, number {number}" for number in range(count)]


def _one_label() -> JsonObject:
    label: JsonObject = {"type": "string", "enum": [*LABELS]}
    return {"type": "object", "properties": {"label": label}, "required": ["label"]}


def _paragraphs() -> list[str]:
    documents = (Path(__file__).parents[1] / "docs").glob("*.md")
    text = "\n\n".join(document.read_text(encoding="utf-8") for document in sorted(documents))
    return [part for part in text.split("\n\n") if len(part.split()) > 12]


async def _timed(app: App, tool: str, given: JsonObject) -> float:
    begun = time.perf_counter()
    await app.dispatcher.run(Call(tool, given, deadline_s=600))
    return time.perf_counter() - begun


async def _chats(app: App, count: int, title: str, *, together: bool = True) -> float:
    """Returns the seconds of ``count`` chats of 48 tokens each."""
    calls: list[JsonObject] = [
        {"prompt": f"{title}: write a story about the number {number}.", "max_tokens": 48}
        for number in range(count)
    ]
    begun = time.perf_counter()
    if together:
        await asyncio.gather(*(_timed(app, "chat", call) for call in calls))
    else:
        for call in calls:
            await _timed(app, "chat", call)
    return time.perf_counter() - begun


def engines_here() -> list[str]:
    return ["llamacpp", *(["vllm"] if os.environ.get("LOCAL_LLM_VLLM__URL") else [])]


def added_table(found: Added) -> str:
    rows: dict[str, Mapping[str, float]] = {
        "over stdio": found.stdio,
        "over HTTP": found.http,
        "time of the scripted engine": found.engine,
        "added over stdio": {tool: ms - found.engine[tool] for tool, ms in found.stdio.items()},
    }
    lines = [f"| p50, ms | {' | '.join(found.stdio)} |", f"|---|{'---|' * len(found.stdio)}"]
    lines += [f"| {name} | {' | '.join(f'{ms:.2f}' for ms in row.values())} |" for name, row in rows.items()]
    return "\n".join(lines)


def speedup_table(found: list[Speedup]) -> str:
    lines = [
        f"| engine | {ITEMS} items in one call, s | {ITEMS} chats, s | times faster "
        f"| {AT_ONCE} chats in a row, s | at once, s | times the throughput "
        f"| {TOKENS:,} tokens summarized, s | again, s |",
        "|---|" + "---|" * 8,
    ]
    lines += [
        f"| {w.engine} | {w.many:.1f} | {w.single:.0f} | {w.single / w.many:.1f} | {w.in_a_row:.1f} "
        f"| {w.at_once:.1f} | {w.in_a_row / w.at_once:.2f} | {w.long:.1f} | {w.long_again:.2f} |"
        for w in found
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="append", help="llamacpp or vllm; default: all available")
    wanted = parser.parse_args().engine or engines_here()
    print(added_table(anyio.run(added, backend_options={"use_uvloop": True})))
    print(speedup_table([anyio.run(speedup, engine) for engine in wanted]))


if __name__ == "__main__":
    main()
