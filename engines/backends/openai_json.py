"""Converts between ``engines.base`` values and OpenAI's JSON, as used by vLLM and llama.cpp. No I/O.

Optional fields of an engine's answer may be missing; anything else that cannot be read is an
``EngineProtocolError``.
"""

import base64
import json
import sys
from array import array
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypedDict, cast

from pydantic_core import PydanticSerializationError, from_json, to_json

from engines.base import (
    Embeddings,
    Event,
    FinishReason,
    JsonObject,
    JsonValue,
    Message,
    Request,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engines.errors import EngineProtocolError

FINISH: Mapping[str, FinishReason] = {"length": "length", "tool_calls": "tool_calls"}
ERROR_CHARS = 500
UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError)


STREAMED: JsonObject = {"stream": True, "stream_options": {"include_usage": True}}
"""Fields of a request whose answer is streamed."""


def chat_body(request: Request, model: str) -> JsonObject:
    """Returns the body of a chat completion, without the engine-specific fields: choices, schema,
    adapter, effort."""
    body: JsonObject = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    optional: JsonObject = {
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "tools": list(request.tools) or None,
        "tool_choice": request.tool_choice if request.tools else None,
    }
    if request.logprobs is not None:
        optional |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body | {key: value for key, value in optional.items() if value is not None}


def _message(message: Message) -> JsonObject:
    wire: JsonObject = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _tool_call(call: ToolCall) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


@contextmanager
def readable(data: object) -> Generator[None, None, None]:
    """Translates errors of reading ``data`` in the body into ``EngineProtocolError``."""
    try:
        yield
    except UNREADABLE as error:
        raise _unreadable(data) from error


def _unreadable(data: object) -> EngineProtocolError:
    return EngineProtocolError(
        f"the engine's answer cannot be read: {str(data)[:ERROR_CHARS]}",
        hint="check its URL, and that its version is supported",
    )


def written(body: JsonObject) -> bytes:
    try:
        return to_json(body)
    except PydanticSerializationError:  # a lone surrogate, which must be escaped in JSON
        return json.dumps(body).encode()


def read_object(data: bytes) -> JsonObject:
    with readable(data):
        return _object(data)


def _object(data: bytes) -> JsonObject:
    try:
        value: JsonValue = from_json(data)
    except ValueError:  # it rejects lone surrogates
        value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


class _Function(TypedDict, total=False):
    name: str | None
    arguments: str | None


class _ToolCall(TypedDict, total=False):
    index: int
    id: str | None
    function: _Function | None


class _Delta(TypedDict, total=False):
    content: str | None
    tool_calls: list[_ToolCall] | None


class _Choice(TypedDict, total=False):
    delta: _Delta | None
    message: _Delta | None
    """In place of ``delta`` in an answer that is not streamed."""
    logprobs: JsonObject | None
    finish_reason: str | None


class _Chunk(TypedDict, total=False):
    """The fields read of a stream's event; not validated before use."""

    error: JsonValue
    choices: list[_Choice] | None
    usage: JsonObject | None


@dataclass(slots=True)
class StreamState:
    """Finish reason and usage received so far in a stream."""

    reason: str = ""
    """The finish reason; empty until the stream ends."""
    usage: Usage = field(default_factory=Usage)


def read_chunks(payloads: Sequence[bytes], events: list[Event], state: StreamState) -> JsonObject | None:
    """Appends parsed chunks to ``events``; stops at the first error chunk and returns it.

    Consecutive text chunks that arrived together become one event.
    """
    text: list[str] = []
    data = b""
    try:
        try:
            for data, chunk in zip(payloads, _chunks(payloads), strict=True):  # noqa: B007 (used by except)
                if chunk.get("error"):
                    return cast("JsonObject", chunk)
                _add(chunk, text, events, state)
        finally:
            _end_text(text, events)
    except UNREADABLE as error:
        raise _unreadable(data) from error
    return None


def _chunks(payloads: Sequence[bytes]) -> Iterable[_Chunk]:
    """Parses all payloads at once if possible, which takes half the time, else one by one.

    Raises:
        EngineProtocolError: while iterating, at the first that cannot be read.
    """
    try:
        chunks: JsonValue = from_json(b"[%b]" % b",".join(payloads))
    except ValueError:
        chunks = None
    if isinstance(chunks, list) and len(chunks) == len(payloads):
        return cast("list[_Chunk]", chunks)
    return (cast("_Chunk", read_object(data)) for data in payloads)


def _add(chunk: _Chunk, text: list[str], events: list[Event], state: StreamState) -> None:
    """Adds one chunk; ``text`` collects text for the next ``TextDelta``."""
    for choice in chunk.get("choices") or ():
        _add_choice(choice, text, events)
        if reason := choice.get("finish_reason"):
            state.reason += str(reason)
    if usage := chunk.get("usage"):
        state.usage = _usage(usage)


def _add_choice(choice: _Choice, text: list[str], events: list[Event]) -> None:
    """Adds text and tool calls; reasoning, which has its own field, is ignored."""
    delta: _Delta = choice.get("delta") or choice.get("message") or {}
    piece = delta.get("content")
    if logprobs_json := choice.get("logprobs"):
        logprobs = _logprobs(logprobs_json)
        if piece or logprobs:
            _end_text(text, events)
            events.append(TextDelta(piece or "", logprobs))
    elif piece:
        text.append(piece)
    for place, call in enumerate(delta.get("tool_calls") or ()):
        _end_text(text, events)
        function: _Function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        events.append(ToolCallDelta(call.get("index", place), call.get("id") or "", name, arguments))


def _end_text(text: list[str], events: list[Event]) -> None:
    if text:
        events.append(TextDelta("".join(text)))
        text.clear()


def _logprobs(logprobs: JsonObject) -> tuple[TokenLogprob, ...]:
    tokens = cast("list[JsonObject]", logprobs.get("content") or [])
    return tuple(
        TokenLogprob(
            cast("str", token["token"]),
            cast("float", token["logprob"]),
            tuple(
                (cast("str", other["token"]), cast("float", other["logprob"]))
                for other in cast("list[JsonObject]", token.get("top_logprobs") or [])
            ),
        )
        for token in tokens
    )


def _usage(usage: JsonObject) -> Usage:
    counts = cast("dict[str, int]", usage)
    details = cast("dict[str, int]", usage.get("prompt_tokens_details") or {})
    return Usage(
        counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0), details.get("cached_tokens") or 0
    )


def read_embeddings(answer: JsonObject, model: str) -> Embeddings:
    """Reads the answer of ``/v1/embeddings``, best in base64, which is smaller and faster than numbers."""
    with readable(answer):
        rows = cast("list[JsonObject]", answer["data"])
        rows = sorted(rows, key=lambda row: cast("int", row["index"]))
        vectors = tuple(_floats(row["embedding"]) for row in rows)
        usage = cast("dict[str, int]", answer.get("usage") or {})
        return Embeddings(vectors, usage.get("prompt_tokens", 0), model)


def _floats(embedding: JsonValue) -> tuple[float, ...]:
    if isinstance(embedding, list):
        return tuple(map(float, cast("list[float]", embedding)))
    floats = array("f", base64.b64decode(cast("str", embedding)))
    if sys.byteorder == "big":
        floats.byteswap()
    return tuple(floats)


def read_error(text: str) -> str:
    """Returns the message in an error's body, in any common format, or the body itself."""
    try:
        body = json.loads(text)
        error = body.get("error", body)
        message = error if isinstance(error, str) else error.get("message") or error.get("detail")
    except (ValueError, AttributeError):
        message = None
    return str(message or text)[:ERROR_CHARS]
