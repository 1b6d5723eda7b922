"""Requests and fake engines shared by the tests of the middleware."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from engines.backends.scripted.engine import Script, ScriptedEngine
from engines.base import Embeddings, Event, Message, Model, Profile, Request, Tags
from engines.errors import EngineUnavailableError


def ask(text: str = "hello", *, tier: str = "main", agent: str = "", **fields: object) -> Request:
    tags = Tags(tool="chat", tier=tier, agent=agent)
    return replace(Request((Message("user", text),), max_tokens=50, tags=tags), **fields)  # type: ignore[arg-type]


class Clock:
    """A clock that tests set."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FlakyEngine(ScriptedEngine):
    """A named scripted engine that is unavailable while not ``up``."""

    def __init__(self, name: str, script: Script | None = None, *, up: bool = True, **fields: object) -> None:
        super().__init__(script, **{"model": f"{name}-model", **fields})  # type: ignore[arg-type]
        self.name = name
        self.up = up
        self.checks = 0

    def _answer(self) -> None:
        if not self.up:
            raise EngineUnavailableError(f"nothing listens at {self.name}", hint=f"start {self.name}")

    async def profile(self, model: str = "") -> Profile:
        self._answer()
        return await super().profile(model)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        self._answer()
        async with super().stream(request) as events:
            yield events

    async def models(self) -> Sequence[Model]:
        self._answer()
        return await super().models()

    async def check(self) -> None:
        self.checks += 1
        self._answer()

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        self._answer()
        return await super().embed(texts, deadline=deadline)


class GatedEngine(ScriptedEngine):
    """Answers when its gate opens; ``running`` lists the active requests in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()
        self.running: list[Request] = []
        self._came = anyio.Event()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        self.running.append(request)
        self._came.set()
        self._came = anyio.Event()
        try:
            await self.gate.wait()
            async with super().stream(request) as events:
                yield events
        finally:
            self.running.remove(request)

    async def until_running(self, number: int) -> None:
        with anyio.fail_after(5):
            while len(self.running) < number:
                await self._came.wait()
