"""Parsing of tool calls in a model's text, and the schema of required calls."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext

import jsonschema
import pytest

from engines.backends.llamacpp.chat import Facts, body_of
from engines.backends.llamacpp.tools import parse_tool_calls, read_calls, required_tools, schema_of
from engines.base import Done, Event, JsonObject, TextDelta, ToolCallDelta, Usage
from tests.engines.sample_requests import WEATHER, ask

pytestmark = pytest.mark.anyio

MAIL: JsonObject = {
    "type": "function",
    "function": {
        "name": "send_mail",
        "parameters": {
            "type": "object",
            "properties": {"to": {"$ref": "#/$defs/address"}},
            "$defs": {"address": {"type": "string", "minLength": 3}},
        },
    },
}
CALL = '{"name": "weather", "arguments": {"city": "Rome"}}'
DONE = Done("stop", Usage(), engine="llamacpp", model="tiny")
FACTS = Facts("tiny", 4096, 1.5, tools=True, thinks=False)


async def through(*pieces: str | ToolCallDelta) -> list[Event]:
    async def events() -> AsyncIterator[Event]:
        for piece in pieces:
            yield TextDelta(piece) if isinstance(piece, str) else piece
        yield DONE

    return [event async for event in parse_tool_calls(events(), (WEATHER, MAIL))]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (CALL, 1),
        (f"```json\n{CALL}\n```", 1),
        (f"```\n{CALL}\n```\nThe weather in Rome is fine.", 1),
        (f"<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{CALL}\n</tool_call>", 2),
        (f"[{CALL}, {CALL}]", 2),
        ('{"name": "weather"}', 1),
        ('{"name": "another", "arguments": {}}', 0),
        ('{"city": "Rome"}', 0),
        (CALL[:-3], 0),
        ("```python\nprint(1)\n```", 0),
        ("[1, 2]", 0),
        ("It is sunny.", 0),
    ],
)
def test_calls_are_read_in_the_forms_that_models_write(text: str, calls: int):
    found = read_calls(text, {"weather", "send_mail"})
    assert [call.name for call in found] == ["weather"] * calls
    assert [call.index for call in found] == list(range(calls))
    assert len({call.id for call in found}) == calls


async def test_a_call_in_the_text_becomes_a_tool_call():
    call, done = await through("```", "json\n", CALL[:20], CALL[20:], "\n```")
    assert isinstance(call, ToolCallDelta)
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome"})
    assert isinstance(done, Done)
    assert done.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "pieces", [["It ", "is ", "sunny."], ["```", "py", "\nx = {}\n", "```"], ['{"city"', ': "Rome"}']]
)
async def test_text_that_is_no_call_stays_text(pieces: Sequence[str]):
    *events, done = await through(*pieces)
    assert [event.text for event in events if isinstance(event, TextDelta)] == list(pieces)
    assert done == DONE


async def test_a_call_that_llama_cpp_read_itself_passes_through():
    call = ToolCallDelta(0, "1", "weather", "{}")
    assert await through(call) == [call, DONE]


def test_a_call_must_be_made_of_any_tool_or_of_the_one_that_is_named():
    tools = (WEATHER, MAIL)
    assert required_tools(ask(tools=tools)) == ()
    assert required_tools(ask(tools=tools, tool_choice="auto")) == ()
    assert required_tools(ask(tools=tools, tool_choice="required")) == tools
    named: JsonObject = {"type": "function", "function": {"name": "send_mail"}}
    assert required_tools(ask(tools=tools, tool_choice=named)) == (MAIL,)


@pytest.mark.parametrize(
    ("call", "fits"),
    [
        (json.loads(CALL), True),
        ({"name": "send_mail", "arguments": {"to": "ana@example.com"}}, True),
        ({"name": "send_mail", "arguments": {"to": "a"}}, False),
        ({"name": "weather", "arguments": {"city": "Oslo"}}, False),
        ({"name": "another", "arguments": {}}, False),
    ],
)
def test_the_schema_of_calls_takes_calls_and_nothing_else(call: JsonObject, fits: bool):
    with nullcontext() if fits else pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(call, schema_of((WEATHER, MAIL)))


def test_what_the_process_is_asked_follows_from_the_choice():
    must = body_of(ask(tools=(WEATHER, MAIL), tool_choice="required"), FACTS, [])
    assert must["tool_choice"] == "none"
    assert "grammar" in must
    assert "tools" not in body_of(ask(tools=(WEATHER,), tool_choice="none"), FACTS, [])
    thinking = Facts("thinker", 4096, 20, tools=True, thinks=True)
    named: JsonObject = {"type": "function", "function": {"name": "weather"}}
    body = body_of(ask(tools=(MAIL, WEATHER), tool_choice=named), thinking, [])
    assert (body["tools"], body["tool_choice"]) == ([WEATHER], "required")
