"""The ``Engine`` contract between the tools and the model backends.

Above: tools send a ``Request``, read ``Event``s and never name an engine.
Below: ``engines/backends``, one package each, and ``engines/middleware``, wrappers with the
same contract.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from anyio import AsyncContextManagerMixin
from pydantic import JsonValue

from engines.errors import EngineInterruptedError, UnsupportedFeatureError

JsonObject: TypeAlias = dict[str, JsonValue]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]
Effort = Literal["off", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call requested by the model; ``arguments`` is JSON text, as on OpenAI's wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tags:
    """The origin of a request, for fair queueing and metrics; does not change the answer."""

    tool: str = ""
    tier: str = ""
    project: str = "default"
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a model. Equal requests at temperature 0 may share one answer."""

    messages: tuple[Message, ...]
    max_tokens: int
    model: str = ""
    """The engine's name for the model; empty means the engine's default."""
    adapter: str | None = None
    """LoRA adapter; a missing one falls back to the base model, with a note in ``Done``."""
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: JsonObject | None = None
    """JSON Schema the text must satisfy; ``{}`` means any JSON object."""
    choices: tuple[str, ...] = ()
    """The text must be exactly one of these."""
    logprobs: int | None = None
    """Alternatives per token; 0 returns the chosen token alone, ``None`` no logprobs."""
    tools: tuple[JsonObject, ...] = ()
    tool_choice: JsonValue = None
    effort: Effort | None = None
    """Reasoning effort; the reasoning is never part of the text."""
    deadline: float = math.inf
    """Seconds on the clock of ``anyio.current_time()``."""
    tags: Tags = Tags()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call; ``id`` and ``name`` come with the first piece of an ``index``."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens the engine already had in its prompt cache."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of every stream: finish reason, usage, and the engine and model that answered."""

    finish_reason: FinishReason
    usage: Usage
    engine: str
    model: str
    adapter: str | None = None
    cached: bool = False
    """The whole answer came from the response cache; no request reached the engine."""
    notes: tuple[str, ...] = ()
    """Notes for the caller, such as a missing adapter or a failed-over engine."""


Event = TextDelta | ToolCallDelta | Done
EventStream = AbstractAsyncContextManager[AsyncIterator[Event]]


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    done: Done
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Features of a model on an engine. Tools decide by these, never by an engine's name."""

    json_schema: bool = False
    choice: bool = False
    logprobs: bool = False
    tokenize: bool = False
    embed: bool = False
    lora: bool = False
    tools: bool = False
    prefill: bool = False
    """Whether a last message of the assistant is the beginning of the answer."""
    max_context: int = 4096
    """Tokens, prompt and answer together."""
    parallel: int = 1
    """Requests the engine processes at the same time."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The engine and model a request would reach now, with their capabilities."""

    engine: str
    model: str
    capabilities: Capabilities
    embedding_model: str = ""
    parameters: float = 0.0
    """Size in billions of weights, 0 when unknown; weights generated labels against embeddings."""
    notes: tuple[str, ...] = ()
    reason: str = ""
    """Why the engine chose this model; empty if the settings or the caller named it."""
    small_model: str = ""
    """A second, faster model that fits beside this one, for the smallest tier; empty for none."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model or adapter an engine offers."""

    name: str
    engine: str
    base: str = ""
    """For an adapter, the model it adapts."""
    loaded: bool = False
    kind: Literal["chat", "embedding"] = "chat"
    context: int = 0
    """Tokens, prompt and answer together; 0 when unknown."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    vectors: tuple[tuple[float, ...], ...]
    """One unit-length vector per text, in order."""
    tokens: int
    model: str


class Engine(AsyncContextManagerMixin, ABC):
    """A model backend or a wrapper around one. Use with ``async with``; methods may raise ``AgentError``."""

    name: str

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        yield self

    @abstractmethod
    async def profile(self, model: str = "") -> Profile:
        """Returns what a request for ``model`` (empty: the default) would reach. Cheap after the first call.

        Raises:
            EngineUnavailableError: nothing answers.
            UnknownModelError: the engine has no such model.
        """

    @abstractmethod
    def stream(self, request: Request) -> EventStream:
        """Streams the answer to ``request``: text and tool-call deltas, then exactly one ``Done``.

        Leaving the context before ``Done`` stops the generation at the engine. The request's
        deadline covers connecting, waiting and every event.

        Raises:
            AgentError: on entering or while iterating; foreign errors are translated.
        """

    async def complete(self, request: Request) -> Completion:
        """Returns the whole answer to ``request``; cancelling stops the generation.

        Collects the stream. Engines that can be asked for a whole answer, and wrappers, override it:
        one call a layer costs less than one a piece of text.

        Raises:
            AgentError: as ``stream``.
        """
        async with self.stream(request) as events:
            return await collect(events)

    @abstractmethod
    async def models(self) -> Sequence[Model]:
        """Lists what a request may name as ``model`` or ``adapter``."""

    @abstractmethod
    async def check(self) -> None:
        """Checks that the engine answers now, without starting or loading anything.

        Raises:
            EngineUnavailableError: the engine does not answer.
        """

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        """Returns sentence embeddings of ``texts``, in order.

        Raises:
            UnsupportedFeatureError: ``capabilities.embed`` is false.
        """
        raise UnsupportedFeatureError(
            f"{self.name} has no embedding model",
            hint="ask for profile().capabilities.embed first",
        )

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        """Returns the exact number of tokens of ``text``, without special tokens.

        Raises:
            UnsupportedFeatureError: ``capabilities.tokenize`` is false.
        """
        raise UnsupportedFeatureError(
            f"{self.name} has no tokenizer endpoint",
            hint="estimate with engines.tokens instead",
        )


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


async def collect(events: AsyncIterator[Event]) -> Completion:
    """Collects a stream into a ``Completion``.

    Raises:
        EngineInterruptedError: the stream ended without ``Done``.
    """
    text: list[str] = []
    logprobs: list[TokenLogprob] = []
    calls: dict[int, _Call] = {}
    async for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
                logprobs.extend(event.logprobs)
            case ToolCallDelta():
                call = calls.setdefault(event.index, _Call())
                call.id = call.id or event.id
                call.name = call.name or event.name
                call.arguments.append(event.arguments)
            case Done():
                return Completion(
                    "".join(text),
                    event,
                    tuple(ToolCall(c.id, c.name, "".join(c.arguments)) for _, c in sorted(calls.items())),
                    tuple(logprobs),
                )
    raise EngineInterruptedError("the engine's answer stopped before its end", hint="ask again")
