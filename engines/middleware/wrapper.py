"""Base classes of the middleware: an engine around an engine, and an observed stream."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from engines.base import Completion, Embeddings, Engine, Event, EventStream, Model, Profile, Request
from engines.errors import AgentError


class WrapperEngine(Engine):
    """Forwards all methods to ``inner``, opening and closing included; subclasses override some."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.name = inner.name

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self.inner:
            yield self

    async def profile(self, model: str = "") -> Profile:
        return await self.inner.profile(model)

    def stream(self, request: Request) -> EventStream:
        return self.inner.stream(request)

    async def complete(self, request: Request) -> Completion:
        return await self.inner.complete(request)

    async def models(self) -> Sequence[Model]:
        return await self.inner.models()

    async def check(self) -> None:
        await self.inner.check()

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        return await self.inner.embed(texts, deadline=deadline)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        return await self.inner.count_tokens(text, model=model)


class ObservedStream:
    """Passes ``stream`` through unchanged and calls hooks, which subclasses override.

    A plain object, because an asynchronous generator takes twice the time per call.
    ``on_error`` gets errors of opening and reading the stream, not those of the caller's body.
    """

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._events: AsyncIterator[Event]

    def on_event(self, event: Event) -> None:
        """Called with each event before it is returned to the reader."""

    def on_error(self, error: AgentError) -> None:
        """Called when the stream fails with ``error``, which is raised to the reader."""

    def on_close(self) -> None:
        """Called once when reading ends, whether or not the stream is complete."""

    async def __aenter__(self) -> AsyncIterator[Event]:
        try:
            self._events = await self._stream.__aenter__()
        except BaseException as error:
            if isinstance(error, AgentError):
                self.on_error(error)
            self.on_close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.on_close()
        return await self._stream.__aexit__(kind, error, traceback)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self._events.__anext__()
        except AgentError as error:
            self.on_error(error)
            raise
        self.on_event(event)
        return event
