"""The route ``/v1/responses``: translation, events, errors and the Python client."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import httpx2
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError

from engines.base import Done, JsonObject, TextDelta, ToolCallDelta, Usage
from engines.errors import EngineBusyError, EngineInterruptedError
from shim.errors import WrongFieldError
from shim.responses.wire import as_chat, parse_responses
from tests.shim.fakes import RECEIPT, FakeDispatcher, app_of
from tests.shim.test_openai_client import client_of
from tools.base import Result

pytestmark = pytest.mark.anyio

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells it.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
SPACE: Any = {"type": "namespace", "name": "mcp__local", "tools": [WEATHER]}
CALLED = (
    TextDelta("Let me see."),
    ToolCallDelta(0, "c1", "mcp__local__weather"),
    ToolCallDelta(1, "c2", "weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(1, arguments="{}"),
    ToolCallDelta(0, arguments='"Bonn"}'),
    Done("tool_calls", Usage(7, 2), "fake", "tiny"),
)


def chat_of(**fields: Any) -> dict[str, Any]:
    return as_chat(parse_responses({"input": "Hi", **fields})).model_dump(exclude_none=True)


async def streamed(dispatcher: FakeDispatcher, **fields: Any) -> list[dict[str, Any]]:
    """Returns the events; asserts that name and type agree and sequence numbers count up."""
    transport = httpx2.ASGITransport(app_of(dispatcher))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/v1/responses", json={"input": "Hi", "stream": True, **fields})
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = []
    for block in answer.text.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def test_a_conversation_with_calls_is_a_chat() -> None:
    items: Sequence[JsonObject] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be short."}]},
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "encrypted_content": "xx"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "weather",
            "namespace": "mcp__local",
            "arguments": "{}",
        },
        {"type": "function_call", "call_id": "c2", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "Noon"}]},
    ]
    assert chat_of(input=items, instructions="You help.")["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "function": {"name": "mcp__local__weather", "arguments": "{}"}},
                {"id": "c2", "function": {"name": "clock", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
        {"role": "tool", "tool_call_id": "c2", "content": "Noon"},
    ]


def test_functions_keep_their_definition_and_what_others_would_run_is_left_out() -> None:
    chat = chat_of(tools=[WEATHER, SPACE, {"type": "web_search", "external_web_access": False}])
    names = [tool["function"]["name"] for tool in chat["tools"]]
    assert names == ["weather", "mcp__local__weather"]
    assert chat["tools"][0]["function"]["parameters"] == WEATHER["parameters"]
    assert "tools" not in chat_of(tools=[{"type": "web_search"}])


def test_limits_and_forms_are_a_chats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    chat = chat_of(
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "high"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema}},
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
    )
    assert (chat["max_completion_tokens"], chat["temperature"], chat["top_p"]) == (5, 0.5, 0.9)
    assert chat["reasoning_effort"] == "high"
    assert chat["response_format"] == {"type": "json_schema", "json_schema": {"schema": schema}}
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_a_wrong_field_is_named(fields: JsonObject, param: str) -> None:
    with pytest.raises(WrongFieldError) as wrong:
        chat_of(**fields)
    assert wrong.value.param == param


async def test_text_comes_in_the_events_of_a_message() -> None:
    events = await streamed(FakeDispatcher())
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    whole = events[-1]["response"]
    assert whole["status"] == "completed"
    assert whole["output"][0]["content"][0]["text"] == "Hello"
    assert (whole["usage"]["input_tokens"], whole["usage"]["total_tokens"]) == (7, 9)
    assert whole["receipt"] == RECEIPT.as_json()
    assert {event.get("item_id", whole["output"][0]["id"]) for event in events} == {whole["output"][0]["id"]}


async def test_calls_come_beside_the_text_with_their_namespace() -> None:
    events = await streamed(FakeDispatcher(CALLED), tools=[WEATHER, SPACE])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    message, first, second = done
    assert message["content"][0]["text"] == "Let me see."
    assert (first["namespace"], first["name"], first["call_id"]) == ("mcp__local", "weather", "c1")
    assert first["arguments"] == '{"city":"Bonn"}'
    assert (second["name"], second["arguments"], "namespace" in second) == ("weather", "{}", False)
    deltas = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert {(event["output_index"], event["item_id"]) for event in deltas} == {
        (1, first["id"]),
        (2, second["id"]),
    }


async def test_an_answer_cut_at_the_limit_says_so() -> None:
    cut = (TextDelta("Hel"), Done("length", Usage(7, 1), "fake", "tiny"))
    events = await streamed(FakeDispatcher(cut), max_output_tokens=1)
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((TextDelta("Hel"), EngineInterruptedError("gone", hint="again")), "engine_interrupted"),
        ((TextDelta("Hel"),), "engine_interrupted"),
        ((TextDelta("Hel"), EngineBusyError("full")), "rate_limit_exceeded"),
    ],
)
async def test_a_failure_after_the_first_event_is_the_last_event(script: Any, code: str) -> None:
    events = await streamed(FakeDispatcher(script))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == code


async def test_a_failure_before_the_first_event_is_an_ordinary_error() -> None:
    async with client_of(FakeDispatcher([EngineBusyError("full", retry_after=1)])) as client:
        with pytest.raises(APIError) as refused:
            await client.responses.create(model="auto", input="Hi", stream=True)
    assert refused.value.code == "rate_limit_exceeded"


async def test_a_caller_that_leaves_stops_the_answer() -> None:
    dispatcher = FakeDispatcher(endless=True)
    with anyio.fail_after(5):
        async with client_of(dispatcher) as client:
            stream = await client.responses.create(model="auto", input="Hi", stream=True)
            await dispatcher.waiting.wait()
            await stream.close()
            await dispatcher.left.wait()


async def test_the_python_client_reads_it_whole_and_streamed() -> None:
    async with client_of(FakeDispatcher()) as client:
        whole = await client.responses.create(model="small", input="Hi", instructions="Be kind.")
        async with client.responses.stream(model="auto", input="Hi") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
    assert whole.output_text == final.output_text == "Hello"
    assert whole.usage is not None
    assert whole.usage.total_tokens == 9
    assert whole.model == "small"
    assert kinds[-1] == "response.completed"


async def test_the_python_client_gets_a_call_and_gives_its_answer_back() -> None:
    dispatcher = FakeDispatcher(CALLED)
    async with client_of(dispatcher) as client:
        first = await client.responses.create(model="auto", input="Weather?", tools=[WEATHER, SPACE])
        calls: list[Any] = [item for item in first.output if item.type == "function_call"]
        answers = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "Rain"} for call in calls
        ]
        again: Any = [{"role": "user", "content": "Weather?"}, *first.output, *answers]
        await client.responses.create(model="auto", input=again)
    messages: Any = dispatcher.calls[-1].arguments["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["function"]["name"] for call in messages[1]["tool_calls"]] == [
        "mcp__local__weather",
        "weather",
    ]


async def test_a_schema_is_kept_by_the_tool_that_checks_it() -> None:
    dispatcher = FakeDispatcher(result=Result({"data": {"a": 1}}, RECEIPT))
    form: Any = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
    async with client_of(dispatcher) as client:
        answer = await client.responses.create(model="auto", input="Hi", text=form)
    assert json.loads(answer.output_text) == {"a": 1}


async def test_errors_are_openais() -> None:
    async with client_of(FakeDispatcher()) as client:
        await check_refusals(client)


async def check_refusals(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError):
        await client.responses.create(model="no such", input="Hi")
    with pytest.raises(BadRequestError, match="responses are not stored"):
        await client.responses.create(model="auto", input="Hi", previous_response_id="resp_1")
