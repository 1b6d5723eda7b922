import json
import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import (
    Capabilities,
    JsonObject,
    Message,
    Request,
    TextDelta,
    ToolCallDelta,
)
from engines.errors import (
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineTimeoutError,
    UnknownModelError,
    UnsupportedFeatureError,
)

pytestmark = pytest.mark.anyio

WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(text: str = "say it again", **fields: object) -> Request:
    return Request((Message("user", text),), **{"max_tokens": 50, **fields})  # type: ignore[arg-type]


async def test_without_a_script_it_repeats_the_last_user_message():
    assert (await ScriptedEngine().complete(ask("two  words."))).text == "two  words."


async def test_a_function_answers_each_request():
    engine = ScriptedEngine(lambda request: request.messages[-1].content.upper())
    assert (await engine.complete(ask("loud"))).text == "LOUD"
    assert engine.requests == [ask("loud")]


async def test_replies_are_used_up_one_by_one():
    engine = ScriptedEngine(["one", EngineBusyError("full", retry_after=2)])
    assert (await engine.complete(ask())).text == "one"
    with pytest.raises(EngineBusyError):
        await engine.complete(ask())
    with pytest.raises(EngineProtocolError, match="no reply left"):
        await engine.complete(ask())


async def test_a_script_can_break_off_in_the_middle():
    engine = ScriptedEngine([[TextDelta("half"), EngineInterruptedError("gone")]])
    async with engine.stream(ask()) as events:
        assert await anext(events) == TextDelta("half")
        with pytest.raises(EngineInterruptedError):
            await anext(events)
    assert engine.active == 0


async def test_events_without_an_end_get_one():
    answer = await ScriptedEngine([[ToolCallDelta(0, "1", "weather", "{}")]]).complete(ask())
    assert answer.done.finish_reason == "tool_calls"
    assert answer.done.model == "scripted"


async def test_the_first_choice_is_one_token_with_the_others_as_alternatives():
    answer = await ScriptedEngine().complete(ask(choices=("a b", "c"), logprobs=2))
    assert answer.text == "a b"
    (token,) = answer.logprobs
    assert token.top == (("a b", math.log(0.5)), ("c", math.log(0.25)))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
        {"type": ["string", "null"], "minLength": 3},
        {"anyOf": [{"const": 4}, {"type": "null"}]},
        {"type": "number", "exclusiveMinimum": 3, "maximum": 3.5},
        {"type": "integer", "maximum": -2},
        {"type": "boolean"},
        {"type": "null"},
        {"allOf": [{"properties": {"n": {"type": "integer"}}}, {"required": ["n"]}]},
        {
            "$ref": "#/$defs/pair",
            "$defs": {
                "name": {"type": "string", "minLength": 1},
                "pair": {
                    "type": "object",
                    "properties": {"name": {"$ref": "#/$defs/name"}},
                    "required": ["name"],
                },
            },
        },
    ],
)
async def test_the_answer_satisfies_the_schema(schema: JsonObject):
    import jsonschema

    answer = await ScriptedEngine().complete(ask(schema=schema))
    jsonschema.validate(json.loads(answer.text), schema)


async def test_a_schema_it_cannot_satisfy_is_refused():
    with pytest.raises(UnsupportedFeatureError, match="pattern"):
        await ScriptedEngine().complete(ask(schema={"type": "string", "pattern": "^v\\d"}))


@pytest.mark.parametrize(
    "wish", [None, "auto", "required", {"type": "function", "function": {"name": "weather"}}]
)
async def test_a_tool_is_called_with_arguments_that_fit(wish: object):
    answer = await ScriptedEngine().complete(ask(tools=(WEATHER,), tool_choice=wish))
    (call,) = answer.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": ""})
    assert answer.done.finish_reason == "tool_calls"


async def test_no_tool_is_called_with_tool_choice_none_or_after_a_tool_result():
    assert (await ScriptedEngine().complete(ask(tools=(WEATHER,), tool_choice="none"))).tool_calls == ()
    answered = Request(
        (Message("user", "hi"), Message("tool", "sunny", tool_call_id="1")), 10, tools=(WEATHER,)
    )
    assert (await ScriptedEngine().complete(answered)).text == "hi"


@given(text=st.text(), stop=st.text(min_size=1), limit=st.integers(1, 5))
async def test_the_answer_ends_before_the_stop_text_and_within_the_limit(text: str, stop: str, limit: int):
    answer = await ScriptedEngine().complete(ask(text, stop=(stop,), max_tokens=limit))
    assert text.startswith(answer.text)
    assert stop not in answer.text
    assert answer.done.usage.completion_tokens <= limit
    if answer.done.finish_reason == "stop":
        assert answer.text == text.split(stop)[0]


async def test_a_stream_keeps_its_deadline_between_events():
    with anyio.fail_after(5):
        engine = ScriptedEngine(pace=60)
        with pytest.raises(EngineTimeoutError):
            await engine.complete(ask(deadline=anyio.current_time() + 0.01))
        assert engine.active == 0


async def test_leaving_a_stream_early_ends_the_answer():
    engine = ScriptedEngine()
    async with engine.stream(ask("one two three")) as events:
        assert await anext(events) == TextDelta("one")
        assert engine.active == 1
    assert engine.active == 0


async def test_a_prompt_over_the_context_is_refused_with_the_numbers():
    engine = ScriptedEngine(capabilities=Capabilities(max_context=3))
    with pytest.raises(ContextTooLongError, match="4 tokens"):
        await engine.complete(ask("one two three four"))


async def test_a_missing_adapter_falls_back_to_the_base_model_with_a_note():
    engine = ScriptedEngine(adapters=["erp"])
    assert (await engine.complete(ask(adapter="erp"))).done.adapter == "erp"
    done = (await engine.complete(ask(adapter="crm"))).done
    assert done.adapter is None
    assert "crm" in done.notes[0]
    assert [model.name for model in await engine.models()] == ["scripted", "erp"]


async def test_another_model_is_unknown_everywhere():
    engine = ScriptedEngine()
    with pytest.raises(UnknownModelError):
        await engine.profile("gpt")
    with pytest.raises(UnknownModelError):
        await engine.complete(ask(model="gpt"))
    with pytest.raises(UnknownModelError):
        await engine.count_tokens("x", model="gpt")


async def test_texts_that_share_words_are_near():
    engine = ScriptedEngine()
    found = await engine.embed(["reset my password", "password reset", "weather in Oslo", ""])
    near, far = (sum(a * b for a, b in zip(found.vectors[0], v, strict=True)) for v in found.vectors[1:3])
    assert near > 0.7 > 0.3 > far
    assert all(math.isclose(math.hypot(*vector), 1) for vector in found.vectors)
    assert engine.embedded[0] == "reset my password"


async def test_capabilities_decide_what_it_refuses():
    engine = ScriptedEngine(capabilities=Capabilities())
    with pytest.raises(UnsupportedFeatureError):
        await engine.embed(["x"])
    with pytest.raises(UnsupportedFeatureError):
        await engine.count_tokens("x")
    assert (await engine.profile()).embedding_model == ""


async def test_the_profile_has_the_configured_values():
    engine = ScriptedEngine(model="tiny", parameters=0.1)
    await engine.check()
    profile = await engine.profile("tiny")
    assert (profile.engine, profile.model, profile.parameters) == ("scripted", "tiny", 0.1)
    assert profile.capabilities == EVERYTHING
    assert await engine.count_tokens("Hello, world") == 3
