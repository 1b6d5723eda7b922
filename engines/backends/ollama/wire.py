"""Pure translation between our vocabulary and Ollama's ``/api/chat``."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from engines.backends.thinking import Spoken
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
from engines.errors import EngineUnavailableError, RequestRefusedError, UnsupportedFeatureError

if TYPE_CHECKING:
    from engines.backends.ollama.answers import Line, Shown

MAX_TOP_LOGPROBS = 20
"""More is a 400 (recording ``logprobs_bad_400``)."""

ROOM_TO_THINK: Mapping[Effort, int] = {"off": 0, "low": 512, "medium": 2048, "high": 8192}
"""Tokens on top of the answer's, because ``num_predict`` counts thoughts too. A guess, not measured."""

QUOTES = 4
"""Tokens on top of a choice's: it comes as a JSON string."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What ``/api/show`` tells about a model, as far as requests depend on it."""

    can: frozenset[str]
    """``completion``, ``tools``, ``thinking``, ``embedding``, ..."""
    context: int
    """Tokens it was trained for; 0 when unknown."""
    billions: float
    thinks_in_levels: bool
    """GPT-OSS: ``think`` takes a level and cannot be switched off (Ollama's docs on thinking)."""
    base: str
    """The model it adapts, if it was made with ``ADAPTER``."""
    stop: tuple[str, ...]
    """Its own stop strings, which those of a request would replace."""


def facts(shown: "Shown") -> Facts:
    info = shown.model_info
    architecture = str(info.get("general.architecture"))
    adapted = re.search(r"^ADAPTER ", shown.modelfile, re.MULTILINE)
    return Facts(
        can=shown.capabilities,
        context=cast("int", info.get(f"{architecture}.context_length") or 0),
        billions=cast("int", info.get("general.parameter_count") or 0) / 1e9,
        thinks_in_levels=architecture in {"gptoss", "gpt-oss"},
        base=shown.details.parent_model if adapted else "",
        stop=tuple(re.findall(r'^stop +"(.*)"$', shown.parameters, re.MULTILINE)),
    )


def chat_body(request: Request, model: str, known: Facts, *, context: int, keep_alive: str) -> JsonObject:
    """The body of ``/api/chat``.

    Raises:
        RequestRefusedError: an earlier tool call's arguments are no JSON object.
        UnsupportedFeatureError: a tool call is demanded; Ollama has no ``tool_choice``.
    """
    think, room = _think(request.effort, known)
    limit = request.max_tokens + room + (QUOTES if request.choices else 0)
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
    """The text of one answer, line by line."""

    def __init__(self, request: Request) -> None:
        self._spoken = Spoken()
        self._held: list[TextDelta] | None = [] if request.choices else None

    def pieces(self, line: "Line") -> Sequence[TextDelta]:
        """What can be said after ``line``. A choice is said at the end, when all of its string is there."""
        said = list(self._spoken.pass_on(_delta(line)) if line.message.content else ())
        if line.done:
            said += self._spoken.rest()
        if self._held is None:
            return said
        self._held += said
        return [_unquoted(self._held)] if line.done else []


def tool_calls(line: "Line", first: int) -> Iterator[ToolCallDelta]:
    """The line's calls, numbered from ``first``; Ollama sends each whole."""
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


def _unquoted(deltas: Sequence[TextDelta]) -> TextDelta:
    """The choice inside the JSON string it came as.

    Servers that ignore ``format`` (0.17 to 0.20 with ``think`` off) send it bare. Tokens and their
    alternatives lose their quotes too, and those that were nothing else are left out.
    """
    text = "".join(delta.text for delta in deltas).strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    bare = [_bare(token) for delta in deltas for token in delta.logprobs]
    return TextDelta(
        said if isinstance(said, str) else text.strip('"'), tuple(token for token in bare if token.token)
    )


def _bare(position: TokenLogprob) -> TokenLogprob:
    top = ((token.strip('"'), logprob) for token, logprob in position.top)
    return TokenLogprob(
        position.token.strip('"'),
        position.logprob,
        tuple((token, logprob) for token, logprob in top if token),
    )


def _think(effort: Effort | None, known: Facts) -> tuple[str | bool | None, int]:
    """``think``, and the tokens it may take. Said outright, because unsaid means on.

    Levels go to GPT-OSS alone: up to 0.14 other models answer them with a 400.
    """
    if "thinking" not in known.can:
        return None, 0
    if known.thinks_in_levels:
        level: Effort = "low" if effort == "off" else effort or "medium"
        return level, ROOM_TO_THINK[level]
    return effort != "off", ROOM_TO_THINK[effort or "medium"]


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
            "Ollama cannot be made to call a tool", hint='leave `tool_choice` out or set it to "auto"'
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
            f"the arguments of a tool call are no JSON object: {text[:80]}", hint="send them as JSON text"
        )
    return cast("JsonObject", arguments)
