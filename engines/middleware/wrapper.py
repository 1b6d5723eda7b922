"""What every layer of the stack is: an engine around an engine, and streams that are listened to."""

import math
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from engines.base import Embeddings, Engine, Event, EventStream, Model, Profile, Request
from engines.errors import AgentError


class WrapperEngine(Engine):
    """Forwards everything to ``inner``, opening and closing included; a layer overrides what it changes."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.name = inner.name

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(kind, error, traceback)

    async def profile(self, model: str = "") -> Profile:
        return await self.inner.profile(model)

    def stream(self, request: Request) -> EventStream:
        return self.inner.stream(request)

    async def models(self) -> Sequence[Model]:
        return await self.inner.models()

    async def check(self) -> None:
        await self.inner.check()

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        return await self.inner.embed(texts, deadline=deadline)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        return await self.inner.count_tokens(text, model=model)


class HeardStream:
    """``stream`` as it is, with a layer listening: override what it wants to hear.

    A plain object where an asynchronous generator would do the same for twice the time per call.
    Errors of the body are not the stream's: ``failed`` hears those of opening and of reading only.
    """

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._events: AsyncIterator[Event]

    def heard(self, event: Event) -> None:
        """``event`` is about to go out."""

    def failed(self, error: AgentError) -> None:
        """The stream ended with ``error``, which goes on to the reader."""

    def left(self) -> None:
        """Nobody reads any more, whether the stream has ended or not."""

    async def __aenter__(self) -> AsyncIterator[Event]:
        try:
            self._events = await self._stream.__aenter__()
        except BaseException as error:
            if isinstance(error, AgentError):
                self.failed(error)
            self.left()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.left()
        return await self._stream.__aexit__(kind, error, traceback)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self._events.__anext__()
        except AgentError as error:
            self.failed(error)
            raise
        self.heard(event)
        return event
