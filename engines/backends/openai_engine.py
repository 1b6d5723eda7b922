"""Base of the engines for a server with OpenAI's API: lists its models and streams its chats.

Below: ``openai_wire`` (HTTP), ``openai_json`` (JSON). A subclass adds what its server has of its own:
request fields, capabilities, adapters.
"""

import math
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import ClassVar, Self

import anyio

from engines.backends.openai_models import Served, read_models
from engines.backends.openai_wire import Refine, Wire
from engines.backends.thinking import ThoughtFilter
from engines.base import (
    Completion,
    Done,
    Engine,
    Event,
    JsonObject,
    Model,
    Request,
    TextDelta,
    ToolCallDelta,
    collect,
)
from engines.errors import AgentError, EngineUnavailableError, UnknownModelError

LISTED_S = 30.0
"""How long the server's list of models is cached."""

ANSWERS_WITHIN_S = 10.0
"""Timeout of requests that need no model."""

EMPTY = TextDelta("")


class OpenAiServerEngine(Engine):
    """Engine for the server at ``url``; ``model`` is the default, empty for the first that is served."""

    title: ClassVar[str]
    """Name of the server in messages."""
    hint: ClassVar[str]
    """What to do when it does not answer."""

    def __init__(self, url: str, *, model: str, key: str, refine: Refine) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._key = key
        self._wire = Wire(self.title, hint=self.hint, refine=refine, secret=key)
        self._served: Mapping[str, Served] = {}
        self._list_again = -math.inf

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self._wire:
            yield self

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        async with AsyncExitStack() as stack:
            answer = await self._answer(request, stack, whole=False)
            yield await stack.enter_async_context(aclosing(answer))

    async def complete(self, request: Request) -> Completion:
        """Asks the server for a whole answer, which costs both sides less than a stream."""
        async with AsyncExitStack() as stack:
            return await collect(await self._answer(request, stack, whole=True))

    async def models(self) -> Sequence[Model]:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)
        return [Model(each.name, self.name, each.base, loaded=True) for each in self._served.values()]

    async def check(self) -> None:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)

    async def _answer(
        self, request: Request, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncGenerator[Event, None]:
        try:
            return await self._begin(request, stack, whole=whole)
        except UnknownModelError:
            self._list_again = -math.inf  # the server may have been restarted with another model
            raise

    @abstractmethod
    async def _begin(
        self, request: Request, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncGenerator[Event, None]:
        """Opens the answer to ``request`` in ``stack``; ``whole``: asked for in one piece."""

    def _default(self) -> Served | None:
        """Returns the model of requests that name none, if the settings name none either."""
        return next(iter(self._served.values()), None)

    async def _chat(
        self, body: JsonObject, done: Done, stack: AsyncExitStack, deadline: float, *, whole: bool
    ) -> AsyncIterator[Event]:
        url = f"{self._url}/chat/completions"
        if whole:
            return _each(await self._wire.whole(url, body, done=done, key=self._key, deadline=deadline))
        opening = self._wire.stream(url, body, done=done, key=self._key, deadline=deadline)
        return await stack.enter_async_context(opening)

    async def _find(self, model: str, deadline: float = math.inf) -> Served:
        """Returns ``model``, or the default; refreshes the list for an unknown name."""
        wanted = model or self._model
        if time.monotonic() > self._list_again or (wanted and wanted not in self._served):
            await self._list(min(deadline, anyio.current_time() + ANSWERS_WITHIN_S))
        found = self._served.get(wanted) if wanted else self._default()
        if found is None:
            names = ", ".join(name for name, served in self._served.items() if not served.base)
            raise UnknownModelError(f"{self.title} does not serve {wanted!r}", hint=f"it serves {names}")
        return found

    async def _list(self, deadline: float) -> Sequence[str]:
        """Refreshes the list of models; returns the names of the adapters.

        Raises:
            EngineUnavailableError: nothing answers, or the answer is not a list of models.
        """
        try:
            served = await self._fetch(deadline)
        except AgentError as error:
            if error.retryable:
                raise
            self._wire.cleared(error)
            raise EngineUnavailableError(
                f"no {self.title} at {self._url}: {error.message}", hint=self.hint
            ) from error
        self._served = {each.name: each for each in served}
        self._list_again = time.monotonic() + LISTED_S
        return [each.name for each in served if each.base]

    async def _fetch(self, deadline: float) -> Sequence[Served]:
        return read_models(await self._wire.ask(f"{self._url}/models", key=self._key, deadline=deadline))


async def _each(events: Sequence[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


async def normalized(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """Adapts a server's ``events`` to the ``Engine`` contract.

    Removes reasoning, which vLLM without ``--reasoning-parser`` leaves in the text, and the end token's
    logprob; corrects the finish reason of a tool required by name, which vLLM reports as ``stop``.
    """
    thoughts, held, called = ThoughtFilter(), EMPTY, False
    async for event in events:
        ended = isinstance(event, Done) and event.finish_reason != "length"
        if ended:
            held = _without_end(held)
        if held != EMPTY:
            for delta in thoughts.feed(held):
                yield delta
            held = EMPTY
        match event:
            case TextDelta() if event.logprobs:
                held = event
            case TextDelta():
                for delta in thoughts.feed(event):
                    yield delta
            case ToolCallDelta():
                called = True
                yield event
            case Done():
                for delta in thoughts.flush():
                    yield delta
                yield replace(event, finish_reason="tool_calls") if called and ended else event


def _without_end(last: TextDelta) -> TextDelta:
    """Removes the end token, which is not part of the text, from the logprobs of ``last``."""
    text = "".join(token.token for token in last.logprobs[:-1])
    return TextDelta(last.text, last.logprobs[:-1]) if text == last.text else last
