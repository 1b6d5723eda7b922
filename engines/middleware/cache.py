"""Response cache: returns stored answers and embeddings for repeated requests.

The key holds everything an answer depends on: messages, engine, model, adapter and all parameters;
and the project, so that projects do not share answers. A model replaced under the same name
keeps its old answers until they are evicted.
"""

import hashlib
import json
import math
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
from pydantic_core import PydanticSerializationError, to_json

from engines.base import (
    Completion,
    Done,
    Embeddings,
    Engine,
    Event,
    EventStream,
    JsonValue,
    Profile,
    Request,
    TextDelta,
    TokenLogprob,
    Usage,
    collect,
)
from engines.errors import AgentError
from engines.middleware.wrapper import ObservedStream, WrapperEngine
from engines.storage.store import Store

LARGEST = 2**20
"""Largest answer that is stored, in bytes."""


class CachedEngine(WrapperEngine):
    """Caches answers at temperature 0 without tools, and embeddings, in ``store``.

    A cached answer has the same events; its ``Done`` has ``cached`` set and keeps the original usage.
    ``tokens`` of embeddings counts only texts embedded now.
    """

    def __init__(self, inner: Engine, store: Store) -> None:
        super().__init__(inner)
        self._store = store

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        key = await self._key(request)
        if key and (events := await self._stored(key)):
            async with aclosing(_replay(events)) as replayed:
                yield replayed
            return
        stream = self.inner.stream(request)
        async with _CachingStream(stream, self, key, request) if key else stream as events:
            yield events

    async def complete(self, request: Request) -> Completion:
        key = await self._key(request)
        if key and (events := await self._stored(key)):
            return await collect(_replay(events))
        completion = await self.inner.complete(request)
        if key:
            self.keep(key, request, [TextDelta(completion.text, completion.logprobs)], completion.done)
        return completion

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        model = (await self.inner.profile()).embedding_model
        if not model:
            return await self.inner.embed(texts, deadline=deadline)
        keys = {text: _digest([self.name, model, text]) for text in texts}
        stored = await self._store.get(list(keys.values()))
        vectors = {text: _floats(stored[key]) for text, key in keys.items() if key in stored}
        tokens = 0
        if missing := [text for text in keys if text not in vectors]:
            made = await self.inner.embed(missing, deadline=deadline)
            model, tokens = made.model, made.tokens
            for text, vector in zip(missing, made.vectors, strict=True):
                vectors[text] = vector
                self._store.put(keys[text], array("f", vector).tobytes())
        return Embeddings(tuple(vectors[text] for text in texts), tokens, model)

    async def _stored(self, key: bytes) -> list[Event]:
        return unpack((await self._store.get([key])).get(key))

    def keep(self, key: bytes, request: Request, deltas: Sequence[TextDelta], done: Done) -> None:
        """Stores the answer to ``request``, whole or cut at its limit, if the requested adapter gave it."""
        if done.finish_reason != "tool_calls" and done.adapter == request.adapter:
            packed = pack(deltas, done)
            if len(packed) <= LARGEST:
                self._store.put(key, packed)

    async def _key(self, request: Request) -> bytes | None:
        """Returns the cache key; ``None`` with sampling or tools, or when the engine does not answer."""
        if request.temperature or request.tools:
            return None
        with anyio.CancelScope(deadline=request.deadline):
            try:
                return _answer_key(request, await self.inner.profile(request.model))
            except AgentError:  # the request itself raises it again
                return None
        return None


class _CachingStream(ObservedStream):
    """Gives the answer to the cache at its end."""

    def __init__(self, stream: EventStream, cache: CachedEngine, key: bytes, request: Request) -> None:
        super().__init__(stream)
        self._cache = cache
        self._key = key
        self._request = request
        self._deltas: list[TextDelta] = []

    def on_event(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._deltas.append(event)
        elif isinstance(event, Done):
            self._cache.keep(self._key, self._request, self._deltas, event)


async def _replay(events: list[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


def _answer_key(request: Request, profile: Profile) -> bytes:
    return _digest(
        [
            request.tags.project,
            profile.engine,
            profile.model,
            request.adapter,
            [
                [m.role, m.content, [[c.id, c.name, c.arguments] for c in m.tool_calls], m.tool_call_id]
                for m in request.messages
            ],
            request.max_tokens,
            request.top_p,
            request.seed,
            list(request.stop),
            request.schema,
            list(request.choices),
            request.logprobs,
            request.effort,
        ]
    )


def _digest(parts: JsonValue) -> bytes:
    """Hashes ``parts``. Keys are not sorted: the model writes in the order of the schema."""
    return hashlib.blake2b(_serialized(parts), digest_size=20).digest()


def _serialized(parts: JsonValue) -> bytes:
    try:
        return to_json(parts, inf_nan_mode="constants")
    except PydanticSerializationError:  # a lone surrogate
        return json.dumps(parts).encode()


def pack(deltas: Sequence[TextDelta], done: Done) -> bytes:
    texts: JsonValue = [
        [delta.text, [[t.token, t.logprob, [[a, b] for a, b in t.top]] for t in delta.logprobs]]
        for delta in deltas
    ]
    usage = done.usage
    return _serialized(
        [
            texts,
            [usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens],
            done.engine,
            done.model,
            done.adapter,
            list(done.notes),
            done.finish_reason,
        ]
    )


def unpack(packed: bytes | None) -> list[Event]:
    """Returns the stored events; empty when there are none or they cannot be read."""
    if packed is None:
        return []
    try:
        texts, usage, engine, model, adapter, notes, *rest = json.loads(packed)
        (finish,) = rest or ["stop"]  # older files hold only whole answers and do not say so
        deltas = [
            TextDelta(text, tuple(TokenLogprob(t, p, tuple((a, b) for a, b in top)) for t, p, top in tokens))
            for text, tokens in texts
        ]
    except (ValueError, TypeError):
        return []
    done = Done(finish, Usage(*usage), engine, model, adapter, cached=True, notes=tuple(notes))
    return [*deltas, done]


def _floats(packed: bytes) -> tuple[float, ...]:
    return tuple(array("f", packed))
