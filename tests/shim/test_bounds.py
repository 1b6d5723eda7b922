"""Every field of a request has a bound: what is too large is refused by name, and at once."""

import time
from collections.abc import Callable
from typing import cast

import pytest
from pydantic import BaseModel

from engines.base import JsonObject, JsonValue
from shim.errors import WrongFieldError
from shim.openai.completions import UNSUPPORTED, CompletionRequest
from shim.openai.embeddings import EmbeddingsRequest
from shim.openai.wire import ChatRequest, parse_chat, parsed
from shim.responses.wire import ResponsesRequest, parse_responses

LONG = "x" * 4_000_000
MANY: list[JsonValue] = ["x"] * 1_000_000
WRONG: list[JsonValue] = [cast("JsonValue", [])] * 1_000_000
SECONDS = 1.0
MESSAGE = 2_000

Parse = Callable[[JsonObject], BaseModel]


def completion(body: JsonObject) -> BaseModel:
    return parsed(CompletionRequest, body, UNSUPPORTED)


def embedding(body: JsonObject) -> BaseModel:
    return parsed(EmbeddingsRequest, body, {})


USER: JsonValue = {"role": "user", "content": "x"}
REQUESTS: list[tuple[type[BaseModel], Parse, JsonObject]] = [
    (ChatRequest, parse_chat, {"messages": [USER]}),
    (ResponsesRequest, parse_responses, {"input": "x"}),
    (CompletionRequest, completion, {"prompt": "x"}),
    (EmbeddingsRequest, embedding, {"input": "x"}),
]
FIELDS = [(parse, needed, name) for shape, parse, needed in REQUESTS for name in shape.model_fields]
named = pytest.mark.parametrize(
    ("parse", "needed", "name"), FIELDS, ids=[f"{parse.__name__}-{name}" for parse, _, name in FIELDS]
)


def refused(parse: Parse, body: JsonObject) -> WrongFieldError:
    started = time.perf_counter()
    with pytest.raises(WrongFieldError) as caught:
        parse(body)
    assert time.perf_counter() - started < SECONDS
    assert len(caught.value.message) < MESSAGE
    return caught.value


@named
@pytest.mark.parametrize("value", [LONG, MANY, WRONG], ids=["long", "many", "wrong"])
def test_a_field_that_is_too_large_is_refused(
    parse: Parse, needed: JsonObject, name: str, value: JsonValue
) -> None:
    assert refused(parse, {**needed, name: value}).param.startswith(name)


TOOL: JsonObject = {"name": "f"}
CALL: JsonObject = {"id": "1", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("messages", [{"role": "user", "content": LONG}]),
        ("messages", [{"role": "user", "content": [{"type": "text", "text": LONG}]}]),
        ("messages", [{"role": "user", "content": [{"type": LONG, "text": "x"}]}]),
        ("messages", [{"role": "user", "content": [{"type": "text", "text": ""}] * 100_000}]),
        ("messages", [USER] * 1_000_000),
        ("messages", [{"role": "tool", "content": "x", "tool_call_id": LONG}]),
        ("messages", [{"role": "assistant", "tool_calls": [{**CALL, "id": LONG}]}]),
        ("messages", [{"role": "assistant", "tool_calls": [CALL] * 100_000}]),
        ("messages", [
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": LONG, "arguments": ""}}]}]),
        ("messages", [
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": LONG}}]}]),
        ("tools", [{"type": "function", "function": TOOL}] * 100_000),
        ("tools", [{"type": "function", "function": {**TOOL, "name": LONG}}]),
        ("tools", [{"type": "function", "function": {**TOOL, "description": LONG}}]),
        ("tools", [{"type": "function", "function": {**TOOL, "parameters": {"enum": MANY}}}]),
        ("tool_choice", {"type": "function", "function": {"name": LONG}}),
        ("response_format", {"type": "json_schema", "json_schema": {"schema": {"title": LONG}}}),
        ("stop", [LONG]),
    ],
)  # fmt: skip
def test_what_is_inside_a_field_has_a_bound(name: str, value: JsonValue) -> None:
    assert refused(parse_chat, {"messages": [USER], name: value}).param.startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", [{"role": "user", "content": LONG}]),
        ("input", [{"role": "user", "content": [{"type": "input_text", "text": LONG}]}]),
        ("input", [{"type": "function_call", "call_id": "1", "name": "f", "arguments": LONG}]),
        ("input", [{"type": "function_call", "call_id": LONG, "name": "f", "arguments": ""}]),
        ("input", [{"type": "function_call_output", "call_id": "1", "output": LONG}]),
        ("tools", [{"type": "function", "name": LONG}]),
        ("tools", [{"type": LONG}]),
        ("tools", [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": LONG}]}]),
        ("tool_choice", {"type": "function", "name": LONG}),
        ("text", {"format": {"type": "json_schema", "schema": {"title": LONG}}}),
        ("reasoning", {"effort": LONG}),
    ],
)
def test_what_is_inside_a_field_of_a_response_has_a_bound(name: str, value: JsonValue) -> None:
    assert refused(parse_responses, {"input": "x", name: value}).param.startswith(name)
