"""An engine without a model: returns scripted, deterministic answers.

For tests, and to try the transports on a machine without a model. Without a script it satisfies the
request's constraints (choices, schema, tools, limits) and otherwise repeats the user's message.
"""

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import anyio
import anyio.lowlevel

from engines.backends.deadline import before
from engines.backends.scripted.json_values import as_object, valid_instance
from engines.base import (
    Capabilities,
    Done,
    Embeddings,
    Engine,
    Event,
    FinishReason,
    Model,
    Profile,
    Request,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineProtocolError,
    UnknownModelError,
)

Reply: TypeAlias = str | Sequence[Event | AgentError] | AgentError
"""Text; or events, with an error where the stream fails; or an error before the first event.

``Done`` is added if it is missing.
"""
Script: TypeAlias = Callable[[Request], Reply] | Sequence[Reply]

EVERYTHING = Capabilities(
    json_schema=True,
    choice=True,
    logprobs=True,
    tokenize=True,
    embed=True,
    lora=True,
    tools=True,
    max_context=16384,
    parallel=4,
)
DIMENSIONS = 384

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


class ScriptedEngine(Engine):
    """Answers from ``script``: a function of the request, or a sequence of replies.

    ``requests`` records the requests, ``active`` counts the running answers, and ``pace`` is the
    time between two events in seconds, for tests of cancellation and deadlines.
    """

    name = "scripted"

    def __init__(
        self,
        script: Script | None = None,
        *,
        model: str = "scripted",
        capabilities: Capabilities = EVERYTHING,
        adapters: Sequence[str] = (),
        parameters: float = 0.0,
        pace: float = 0.0,
    ) -> None:
        self.model = model
        self.capabilities = capabilities
        self.adapters = tuple(adapters)
        self.parameters = parameters
        self.pace = pace
        self.requests: list[Request] = []
        self.embedded: list[str] = []
        self.active = 0
        self._reply = _player(script)

    async def profile(self, model: str = "") -> Profile:
        self._require(model)
        embedding = f"{self.model}-embedding" if self.capabilities.embed else ""
        return Profile(self.name, self.model, self.capabilities, embedding, self.parameters)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        self.requests.append(request)
        self._require(request.model)
        prompt_tokens = sum(_count(message.content) for message in request.messages)
        if prompt_tokens >= self.capabilities.max_context:
            raise ContextTooLongError(
                f"the prompt has {prompt_tokens} tokens, {self.model} takes {self.capabilities.max_context}",
                hint="shorten the text",
            )
        reply = self._reply(request)
        if isinstance(reply, AgentError):
            raise reply
        events = _as_events(reply, request) if isinstance(reply, str) else reply
        self.active += 1
        try:
            async with aclosing(self._play(events, request, prompt_tokens)) as playing:
                yield playing
        finally:
            self.active -= 1

    async def models(self) -> Sequence[Model]:
        adapters = [Model(name, self.name, base=self.model) for name in self.adapters]
        return [Model(self.model, self.name, loaded=True), *adapters]

    async def check(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        """Returns hashed bags of words and trigrams: texts that share words are similar."""
        if not self.capabilities.embed:
            return await super().embed(texts, deadline=deadline)
        with before(deadline, self.name):
            await anyio.sleep(self.pace)
        self.embedded.extend(texts)
        vectors = tuple(_bag_of_words(text) for text in texts)
        return Embeddings(vectors, sum(map(_count, texts)), f"{self.model}-embedding")

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        """Counts words and punctuation marks."""
        if not self.capabilities.tokenize:
            return await super().count_tokens(text, model=model)
        self._require(model)
        return _count(text)

    def _require(self, model: str) -> None:
        if model and model != self.model:
            raise UnknownModelError(f"no model {model!r}", hint=f"the only model is {self.model!r}")

    async def _play(
        self, events: Sequence[Event | AgentError], request: Request, prompt_tokens: int
    ) -> AsyncGenerator[Event, None]:
        sent = 0
        for event in events:
            with before(request.deadline, self.name):
                await anyio.sleep(self.pace)
            if isinstance(event, AgentError):
                raise event
            sent += isinstance(event, TextDelta)
            if isinstance(event, Done):
                yield self._completed(event, request, Usage(prompt_tokens, sent))
                return
            yield event
        called = any(isinstance(event, ToolCallDelta) for event in events)
        yield self._completed(_done("tool_calls" if called else "stop"), request, Usage(prompt_tokens, sent))

    def _completed(self, done: Done, request: Request, usage: Usage) -> Done:
        """Fills in the fields of ``done`` that the script omits."""
        known = request.adapter in self.adapters
        lost = request.adapter is not None and not known
        missing = (f"no adapter {request.adapter!r}, used the base model",) if lost else ()
        return replace(
            done,
            engine=done.engine or self.name,
            model=done.model or self.model,
            adapter=done.adapter or (request.adapter if known else None),
            usage=usage if done.usage == Usage() else done.usage,
            notes=done.notes + missing,
        )


def _player(script: Script | None) -> Callable[[Request], Reply]:
    if script is None:
        return _default_reply
    if callable(script):
        return script
    left = iter(script)
    over = EngineProtocolError("the script has no reply left", hint="script one reply per request")
    return lambda _request: next(left, over)


def _default_reply(request: Request) -> Reply:
    if request.tools and (call := _tool_call(request)):
        return [call]
    if request.choices:
        return request.choices[0]
    if request.schema is not None:
        return json.dumps(valid_instance(request.schema), ensure_ascii=False)
    return next((m.content for m in reversed(request.messages) if m.role == "user"), "")


def _tool_call(request: Request) -> ToolCallDelta | None:
    """Returns a call of the required tool, else of the first; ``None`` after a tool result."""
    wish = request.tool_choice
    if wish == "none" or (wish in (None, "auto") and request.messages[-1].role == "tool"):
        return None
    functions = [as_object(tool.get("function")) for tool in request.tools]
    wanted = as_object(as_object(wish).get("function")).get("name")
    function = next((f for f in functions if f.get("name") == wanted), functions[0])
    arguments = json.dumps(valid_instance(as_object(function.get("parameters"))), ensure_ascii=False)
    return ToolCallDelta(0, "call_0", str(function.get("name")), arguments)


def _as_events(text: str, request: Request) -> list[Event | AgentError]:
    """Returns ``text`` as token deltas, within the request's limits."""
    ends = [at for stop in request.stop if (at := text.find(stop)) >= 0]
    text = text[: min(ends, default=len(text))]
    tokens = [text] if text in request.choices else _TOKEN.findall(text)
    finish: FinishReason = "length" if len(tokens) > request.max_tokens else "stop"
    deltas = [TextDelta(token, _logprobs(token, request)) for token in tokens[: request.max_tokens]]
    return [*deltas, _done(finish)]


def _done(finish: FinishReason) -> Done:
    return Done(finish, Usage(), engine="", model="")


def _logprobs(token: str, request: Request) -> tuple[TokenLogprob, ...]:
    """Returns a probability of one half for the token, and half of the rest for each other choice."""
    if request.logprobs is None:
        return ()
    others = [choice for choice in request.choices if choice != token]
    ranked = [(name, (rank + 1) * math.log(0.5)) for rank, name in enumerate([token, *others])]
    return (TokenLogprob(token, math.log(0.5), tuple(ranked[: request.logprobs])),)


def _count(text: str) -> int:
    return len(_TOKEN.findall(text))


def _bag_of_words(text: str) -> tuple[float, ...]:
    """Feature hashing (Weinberger et al., 2009) with signs, scaled to length 1."""
    vector = [0.0] * DIMENSIONS
    for feature, count in Counter(_features(text)).items():
        hashed = zlib.crc32(feature.encode())
        vector[(hashed >> 1) % DIMENSIONS] += count if hashed & 1 else -count
    length = math.hypot(*vector)
    return tuple(x / length for x in vector) if length else (1.0, *vector[1:])


def _features(text: str) -> Iterator[str]:
    for word in re.findall(r"\w+", text.lower()):
        yield word
        yield from (word[i : i + 3] for i in range(len(word) - 2))
