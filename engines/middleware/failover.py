"""Failover over several engines: uses the first that answers, and the next when it stops answering.

Fails over only before the first event: an answer of one model is never continued by another.
Each change of an engine's availability is one line in the log.
"""

import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from engines.base import Completion, Done, Embeddings, Engine, Event, Model, Profile, Request
from engines.errors import (
    AgentError,
    EngineUnavailableError,
    UnknownModelError,
    UnsupportedFeatureError,
)

log = logging.getLogger(__name__)

RETRY_S = 15.0
"""Time before an engine that did not answer is tried again."""

CHECK_S = 1.0
"""Timeout of an engine's availability check."""

NO_EMBEDDINGS = (UnsupportedFeatureError, UnknownModelError)
"""Errors of an engine without an embedding model, or without any model."""

T = TypeVar("T")


@dataclass(slots=True)
class Health:
    up: bool = False
    was_up: bool = False
    """It has answered before: only then does an outage cause a warning and a note."""
    checked: bool = False
    ask_again: float = -math.inf


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream with its first event read, which shows that the engine answers."""

    engine: Engine
    first: Event | None
    rest: AsyncIterator[Event]


class FailoverEngine(Engine):
    """Sends requests to the first of ``engines`` that answers. The caller opens them.

    The last engine is tried even if its check fails: it may start on demand. A model that the answering
    engine lacks is replaced by its default, with a note, if it is one of ``names`` (those of the
    settings) or has answered before; an unknown name stays an error.
    """

    name = "auto"

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        names: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._engines = tuple(engines)
        self._health = {engine: Health() for engine in engines}
        self._names = set(names)
        self._embedder = self._engines[0]

    async def profile(self, model: str = "") -> Profile:
        """Returns the profile of the engine in use; ``embed`` is set if any engine can embed."""
        profile, notes = await self._ask_for(model, lambda engine, name: engine.profile(name))
        try:
            embedding, _ = await self._ask(_embedding_model, self._embedders(), NO_EMBEDDINGS)
        except AgentError:
            embedding = ""
        capabilities = replace(profile.capabilities, embed=bool(embedding))
        notes = profile.notes + notes
        return replace(profile, capabilities=capabilities, embedding_model=embedding, notes=notes)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        async with AsyncExitStack() as stack:

            async def attempt(engine: Engine, model: str) -> Opened:
                adapted = request if model == request.model else replace(request, model=model)
                async with AsyncExitStack() as trial:
                    events = await trial.enter_async_context(engine.stream(adapted))
                    opened = Opened(engine, await anext(events, None), events)
                    await stack.enter_async_context(trial.pop_all())
                    return opened

            opened, notes = await self._ask_for(request.model, attempt)
            yield await stack.enter_async_context(aclosing(self._events(opened, notes)))

    async def complete(self, request: Request) -> Completion:
        """Returns the whole answer; of an engine that failed in its middle nothing was used."""

        async def attempt(engine: Engine, model: str) -> Completion:
            return await engine.complete(request if model == request.model else replace(request, model=model))

        completion, notes = await self._ask_for(request.model, attempt)
        return replace(completion, done=_with_notes(completion.done, notes)) if notes else completion

    async def models(self) -> Sequence[Model]:
        found: list[Model] = []
        for engine in self._engines:
            if await self._answers(engine):
                try:
                    found.extend(await engine.models())
                except AgentError as error:
                    self._lost(engine, error)
        return found

    async def check(self) -> None:
        await self._ask(lambda engine: engine.check(), self._engines)

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        """Embeds with the first engine that can, and with the same from then on, as long as it answers.

        Vectors of two models are not comparable: check ``model`` when combining results of several calls.
        """

        async def attempt(engine: Engine) -> tuple[Engine, Embeddings]:
            return engine, await engine.embed(texts, deadline=deadline)

        (engine, embeddings), _ = await self._ask(attempt, self._embedders(), NO_EMBEDDINGS)
        self._embedder = engine
        return embeddings

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        count, _ = await self._ask_for(model, lambda engine, name: engine.count_tokens(text, model=name))
        return count

    def _embedders(self) -> Iterable[Engine]:
        return (self._embedder, *(engine for engine in self._engines if engine is not self._embedder))

    async def _ask_for(
        self, model: str, attempt: Callable[[Engine, str], Awaitable[T]]
    ) -> tuple[T, tuple[str, ...]]:
        """Returns the result of the first engine that has ``model``, else of the first with a default."""
        notes: tuple[str, ...] = ()
        if model:
            try:
                answer = await self._ask(
                    lambda engine: attempt(engine, model), self._engines, UnknownModelError
                )
            except UnknownModelError:
                if model not in self._names:
                    raise
                notes = (f"no engine that answers has {model}, another model answered",)
            else:
                self._names.add(model)
                return answer
        found, why = await self._ask(
            lambda engine: attempt(engine, ""), self._engines, UnknownModelError, note_passing=True
        )
        return found, why + notes

    async def _ask(
        self,
        attempt: Callable[[Engine], Awaitable[T]],
        engines: Iterable[Engine],
        passing: type[AgentError] | tuple[type[AgentError], ...] = EngineUnavailableError,
        *,
        note_passing: bool = False,
    ) -> tuple[T, tuple[str, ...]]:
        """Returns the first result, and a note why earlier engines were skipped.

        An error of type ``passing`` also moves on to the next engine; ``note_passing`` adds it to the note.

        Raises:
            AgentError: the first error of type ``passing``, else the last engine's error.
        """
        why: list[str] = []
        refusal: AgentError | None = None
        failure = EngineUnavailableError(
            "no engine answers", hint="start one, or set `engine` to one that runs"
        )
        for engine in engines:
            if not await self._answers(engine):
                why += [f"{engine.name} did not answer"] if self._health[engine].was_up else []
                continue
            try:
                answer = await attempt(engine)
            except EngineUnavailableError as error:
                self._lost(engine, error)
                why.append(f"{engine.name} did not answer")
                failure = error
            except passing as error:
                why += [f"{engine.name}: {error}"] if note_passing else []
                refusal = refusal or error
            else:
                self._found(engine)
                return answer, ("; ".join([*why, f"{engine.name} answered"]),) if why else ()
        raise refusal or failure

    async def _answers(self, engine: Engine) -> bool:
        """Returns the known availability; checks an engine that was down every ``RETRY_S``."""
        health = self._health[engine]
        now = self._clock()
        if health.up or engine is self._engines[-1]:
            return True
        if now < health.ask_again:
            return False
        if health.checked:
            health.ask_again = now + RETRY_S  # one request waits for the check, the others skip the engine
        try:
            with anyio.fail_after(CHECK_S):
                await engine.check()
        except TimeoutError:
            self._lost(engine, EngineUnavailableError(f"no answer within {CHECK_S:g} s"))
        except AgentError as error:  # of any kind: another server may listen at that address
            self._lost(engine, error)
        else:
            self._found(engine)
        return health.up

    def _found(self, engine: Engine) -> None:
        health = self._health[engine]
        if health.was_up and not health.up:
            log.warning("%s answers again", engine.name)
        health.up = health.was_up = health.checked = True

    def _lost(self, engine: Engine, error: AgentError) -> None:
        health = self._health[engine]
        if health.up or not health.checked:
            never_there = not health.was_up and isinstance(error, EngineUnavailableError)
            level = logging.INFO if never_there else logging.WARNING
            log.log(level, "%s does not answer: %s", engine.name, error)
        health.up, health.checked = False, True
        health.ask_again = self._clock() + RETRY_S

    async def _events(self, opened: Opened, notes: tuple[str, ...]) -> AsyncGenerator[Event, None]:
        if opened.first:
            yield _noted(opened.first, notes)
        try:
            async for event in opened.rest:
                yield _noted(event, notes)
        except EngineUnavailableError as error:
            self._lost(opened.engine, error)
            raise


def _noted(event: Event, notes: tuple[str, ...]) -> Event:
    return _with_notes(event, notes) if notes and isinstance(event, Done) else event


def _with_notes(done: Done, notes: tuple[str, ...]) -> Done:
    return replace(done, notes=done.notes + notes)


async def _embedding_model(engine: Engine) -> str:
    profile = await engine.profile()
    if not profile.capabilities.embed:
        raise UnsupportedFeatureError(f"{engine.name} has no embedding model")
    return profile.embedding_model
