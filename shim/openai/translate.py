"""Translates between OpenAI's wire format and calls of the chat tool; pure functions.

Fields missing from the request are omitted, so that the tool's defaults apply. No system prompt is added.
"""

import random
import time
from dataclasses import dataclass, field
from typing import cast

from engines.base import (
    Completion,
    Done,
    Effort,
    Event,
    JsonObject,
    JsonValue,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from shim.caller import TIERS, Caller
from shim.encoding import json_text, utf8
from shim.errors import WrongFieldError
from shim.openai.wire import OWNER, ChatMessage, ChatRequest, ContentPart
from tools.base import Call, Receipt, Result, Sampling
from tools.chat import tool as chat
from tools.chat.tool import ChatArguments

LEAST_LOGPROB = -9999.0
"""OpenAI's logprob for a token of probability zero; JSON has no infinity."""

ANY_OBJECT: JsonObject = {"type": "object"}
"""Schema of ``json_object``; ``{}`` would allow a list."""


EFFORTS: dict[str, Effort] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
"""Effort by OpenAI's ``reasoning_effort``; unknown values leave the tier's default."""


@dataclass(frozen=True, slots=True)
class Target:
    """The tier, model or adapter that a request's ``model`` selects."""

    tier: str = "auto"
    model: str = ""
    adapter: str | None = None


TIER_TARGETS = {name: Target(tier=name) for name in TIERS}


def chat_call(request: ChatRequest, target: Target, caller: Caller) -> Call:
    """Returns the call of the chat tool for ``request``.

    Raises:
        WrongFieldError: a message contains a part that is not text.
    """
    messages = [_message(message, at) for at, message in enumerate(request.messages)]
    given = {
        "messages": messages,
        "max_tokens": request.max_completion_tokens or request.max_tokens,
        "temperature": request.temperature,
        "schema": _schema(request),
    }
    arguments = {name: value for name, value in given.items() if value is not None}
    tiers = (request.x_tier, caller.tier, target.tier)
    return Call(
        tool="chat",
        arguments=cast("JsonObject", arguments),
        project=caller.project,
        agent=caller.agent,
        tier=next((tier for tier in tiers if tier and tier != "auto"), "auto"),
        model=target.model,
        adapter=target.adapter,
        sampling=_sampling(request),
        full=True,
        # Every limit of ``ChatArguments`` is one of ``ChatRequest``, too.
        validated=ChatArguments.model_construct(None, **arguments),
    )


def _message(message: ChatMessage, at: int) -> chat.ChatMessage:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "\n".join(_text(part, f"messages[{at}].content[{n}]") for n, part in enumerate(content))
    role = message["role"]
    translated = chat.ChatMessage(role="system" if role == "developer" else role, content=content)
    if calls := message.get("tool_calls"):
        translated["tool_calls"] = cast("list[chat.WireToolCall]", calls)
    if call_id := message.get("tool_call_id"):
        translated["tool_call_id"] = call_id
    return translated


def _text(part: ContentPart, param: str) -> str:
    text = part.get("text")
    if part["type"] != "text" or text is None:
        raise WrongFieldError(
            f"{param} is of type {part['type']!r}, and the local models read text only",
            param=param,
            hint='send parts {"type": "text", "text": ...}',
        )
    return text


def _schema(request: ChatRequest) -> JsonObject | None:
    """Returns the schema the answer must satisfy, if any."""
    wanted = request.response_format
    if wanted is None or wanted["type"] == "text":
        return None
    named = wanted.get("json_schema") if wanted["type"] == "json_schema" else None
    return (named or {}).get("schema") or ANY_OBJECT


def _sampling(request: ChatRequest) -> Sampling:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    wants_logprobs = request.logprobs or request.top_logprobs
    return Sampling(
        top_p=request.top_p,
        seed=request.seed,
        # an empty string would stop before the first token
        stop=tuple(filter(None, stop)),
        logprobs=request.top_logprobs or 0 if wants_logprobs else None,
        tools=cast("tuple[JsonObject, ...]", tuple(request.tools or ())),
        tool_choice=cast("JsonValue", request.tool_choice),
        effort=EFFORTS.get(request.reasoning_effort or ""),
    )


def completion_of(result: Result) -> Completion:
    """Returns a tool's validated result as a completion."""
    receipt = result.receipt
    text = result.fields[result.plain] if result.plain in result.fields else result.fields.get("data")
    return Completion(
        text if isinstance(text, str) else json_text(text),
        Done(
            "stop",
            Usage(receipt.tokens.prompt, receipt.tokens.completion),
            receipt.engine,
            receipt.model,
            receipt.adapter,
        ),
    )


def chat_completion(completion: Completion, receipt: Receipt, *, model: str) -> JsonObject:
    """Returns the response body; ``model`` is the requested name, the receipt contains the actual one."""
    calls: list[JsonValue] = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in completion.tool_calls
    ]
    message: JsonObject = {"role": "assistant", "content": completion.text, "refusal": None}
    if calls:
        message["content"] = completion.text or None
        message["tool_calls"] = calls
    return {
        "id": _new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": _logprobs(completion.logprobs),
                "finish_reason": completion.done.finish_reason,
            }
        ],
        "usage": usage_body(completion.done.usage),
        "system_fingerprint": OWNER,
        "receipt": receipt.as_json(),
    }


def usage_body(usage: Usage) -> JsonObject:
    """Returns the usage in OpenAI's format."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


@dataclass(slots=True)
class Chunks:
    """Encodes a streamed answer as server-sent events; fixed parts are encoded once."""

    model: str
    include_usage: bool = False
    _head: str = field(init=False)
    _tail: str = field(init=False)
    _opened: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._head = (
            f'data: {{"id":"{_new_id()}","object":"chat.completion.chunk","created":{int(time.time())},'
            f'"model":{json_text(self.model)},"system_fingerprint":{json_text(OWNER)},"choices":['
        )
        self._tail = ',"usage":null' if self.include_usage else ""

    def delta(self, event: TextDelta | ToolCallDelta) -> bytes:
        """Encodes ``event`` as a chunk; the first call also emits the chunk with the role."""
        opening = self._opening(event)
        if isinstance(event, ToolCallDelta):
            return utf8(opening + self._chunk(json_text({"tool_calls": [_tool_call_delta(event)]})))
        logprobs = json_text(_logprobs(event.logprobs)) if event.logprobs else "null"
        return utf8(opening + self._chunk(f'{{"content":{json_text(event.text)}}}', logprobs))

    def end(self, done: Done, receipt: Receipt) -> bytes:
        """Encodes the final chunks; the last contains the receipt."""
        extra = f',"receipt":{json_text(receipt.as_json())}'
        finish = json_text(done.finish_reason)
        if not self.include_usage:
            closing = self._chunk("{}", finish=finish, extra=extra)
        else:
            usage = f'],"usage":{json_text(usage_body(done.usage))}{extra}}}\n\n'
            closing = f"{self._chunk('{}', finish=finish)}{self._head}{usage}"
        return utf8(f"{self._opening(done)}{closing}data: [DONE]\n\n")

    def _opening(self, event: Event) -> str:
        if self._opened:
            return ""
        self._opened = True
        content = "null" if isinstance(event, ToolCallDelta) else '""'
        return self._chunk(f'{{"role":"assistant","content":{content}}}')

    def _chunk(self, delta: str, logprobs: str = "null", finish: str = "null", extra: str = "") -> str:
        choice = f'{{"index":0,"delta":{delta},"logprobs":{logprobs},"finish_reason":{finish}}}'
        return f"{self._head}{choice}]{self._tail}{extra}}}\n\n"


def _tool_call_delta(event: ToolCallDelta) -> JsonObject:
    """Returns a tool call delta; the first of an index contains id and name."""
    function: JsonObject = {"arguments": event.arguments}
    if not event.id and not event.name:
        return {"index": event.index, "function": function}
    return {
        "index": event.index,
        "id": event.id,
        "type": "function",
        "function": {"name": event.name, **function},
    }


def _logprobs(tokens: tuple[TokenLogprob, ...]) -> JsonObject | None:
    return {"content": [_scored(token) for token in tokens], "refusal": None} if tokens else None


def _scored(token: TokenLogprob) -> JsonObject:
    alternatives: list[JsonValue] = [_token(*alternative) for alternative in token.top]
    return {**_token(token.token, token.logprob), "top_logprobs": alternatives}


def _token(token: str, logprob: float) -> JsonObject:
    return {
        "token": token,
        "logprob": max(logprob, LEAST_LOGPROB),
        "bytes": list(token.encode("utf-8", "replace")),
    }


def _new_id() -> str:
    """Returns a unique id; not from the system's random source, which is slower than building the body."""
    return f"chatcmpl-{random.getrandbits(96):024x}"
