"""A fake dispatcher with scripted events, and an app over it."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from engines.base import (
    Capabilities,
    Completion,
    Done,
    Event,
    JsonObject,
    JsonValue,
    Model,
    Profile,
    TextDelta,
    Usage,
    collect,
)
from engines.errors import AgentError
from shim import rest
from shim.dispatcher import Dispatcher
from shim.openai import completions, embeddings
from shim.openai import routes as openai
from shim.responses import routes as responses
from shim.unrouted import unrouted
from tools.base import Call, Progress, Project, Receipt, Result, TokenCounts, silent
from tools.catalog import ToolDefinition
from tools.tool import Tool

DONE = Done("stop", Usage(7, 2, 3), "fake", "tiny")
HELLO: tuple[Event, ...] = (TextDelta("Hel"), TextDelta("lo"), DONE)
RECEIPT = Receipt("small", "fake", "tiny", None, "default", 12, TokenCounts(0, 7, 2), saved=5)
MODELS = (Model("org/tiny", "fake", loaded=True), Model("erp", "fake", base="org/tiny"))


CLASSIFY = ToolDefinition(
    "classify",
    "Sort texts into labels. Cheap.",
    {
        "type": "object",
        "properties": {"text": {"type": "string"}, "labels": {"type": "array", "items": {"type": "string"}}},
        "required": ["labels"],
    },
    {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]},
    "",
)
SUMMARIZE = ToolDefinition(
    "summarize",
    "Say it shorter.",
    {"type": "object", "properties": {"text": {"type": "string"}}},
    None,
    "summary",
)


@dataclass
class FakeStream:
    """A stream; its creator sets ``events``."""

    events: AsyncIterator[Event] = field(init=False)
    finished: bool = False

    @property
    def receipt(self) -> Receipt:
        assert self.finished, "a receipt is there once the events have ended"
        return RECEIPT


@dataclass
class FakeDispatcher:
    """Streams ``script`` and returns ``result``; raises errors in either.

    With ``endless`` it never ends: ``waiting`` is set while it waits, ``left`` once the call is cancelled
    or done.
    """

    script: Sequence[Event | AgentError] = HELLO
    result: Result | AgentError = field(default_factory=lambda: Result({"data": {"a": 1}}, RECEIPT))
    offered: Sequence[Model] | AgentError = MODELS
    endless: bool = False
    catalogue: Sequence[ToolDefinition] = (CLASSIFY, SUMMARIZE)
    calls: list[Call] = field(default_factory=list[Call])
    asked_models: int = 0
    waiting: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)

    @property
    def call(self) -> Call:
        """The only call."""
        [call] = self.calls
        return call

    async def run(self, call: Call, progress: Progress = silent) -> Result:
        self.calls.append(call)
        try:
            await self._wait()
        finally:
            self.left.set()
        if isinstance(self.result, AgentError):
            raise self.result
        return self.result

    async def complete(self, call: Call) -> tuple[Completion, Receipt]:
        async with self.stream(call) as stream:
            completion = await collect(stream.events)
            await anext(stream.events, None)
            return completion, stream.receipt

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[FakeStream, None]:
        self.calls.append(call)
        stream = FakeStream()
        stream.events = self._play(stream)
        try:
            yield stream
        finally:
            self.left.set()

    async def _play(self, stream: FakeStream) -> AsyncIterator[Event]:
        for event in self.script:
            if isinstance(event, AgentError):
                raise event
            yield event
        await self._wait()
        stream.finished = True

    async def _wait(self) -> None:
        if self.endless:
            self.waiting.set()
            await anyio.sleep_forever()

    async def models(self) -> Sequence[Model]:
        self.asked_models += 1
        if isinstance(self.offered, AgentError):
            raise self.offered
        return self.offered

    def serving(self, *tools: Tool[Any]) -> "FakeDispatcher":
        return self

    async def contexts(self) -> Mapping[str, int]:
        return {"small": 4096, "main": 16384}

    async def ready(self) -> Profile:
        if isinstance(self.offered, AgentError):
            raise self.offered
        return Profile("fake", "org/tiny", Capabilities())


def project_of(name: str, arguments: Mapping[str, Any]) -> Project:
    return Project(name or "default")


def app_of(dispatcher: Dispatcher, aliases: Mapping[str, str] = openai.NO_ALIASES) -> Starlette:
    return Starlette(
        routes=[
            *openai.routes(dispatcher, project_of, aliases),
            *responses.routes(dispatcher, project_of, aliases),
            *completions.routes(dispatcher, project_of, aliases),
            *embeddings.routes(dispatcher, project_of, aliases),
            *rest.routes(dispatcher, project_of, "1.2.3"),
        ],
        exception_handlers={HTTPException: unrouted},
    )


@asynccontextmanager
async def client_of(
    dispatcher: Dispatcher, aliases: Mapping[str, str] = openai.NO_ALIASES
) -> AsyncGenerator[httpx2.AsyncClient, None]:
    transport = httpx2.ASGITransport(app=app_of(dispatcher, aliases))
    with anyio.fail_after(5):
        async with httpx2.AsyncClient(transport=transport, base_url="http://shim") as client:
            yield client


def body(**fields: JsonValue) -> JsonObject:
    """Returns the body of a chat completion request."""
    return {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}
