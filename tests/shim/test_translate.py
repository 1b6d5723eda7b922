"""Translation of requests to calls and of completions to response bodies."""

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import (
    Completion,
    Done,
    Event,
    JsonObject,
    JsonValue,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from shim.caller import Caller
from shim.encoding import json_bytes
from shim.errors import WrongFieldError
from shim.openai.translate import ANY_OBJECT, Chunks, Target, chat_call, chat_completion, completion_of
from shim.openai.wire import parse_chat
from tests.shim.fakes import DONE, RECEIPT, body
from tools.arguments import parse
from tools.base import Call, Project, Result, Sampling
from tools.chat.tool import ChatArguments, conversation
from tools.sources.documents import Sources

NOBODY = Caller(Project())
AUTO = Target()


def call_of(target: Target = AUTO, caller: Caller = NOBODY, /, **fields: JsonValue) -> Call:
    call = chat_call(parse_chat(body(**fields)), target, caller)
    given, checked = call.validated, parse(ChatArguments, "chat", dict(call.arguments))
    assert isinstance(given, ChatArguments)
    assert conversation(given, Sources()) == conversation(checked, Sources())
    assert given.model_dump(exclude={"messages"}) == checked.model_dump(exclude={"messages"})
    return call


def events_of(data: bytes) -> list[JsonObject]:
    """Parses server-sent events; ``[DONE]`` must be the last, if present."""
    lines = data.decode().split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    if lines and lines[-1] == "data: [DONE]":
        lines.pop()
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def delta_of(chunk: JsonObject) -> JsonObject:
    [choice] = cast("list[JsonObject]", chunk["choices"])
    return cast("JsonObject", choice["delta"])


def test_what_was_not_said_is_not_in_the_call() -> None:
    call = call_of()
    assert call.arguments == {"messages": [{"role": "user", "content": "Hi"}]}
    assert call.sampling == Sampling()
    assert (call.tool, call.tier, call.model, call.adapter) == ("chat", "auto", "", None)


def test_nulls_are_not_said_either() -> None:
    names = ("max_tokens", "temperature", "stop", "tools", "tool_choice", "response_format", "seed", "n")
    assert call_of(**dict.fromkeys(names)) == call_of()


def test_unknown_fields_are_dropped() -> None:
    said: JsonObject = {"role": "user", "content": "Hi", "name": "x", "audio": {}}
    assert call_of(user="u", store=True, messages=[said]) == call_of()


def test_sampling_goes_beside_the_arguments() -> None:
    tool: JsonObject = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    choice: JsonObject = {"type": "function", "function": {"name": "f"}}
    call = call_of(
        top_p=0.5,
        seed=3,
        stop="END",
        logprobs=True,
        tools=[tool],
        tool_choice=choice,
        temperature=1,
        max_tokens=9,
    )
    assert call.sampling == Sampling(0.5, 3, ("END",), 0, (tool,), choice)
    assert call.arguments["temperature"] == 1
    assert call.arguments["max_tokens"] == 9


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    assert call_of(max_tokens=5, max_completion_tokens=7).arguments["max_tokens"] == 7


def test_a_whole_number_written_with_a_point_is_an_integer() -> None:
    assert call_of(max_tokens=5.0).arguments["max_tokens"] == 5
    with pytest.raises(WrongFieldError, match="max_tokens"):
        call_of(max_tokens=5.5)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ()), ("", ()), (["", "a"], ("a",))],
)
def test_stop_is_a_string_or_a_list_and_empty_ones_stop_nothing(
    stop: JsonValue, expected: tuple[str, ...]
) -> None:
    assert call_of(stop=stop).sampling.stop == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, None), ({"logprobs": False}, None), ({"logprobs": True}, 0), ({"top_logprobs": 4}, 4)],
)
def test_logprobs_are_asked_for_by_either_field(fields: JsonObject, expected: int | None) -> None:
    assert call_of(**fields).sampling.logprobs == expected


def test_the_formats_of_a_response_become_a_schema() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"type": "integer"}}}
    named: JsonObject = {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": schema},
    }
    assert "schema" not in call_of(response_format={"type": "text"}).arguments
    assert call_of(response_format={"type": "json_object"}).arguments["schema"] == ANY_OBJECT
    assert call_of(response_format=named).arguments["schema"] == schema


def test_a_developer_speaks_as_the_system_and_text_parts_are_joined() -> None:
    parts: JsonValue = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = call_of(
        messages=[{"role": "developer", "content": "Be brief"}, {"role": "user", "content": parts}]
    )
    assert call.arguments["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "a\nb"},
    ]


def test_tool_calls_and_their_answers_are_passed_on() -> None:
    called: JsonObject = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked: JsonObject = {"role": "assistant", "content": None, "tool_calls": [called]}
    answered: JsonObject = {"role": "tool", "content": "42", "tool_call_id": "c1"}
    assert call_of(messages=[asked, answered]).arguments["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [called]},
        answered,
    ]


def test_an_image_is_refused_by_name() -> None:
    image: JsonObject = {"type": "image_url", "image_url": {"url": "data:,"}}
    with pytest.raises(WrongFieldError, match="text only") as refused:
        call_of(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, image]}])
    assert refused.value.param == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("field", "header", "name", "expected"),
    [
        (None, "auto", "auto", "auto"),
        (None, "auto", "main", "main"),
        (None, "small", "main", "small"),
        ("main", "small", "small", "main"),
        ("auto", "auto", "small", "small"),
    ],
)
def test_the_tier_is_the_fields_then_the_headers_then_the_names(
    field: str | None, header: str, name: str, expected: str
) -> None:
    assert call_of(Target(tier=name), Caller(Project(), tier=header), x_tier=field).tier == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "oracle", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": 1}, "stop"),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": 1}}}, "tool_choice.function.name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"x_tier": "huge"}, "x_tier"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_a_wrong_field_is_named(fields: JsonObject, param: str) -> None:
    with pytest.raises(WrongFieldError) as wrong:
        parse_chat(body(**fields))
    assert wrong.value.param == param
    assert param in wrong.value.message


def test_a_completion_has_openais_shape() -> None:
    answer = chat_completion(Completion("Hello", DONE), RECEIPT, model="auto")
    ident, created = cast("str", answer.pop("id")), answer.pop("created")
    assert ident.startswith("chatcmpl-")
    assert isinstance(created, int)
    assert answer == {
        "object": "chat.completion",
        "model": "auto",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 3},
        },
        "system_fingerprint": "local-llm-agent",
        "receipt": RECEIPT.as_json(),
    }


def test_tool_calls_of_a_completion_leave_the_content_null() -> None:
    completion = Completion("", Done("tool_calls", Usage(), "e", "m"), (ToolCall("c1", "f", '{"a":1}'),))
    answer = chat_completion(completion, RECEIPT, model="auto")
    [choice] = cast("list[JsonObject]", answer["choices"])
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_logprobs_have_openais_shape_and_no_infinity() -> None:
    token = TokenLogprob("é", -0.5, (("é", -0.5), ("e", float("-inf"))))
    answer = chat_completion(Completion("é", DONE, logprobs=(token,)), RECEIPT, model="")
    [choice] = cast("list[JsonObject]", answer["choices"])
    scored: JsonObject = {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]}
    unlikely: JsonObject = {"token": "e", "logprob": -9999.0, "bytes": [0x65]}
    assert choice["logprobs"] == {
        "content": [{**scored, "top_logprobs": [scored, unlikely]}],
        "refusal": None,
    }


def test_a_checked_answer_becomes_compact_json_with_its_tokens() -> None:
    completion = completion_of(Result({"data": {"a": [1, "é"]}}, RECEIPT))
    assert completion.text == '{"a":[1,"é"]}'
    assert completion.done.usage == Usage(7, 2)


def test_a_stream_names_the_role_once_then_its_pieces_then_the_end() -> None:
    chunks = Chunks("auto")
    first = events_of(chunks.delta(TextDelta("Hel")))
    second = events_of(chunks.delta(TextDelta("lo")))
    end = events_of(chunks.end(DONE, RECEIPT))
    assert [delta_of(chunk) for chunk in first + second + end] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert len({cast("str", chunk["id"]) for chunk in first + second + end}) == 1
    assert {cast("str", chunk["object"]) for chunk in first + second + end} == {"chat.completion.chunk"}
    [choice] = cast("list[JsonObject]", end[-1]["choices"])
    assert choice["finish_reason"] == "stop"
    assert end[-1]["receipt"] == RECEIPT.as_json()
    assert "usage" not in end[-1]


def test_an_empty_answer_still_names_the_role() -> None:
    opening, end = events_of(Chunks("auto").end(DONE, RECEIPT))
    assert delta_of(opening) == {"role": "assistant", "content": ""}
    assert delta_of(end) == {}


def test_asked_for_usage_comes_in_a_chunk_of_its_own_with_the_receipt() -> None:
    chunks = Chunks("auto", include_usage=True)
    pieces = events_of(chunks.delta(TextDelta("a")) + chunks.end(DONE, RECEIPT))
    usage = pieces.pop()
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert usage["receipt"] == RECEIPT.as_json()
    assert all(piece["usage"] is None and "receipt" not in piece for piece in pieces)


def test_a_streamed_tool_call_says_its_name_once() -> None:
    chunks = Chunks("auto")
    pieces = [
        ToolCallDelta(0, "c1", "f"),
        ToolCallDelta(0, arguments='{"a'),
        ToolCallDelta(0, arguments='":1}'),
    ]
    opening, *deltas = [delta_of(chunk) for piece in pieces for chunk in events_of(chunks.delta(piece))]
    assert opening == {"role": "assistant", "content": None}
    assert deltas == [
        {
            "tool_calls": [
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '":1}'}}]},
    ]


def test_streamed_logprobs_come_with_their_text() -> None:
    event = TextDelta("a", (TokenLogprob("a", -0.1),))
    _, piece = events_of(Chunks("auto").delta(event))
    [choice] = cast("list[JsonObject]", piece["choices"])
    scored: JsonObject = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    assert choice["logprobs"] == {"content": [scored], "refusal": None}


def paired(text: str) -> str:
    """Joins surrogate pairs in ``text`` to single characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())).map(paired)
PIECES = st.lists(
    st.builds(TextDelta, ANY_TEXT) | st.builds(ToolCallDelta, st.integers(0, 3), ANY_TEXT, ANY_TEXT, ANY_TEXT)
)


@given(model=ANY_TEXT, pieces=PIECES, include_usage=st.booleans())
def test_spliced_chunks_are_json_and_lose_no_character(
    model: str, pieces: list[Event], include_usage: bool
) -> None:
    chunks = Chunks(model, include_usage)
    sent = b"".join(chunks.delta(piece) for piece in pieces if not isinstance(piece, Done))
    received = events_of(sent + chunks.end(DONE, RECEIPT))
    assert {cast("str", chunk["model"]) for chunk in received} == {model}
    deltas = [delta_of(chunk) for chunk in received if chunk["choices"]]
    texts = [delta["content"] for delta in deltas[1:] if "content" in delta]
    assert texts == [piece.text for piece in pieces if isinstance(piece, TextDelta)]
    calls = [cast("list[JsonObject]", delta["tool_calls"])[0] for delta in deltas if "tool_calls" in delta]
    arguments = [cast("JsonObject", call["function"])["arguments"] for call in calls]
    assert arguments == [piece.arguments for piece in pieces if isinstance(piece, ToolCallDelta)]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_json_bytes_are_utf8_and_come_back_equal(value: JsonValue) -> None:
    encoded = json_bytes(value)
    assert json.loads(encoded.decode("utf-8")) == value
    assert b"\n" not in encoded
