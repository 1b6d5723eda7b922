"""Our values as OpenAI's JSON and back, as vLLM and llama.cpp speak it. Nothing here waits.

What an engine sends is read leniently where it may leave something out and strictly where it may
not; what cannot be read is an ``EngineProtocolError``.
"""

import base64
import json
import sys
from array import array
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

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
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise EngineProtocolError(
            f"the engine's answer cannot be read: {str(data)[:ERROR_CHARS]}",
            hint="is its URL right, and its version one that is supported?",
        ) from error


def read_object(data: bytes) -> JsonObject:
    with readable(data):
        value: JsonValue = json.loads(data)
        if not isinstance(value, dict):
            raise TypeError("not an object")
        return value


def read_chunk(chunk: JsonObject) -> tuple[list[Event], str, Usage | None]:
    """One event of the stream: our events, the reason if it ends here, the usage if it is told."""
    with readable(chunk):
        choices = cast("list[JsonObject]", chunk.get("choices") or [])
        events = [event for choice in choices for event in _events(choice)]
        reasons = [str(choice.get("finish_reason") or "") for choice in choices]
        return events, "".join(reasons), _usage(chunk)


def _events(choice: JsonObject) -> Iterator[Event]:
    """Text and tool calls; what a reasoning model thinks stands elsewhere in ``delta`` and is left."""
    delta = cast("JsonObject", choice.get("delta") or {})
    text = cast("str", delta.get("content") or "")
    logprobs = _logprobs(choice)
    if text or logprobs:
        yield TextDelta(text, logprobs)
    for call in cast("list[JsonObject]", delta.get("tool_calls") or []):
        function = cast("dict[str, str]", call.get("function") or {})
        yield ToolCallDelta(
            cast("int", call.get("index", 0)),
            cast("str", call.get("id") or ""),
            function.get("name") or "",
            function.get("arguments") or "",
        )


def _logprobs(choice: JsonObject) -> tuple[TokenLogprob, ...]:
    told = cast("JsonObject", choice.get("logprobs") or {})
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


def _usage(chunk: JsonObject) -> Usage | None:
    told = cast("dict[str, int] | None", chunk.get("usage"))
    if not told:
        return None
    details = cast("dict[str, int]", told.get("prompt_tokens_details") or {})
    return Usage(
        told.get("prompt_tokens", 0), told.get("completion_tokens", 0), details.get("cached_tokens") or 0
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
