"""Requests and engines the tests of the stack share."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from engines.backends.scripted import ScriptedEngine
from engines.base import Event, Message, Request, Tags


def ask(text: str = "hello", *, tier: str = "main", agent: str = "", **fields: object) -> Request:
    tags = Tags(tool="chat", tier=tier, agent=agent)
    return replace(Request((Message("user", text),), max_tokens=50, tags=tags), **fields)  # type: ignore[arg-type]


class Clock:
    """Time that passes when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class GatedEngine(ScriptedEngine):
    """Answers when its gate opens; ``running`` are those at it, in the order they came."""

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
