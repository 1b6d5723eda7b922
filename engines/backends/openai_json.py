"""Our values as OpenAI's JSON and back, as vLLM and llama.cpp speak it. Nothing here waits.

What an engine sends is read leniently where it may leave something out and strictly where it may
not; what cannot be read is an ``EngineProtocolError``.
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


def chat_body(request: Request, model: str) -> JsonObject:
    """The body of a streamed chat completion, but for what each engine says in its own way:
    choices, schema, adapter, effort."""
    body: JsonObject = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
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
    """Whatever goes wrong while the body reads ``data`` is the engine's fault."""
    try:
        yield
    except UNREADABLE as error:
        raise _unreadable(data) from error


def _unreadable(data: object) -> EngineProtocolError:
    return EngineProtocolError(
        f"the engine's answer cannot be read: {str(data)[:ERROR_CHARS]}",
        hint="is its URL right, and its version one that is supported?",
    )


def written(body: JsonObject) -> bytes:
    try:
        return to_json(body)
    except PydanticSerializationError:  # half of a surrogate pair, which JSON can only escape
        return json.dumps(body).encode()


def read_object(data: bytes) -> JsonObject:
    with readable(data):
        return _object(data)


def _object(data: bytes) -> JsonObject:
    try:
        value: JsonValue = from_json(data)
    except ValueError:  # it takes no halves of surrogate pairs
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
    logprobs: JsonObject | None
    finish_reason: str | None


class _Chunk(TypedDict, total=False):
    """One event of a stream, as far as it is read; what it really holds is seen when it is used."""

    error: JsonValue
    choices: list[_Choice] | None
    usage: JsonObject | None


@dataclass(slots=True)
class Told:
    """What a stream has told so far, beside its events."""

    reason: str = ""
    """Why it ended; empty until it has."""
    usage: Usage = field(default_factory=Usage)


def read_chunks(said: Sequence[bytes], events: list[Event], told: Told) -> JsonObject | None:
    """Add events of the stream to ours; returns the first that tells an error instead, and stops there.

    Text joins the text before it: what came together goes on together, at the price of one.
    """
    text: list[str] = []
    data = b""
    try:
        try:
            for data, chunk in zip(said, _chunks(said), strict=True):  # noqa: B007 (told when it is unreadable)
                if chunk.get("error"):
                    return cast("JsonObject", chunk)
                _add(chunk, text, events, told)
        finally:
            _end_text(text, events)
    except UNREADABLE as error:
        raise _unreadable(data) from error
    return None


def _chunks(said: Sequence[bytes]) -> Iterable[_Chunk]:
    """Read in one go where that works, which takes half the time of one by one.

    Raises:
        EngineProtocolError: on the way to the first that cannot be read.
    """
    try:
        chunks: JsonValue = from_json(b"[%b]" % b",".join(said))
    except ValueError:
        chunks = None
    if isinstance(chunks, list) and len(chunks) == len(said):
        return cast("list[_Chunk]", chunks)
    return (cast("_Chunk", read_object(data)) for data in said)


def _add(chunk: _Chunk, text: list[str], events: list[Event], told: Told) -> None:
    """``text`` is what goes before the next event."""
    for choice in chunk.get("choices") or ():
        _add_choice(choice, text, events)
        if reason := choice.get("finish_reason"):
            told.reason += str(reason)
    if usage := chunk.get("usage"):
        told.usage = _usage(usage)


def _add_choice(choice: _Choice, text: list[str], events: list[Event]) -> None:
    """Text and tool calls; what a reasoning model thinks stands elsewhere in ``delta`` and is left."""
    delta: _Delta = choice.get("delta") or {}
    piece = delta.get("content")
    if told := choice.get("logprobs"):
        logprobs = _logprobs(told)
        if piece or logprobs:
            _end_text(text, events)
            events.append(TextDelta(piece or "", logprobs))
    elif piece:
        text.append(piece)
    for call in delta.get("tool_calls") or ():
        _end_text(text, events)
        function: _Function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        events.append(ToolCallDelta(call.get("index", 0), call.get("id") or "", name, arguments))


def _end_text(text: list[str], events: list[Event]) -> None:
    if text:
        events.append(TextDelta("".join(text)))
        text.clear()


def _logprobs(told: JsonObject) -> tuple[TokenLogprob, ...]:
    tokens = cast("list[JsonObject]", told.get("content") or [])
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


def _usage(told: JsonObject) -> Usage:
    counts = cast("dict[str, int]", told)
    details = cast("dict[str, int]", told.get("prompt_tokens_details") or {})
    return Usage(
        counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0), details.get("cached_tokens") or 0
    )


def read_embeddings(answer: JsonObject, model: str) -> Embeddings:
    """The answer of ``/v1/embeddings``, asked for in base64: a third of the bytes, a tenth of the time."""
    with readable(answer):
        rows = cast("list[JsonObject]", answer["data"])
        rows = sorted(rows, key=lambda row: cast("int", row["index"]))
        vectors = tuple(_floats(cast("str", row["embedding"])) for row in rows)
        usage = cast("dict[str, int]", answer.get("usage") or {})
        return Embeddings(vectors, usage.get("prompt_tokens", 0), model)


def _floats(encoded: str) -> tuple[float, ...]:
    floats = array("f", base64.b64decode(encoded))
    if sys.byteorder == "big":
        floats.byteswap()
    return tuple(floats)


def read_error(text: str) -> str:
    """What an error's body says, in any of the shapes such servers use, or the body itself."""
    try:
        body = json.loads(text)
        told = body.get("error", body)
        said = told if isinstance(told, str) else told.get("message") or told.get("detail")
    except (ValueError, AttributeError):
        said = None
    return str(said or text)[:ERROR_CHARS]
