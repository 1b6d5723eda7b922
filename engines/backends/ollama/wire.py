"""Converts requests and answers between ``engines.base`` and Ollama's ``/api/chat``. No I/O."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from engines.backends.choices import unquoted
from engines.backends.thinking import ThoughtFilter
from engines.base import (
    Effort,
    JsonObject,
    JsonValue,
    Message,
    Request,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from engines.errors import (
    EngineUnavailableError,
    InvalidArgumentsError,
    RequestRefusedError,
    UnsupportedFeatureError,
)
from engines.models import vram
from engines.models.shapes import from_metadata
from engines.models.vram import ModelShape

if TYPE_CHECKING:
    from engines.backends.ollama.answers import Line, ShowResponse

MAX_TOP_LOGPROBS = 20
"""Ollama's limit; more is a 400 (recording ``logprobs_bad_400``)."""

THINKING_TOKENS: Mapping[Effort, int] = {"off": 0, "low": 512, "medium": 2048, "high": 8192}
"""Token budget for reasoning, which ``num_predict`` includes. Not measured."""

FOR_COMPLETION = re.compile(r"\{\{-? *if \.Suffix.{0,1000}?\{\{-? *else *-?\}\}", re.DOTALL)
ACTION = re.compile(r"\{\{.{0,1000}?\}\}", re.DOTALL)

UNKNOWN_SHAPE = 1.2
"""Memory of a model in units of its file, if its metadata does not say more."""

QUOTE_TOKENS = 4
"""Additional tokens of a choice, which is returned as a JSON string."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The properties of a model from ``/api/show`` that requests depend on."""

    can: frozenset[str]
    """``completion``, ``tools``, ``thinking``, ``embedding``, ..."""
    context: int
    """Trained context length in tokens; 0 when unknown."""
    billions: float
    active: float
    """Billions of weights used for each token."""
    chats: bool
    """Completes chats, not only text or code."""
    shape: ModelShape | None
    """Its size apart, which is in the list of models; ``None`` if the metadata lacks values."""
    thinks_in_levels: bool
    """GPT-OSS: ``think`` takes a level and cannot be switched off (Ollama's docs on thinking)."""
    base: str
    """The base model, if it was made with ``ADAPTER``."""
    stop: tuple[str, ...]
    """The model's stop strings, which those of a request would replace."""


def facts(shown: "ShowResponse") -> Facts:
    info = shown.model_info
    architecture = str(info.get("general.architecture"))
    adapted = re.search(r"^ADAPTER ", shown.modelfile, re.MULTILINE)
    billions = cast("int", info.get("general.parameter_count") or 0) / 1e9
    experts = cast("int", info.get(f"{architecture}.expert_count") or 0)
    used = cast("int", info.get(f"{architecture}.expert_used_count") or 0)
    return Facts(
        can=shown.capabilities,
        context=cast("int", info.get(f"{architecture}.context_length") or 0),
        billions=billions,
        active=billions * used / experts if experts and used else billions,
        chats="completion" in shown.capabilities and _is_for_chats(shown),
        shape=_shape(shown),
        thinks_in_levels=architecture in {"gptoss", "gpt-oss"},
        base=shown.details.parent_model if adapted else "",
        stop=tuple(re.findall(r'^stop +"(.*)"$', shown.parameters, re.MULTILINE)),
    )


def _is_for_chats(shown: "ShowResponse") -> bool:
    """Whether the prompt has turns: by the template's text around its actions, or built into Ollama.

    Base and code completion models have no text there, except for the one with ``.Suffix``.
    """
    if re.search(r"^RENDERER ", shown.modelfile, re.MULTILINE) or {"tools", "thinking"} & shown.capabilities:
        return True
    if "tokenizer.chat_template" in shown.model_info or ".Messages" in shown.template:
        return True
    return bool(ACTION.sub("", FOR_COMPLETION.sub("", shown.template)).strip())


def _shape(shown: "ShowResponse") -> ModelShape | None:
    shapes = {tensor.name: tensor.shape for tensor in shown.tensors or ()}
    if "embedding" in shown.capabilities:
        return None  # it has no cache
    try:
        return from_metadata("", 0, shown.model_info, shapes)
    except (InvalidArgumentsError, TypeError, ValueError, IndexError):
        return None


def memory_of(known: Facts, size: int, *, context: int) -> int:
    """Returns the bytes a model with a file of ``size`` bytes needs for one request of ``context`` tokens."""
    if known.shape is None:
        return int(size * UNKNOWN_SHAPE)
    return size + vram.plan(known.shape, context=context, parallel=1, total_gib=1).total


def chat_body(request: Request, model: str, known: Facts, *, context: int, keep_alive: str) -> JsonObject:
    """Returns the body of ``/api/chat``.

    Raises:
        RequestRefusedError: an earlier tool call's arguments are not a JSON object.
        UnsupportedFeatureError: a tool call is required; Ollama has no ``tool_choice``.
    """
    think, thinking_tokens = _think(request.effort, known)
    limit = request.max_tokens + thinking_tokens + (QUOTE_TOKENS if request.choices else 0)
    body: dict[str, JsonValue] = {
        "model": model,
        "messages": list(_messages(request.messages)),
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": {"num_ctx": context, "num_predict": min(limit, context), **_sampling(request, known)},
        "think": think,
        "format": _format(request),
        "tools": _tools(request),
    }
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": min(request.logprobs, MAX_TOP_LOGPROBS)}
    return {key: value for key, value in body.items() if value is not None}


class Answer:
    """Converts the lines of one answer to ``TextDelta``s."""

    def __init__(self, request: Request) -> None:
        self._thoughts = ThoughtFilter()
        self._held: list[TextDelta] | None = [] if request.choices else None

    def deltas(self, line: "Line") -> Sequence[TextDelta]:
        """Returns the deltas to emit after ``line``. A choice is one delta at the end."""
        deltas = list(self._thoughts.feed(_delta(line)) if line.message.content else ())
        if line.done:
            deltas += self._thoughts.flush()
        if self._held is None:
            return deltas
        self._held += deltas
        return [unquoted(self._held)] if line.done else []


def tool_calls(line: "Line", first: int) -> Iterator[ToolCallDelta]:
    """Yields the tool calls of a line, numbered from ``first``; Ollama sends each complete."""
    for index, call in enumerate(line.message.tool_calls or (), first):
        identity = call.id or f"call_{secrets.token_hex(4)}"
        arguments = json.dumps(call.function.arguments, ensure_ascii=False)
        yield ToolCallDelta(index, identity, call.function.name, arguments)


def unreachable(why: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"Ollama does not answer: {why}",
        hint="start it with `ollama serve` (or its app), or set `url` in the settings' [ollama]",
    )


def _delta(line: "Line") -> TextDelta:
    positions = [
        TokenLogprob(p.token, p.logprob, tuple((top.token, top.logprob) for top in p.top_logprobs))
        for p in line.logprobs or ()
    ]
    return TextDelta(line.message.content, tuple(positions))


def _think(effort: Effort | None, known: Facts) -> tuple[str | bool | None, int]:
    """Returns ``think`` and its token budget. Always set, because the default is on.

    Levels are sent to GPT-OSS only: up to 0.14 other models answer them with a 400.
    """
    if "thinking" not in known.can:
        return None, 0
    if known.thinks_in_levels:
        level: Effort = "low" if effort == "off" else effort or "medium"
        return level, THINKING_TOKENS[level]
    return effort != "off", THINKING_TOKENS[effort or "medium"]


def _format(request: Request) -> JsonValue:
    if request.choices:
        return {"type": "string", "enum": list(request.choices)}
    return "json" if request.schema == {} else request.schema


def _sampling(request: Request, known: Facts) -> JsonObject:
    options: JsonObject = {"temperature": request.temperature}
    if request.top_p is not None:
        options["top_p"] = request.top_p
    if request.seed is not None:
        options["seed"] = request.seed
    if request.stop:
        options["stop"] = [*request.stop, *known.stop]
    return options


def _tools(request: Request) -> JsonValue:
    if request.tool_choice == "none" or not request.tools:
        return None
    if request.tool_choice not in (None, "auto"):
        raise UnsupportedFeatureError(
            "Ollama cannot force a tool call", hint='leave `tool_choice` out or set it to "auto"'
        )
    return list(request.tools)


def _messages(messages: Sequence[Message]) -> Iterator[JsonObject]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        wire: JsonObject = {"role": message.role, "content": message.content}
        if message.tool_calls:
            wire["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.tool_call_id:
            wire["tool_call_id"] = message.tool_call_id
            wire["tool_name"] = names.get(message.tool_call_id, "")
        yield wire


def _arguments(text: str) -> JsonObject:
    try:
        arguments = json.loads(text or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise RequestRefusedError(
            f"the arguments of a tool call are not a JSON object: {text[:80]}", hint="send them as JSON text"
        )
    return cast("JsonObject", arguments)
