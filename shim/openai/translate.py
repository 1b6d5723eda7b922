"""Between OpenAI's wire and the tools room: pure functions, no input or output.

What an OpenAI client did not say is left out, so that the tool's own defaults hold, and no prompt of
ours is added.
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
from shim.openai.wire import ChatMessage, ChatRequest, ContentPart
from tools.base import Call, Receipt, Result, Sampling

LEAST_LOGPROB = -9999.0
"""What OpenAI sends for a token of no probability, since JSON has no infinity."""

ANY_OBJECT: JsonObject = {"type": "object"}
"""``json_object``. Not ``{}``, under which a list would be valid."""


EFFORTS: dict[str, Effort] = {
    "none": "off",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
"""OpenAI's ``reasoning_effort``; a word it adds later leaves the tier's own."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a name in ``model`` stands for."""

    tier: str = "auto"
    model: str = ""
    adapter: str | None = None


TIER_TARGETS = {name: Target(tier=name) for name in TIERS}


def chat_call(request: ChatRequest, target: Target, caller: Caller) -> Call:
    """The call of the chat tool that ``request`` asks for.

    Raises:
        WrongFieldError: a message holds what is not text.
    """
    arguments: dict[str, JsonValue] = {
        "messages": [_message(message, at) for at, message in enumerate(request.messages)]
    }
    max_tokens = request.max_completion_tokens or request.max_tokens
    if max_tokens is not None:
        arguments["max_tokens"] = max_tokens
    if request.temperature is not None:
        arguments["temperature"] = request.temperature
    schema = _schema(request)
    if schema is not None:
        arguments["schema"] = schema
    wishes = (request.x_tier, caller.tier, target.tier)
    return Call(
        tool="chat",
        arguments=arguments,
        project=caller.project,
        agent=caller.agent,
        tier=next((tier for tier in wishes if tier and tier != "auto"), "auto"),
        model=target.model,
        adapter=target.adapter,
        sampling=_sampling(request),
    )


def _message(message: ChatMessage, at: int) -> JsonObject:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "\n".join(_text(part, f"messages[{at}].content[{n}]") for n, part in enumerate(content))
    role = message["role"]
    said: JsonObject = {"role": "system" if role == "developer" else role, "content": content}
    if calls := message.get("tool_calls"):
        said["tool_calls"] = cast("list[JsonValue]", calls)
    if call_id := message.get("tool_call_id"):
        said["tool_call_id"] = call_id
    return said


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
    """The schema the answer must satisfy."""
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
        # an empty one would stop before the first token
        stop=tuple(filter(None, stop)),
        logprobs=request.top_logprobs or 0 if wants_logprobs else None,
        tools=cast("tuple[JsonObject, ...]", tuple(request.tools or ())),
        tool_choice=cast("JsonValue", request.tool_choice),
        effort=EFFORTS.get(request.reasoning_effort or ""),
    )


def completion_of(result: Result) -> Completion:
    """A checked answer as the engine's completion it stands for."""
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


def chat_completion(completion: Completion, receipt: Receipt, *, model: str, fingerprint: str) -> JsonObject:
    """The body of a plain answer. ``model`` is the name the caller used; the receipt has the real one."""
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
        "system_fingerprint": fingerprint,
        "receipt": receipt.as_json(),
    }


def usage_body(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


@dataclass(slots=True)
class Chunks:
    """The server-sent events of one streamed answer, spliced: only what changes is encoded."""

    model: str
    fingerprint: str
    include_usage: bool = False
    _head: str = field(init=False)
    _tail: str = field(init=False)
    _opened: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._head = (
            f'data: {{"id":"{_new_id()}","object":"chat.completion.chunk","created":{int(time.time())},'
            f'"model":{json_text(self.model)},"system_fingerprint":{json_text(self.fingerprint)},"choices":['
        )
        self._tail = ',"usage":null' if self.include_usage else ""

    def delta(self, event: TextDelta | ToolCallDelta) -> bytes:
        """``event`` as one chunk; before the first, the one that names the role."""
        opening = self._opening(event)
        if isinstance(event, ToolCallDelta):
            return utf8(opening + self._chunk(json_text({"tool_calls": [_call_piece(event)]})))
        logprobs = json_text(_logprobs(event.logprobs)) if event.logprobs else "null"
        return utf8(opening + self._chunk(f'{{"content":{json_text(event.text)}}}', logprobs))

    def end(self, done: Done, receipt: Receipt) -> bytes:
        """The chunks that close the answer; the last carries the receipt."""
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


def _call_piece(event: ToolCallDelta) -> JsonObject:
    """A piece of a tool call; the first one of an index says what is called."""
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
    """Unique, not secret: a system call for randomness would cost more than the rest of the answer's body."""
    return f"chatcmpl-{random.getrandbits(96):024x}"
