"""The engine for any server with OpenAI's API, at scripted servers; the contract suite runs over it too."""

import json
import logging
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import anyio
import pytest
from pydantic import ValidationError

from engines.backends.openai.engine import OpenAiEngine
from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject, JsonValue
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineProtocolError,
    EngineTimeoutError,
    EngineUnavailableError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.settings import OpenAiSettings
from tests.engines import openai_double
from tests.engines.openai_double import EMBEDDING, MODEL, Double, serving
from tests.engines.sample_requests import WEATHER, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]

KEY = "sk-very-secret-0123"
SCHEMA: JsonObject = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
PROBES = 5
"""Requests of a probe."""


def data(value: JsonValue) -> str:
    return f"data: {json.dumps(value)}"


def says(text: str, finish: str | None = None) -> str:
    return data({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


@asynccontextmanager
async def engine_at(double: Double, **settings: object) -> AsyncGenerator[OpenAiEngine]:
    with anyio.fail_after(10):
        async with openai_double.engine_at(double, **settings) as engine:
            yield engine


# Capabilities


async def test_capabilities_are_those_the_server_showed():
    async with engine_at(Double()) as engine:
        profile = await engine.profile()
    can = profile.capabilities
    assert (can.json_schema, can.choice, can.logprobs, can.tools, can.embed) == (True,) * 5
    assert (can.tokenize, can.lora, can.prefill) == (False, False, False)
    assert (profile.model, profile.embedding_model, profile.parameters) == (MODEL, EMBEDDING, 4)
    assert can.max_context == 8192


@pytest.mark.parametrize("how", ["lacks", "refuses"])
@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("response_format", {"json_schema", "choice"}),
        ("logprobs", {"logprobs"}),
        ("tools", {"tools"}),
    ],
)
async def test_what_a_server_ignores_or_refuses_is_no_capability(how: str, field: str, missing: set[str]):
    double = replace(Double(), **{how: frozenset({field})})
    async with engine_at(double) as engine:
        can = (await engine.profile()).capabilities
    names = ("json_schema", "choice", "logprobs", "tools")
    assert {name for name in names if not getattr(can, name)} == missing


async def test_a_model_is_probed_once_with_tiny_requests():
    double = Double()
    async with engine_at(double) as engine, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(engine.profile)
    assert len(double.asked) == PROBES
    assert all(
        len(json.dumps(body["messages"])) < 100 and body["max_tokens"] in range(201) for body in double.asked
    )


async def test_what_a_server_lacks_is_never_asked_for():
    double = Double(refuses=frozenset({"response_format", "logprobs", "tools", "top_logprobs"}))
    async with engine_at(double) as engine:
        await engine.profile()
        del double.asked[:]
        await engine.complete(ask(logprobs=3, tools=(WEATHER,), tool_choice="none"))
        for request in (ask(choices=("a", "b")), ask(tools=(WEATHER,))):
            with pytest.raises(UnsupportedFeatureError):
                await engine.complete(request)
        assert len(double.asked) == 1
        assert not {"logprobs", "top_logprobs", "tools", "tool_choice"} & double.asked[0].keys()


@pytest.mark.parametrize(
    "text", ['{"n": 7}', '```json\n{"n": 7}\n```', 'Here it is: {"n": 7}. Anything else?']
)
async def test_without_schemas_the_prompt_has_the_schema_and_the_json_is_cut_out(text: str):
    double = Double(refuses=frozenset({"response_format"}))
    async with engine_at(double) as engine:
        await engine.profile()
        double.say(says(text, "stop"), "data: [DONE]", "")
        found = await engine.complete(ask("Give me a number.", schema=SCHEMA))
    assert json.loads(found.text) == {"n": 7}
    (sent,) = cast("list[JsonObject]", double.asked[-1]["messages"])
    assert json.dumps(SCHEMA) in str(sent["content"])


async def test_a_server_that_fails_during_a_probe_is_probed_again():
    double = Double()
    async with engine_at(double) as engine:
        double.say('{"error": "loading the model"}', status=503, kind="application/json")
        with pytest.raises(EngineUnavailableError):
            await engine.profile()
        assert (await engine.profile()).capabilities.json_schema


async def test_a_server_that_came_back_is_probed_again():
    double = Double()
    async with engine_at(double) as engine:
        await engine.profile()
        double.say("", status=502)
        with pytest.raises(EngineUnavailableError):
            await engine.complete(ask())
        double.refuses = frozenset({"tools"})
        assert not (await engine.profile()).capabilities.tools


async def test_a_probe_keeps_to_the_deadline_of_the_call():
    double = Double(behind=ScriptedEngine(pace=5))
    async with engine_at(double) as engine:
        with pytest.raises(EngineTimeoutError):
            await engine.complete(ask(deadline=anyio.current_time() + 0.1))


# Models


@pytest.mark.parametrize("name", ["org/model", "qwen3:4b", "модель-7b", "a b%2F?#&", "hf.co/x/y:Q4_K_M"])
async def test_a_model_may_have_any_name(name: str):
    double = Double(models=({"id": name}, {"id": "other"}))
    async with engine_at(double, model=name) as engine:
        assert (await engine.complete(ask())).done.model == name
        assert [model.name for model in await engine.models()] == [name, "other"]
    assert all(body["model"] == name for body in double.asked)


async def test_a_model_for_embeddings_or_ranking_is_not_the_default_and_not_listed():
    double = Double(models=({"id": "bge-reranker-v2"}, {"id": EMBEDDING}, {"id": MODEL}))
    async with engine_at(double) as engine:
        assert [model.name for model in await engine.models()] == [MODEL]
        profile = await engine.profile()
    assert (profile.model, profile.embedding_model) == (MODEL, EMBEDDING)


async def test_a_server_without_a_list_needs_a_named_model():
    async with engine_at(Double(models=None), model="m") as engine:
        assert (await engine.complete(ask())).done.model == "m"
        await engine.check()
    async with engine_at(Double(models=None)) as engine:
        with pytest.raises(EngineUnavailableError, match="Unexpected endpoint"):
            await engine.check()


async def test_an_address_without_a_path_gets_the_usual_one():
    async with serving(Double()) as double:
        settings = OpenAiSettings(url=double.url.removesuffix("/v1") + "/")
        async with OpenAiEngine(settings) as engine:
            assert (await engine.complete(ask())).text
    assert set(double.paths) == {"/v1/models", "/v1/chat/completions"}


@pytest.mark.parametrize(
    ("card", "context"),
    [
        ({"max_model_len": 1000}, 1000),
        ({"context_length": 2000}, 2000),
        ({"meta": {"n_ctx_train": 3000}}, 3000),
        ({"context_length": None}, 4096),
    ],
)
async def test_the_context_is_what_the_server_reports(card: JsonObject, context: int):
    double = Double(models=({"id": "m", **card},))
    async with engine_at(double) as engine:
        assert (await engine.profile()).capabilities.max_context == context
    async with engine_at(double, context=512) as engine:
        assert (await engine.profile()).capabilities.max_context == 512


@pytest.mark.parametrize("embedding", ["", "no-such-embedding"])
async def test_without_an_embedding_model_there_is_no_embed(embedding: str):
    async with engine_at(Double(), embedding=embedding) as engine:
        assert not (await engine.profile()).capabilities.embed
        with pytest.raises(UnsupportedFeatureError):
            await engine.embed(["a"])


# Answers


WHOLE: JsonObject = {
    "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((says("Hel"), says("lo", "stop"), ""), "text/event-stream"),
        ((says("Hel"), says("lo", "stop")), "text/event-stream"),
        ((says("Hello"), "data: [DONE]", ""), "text/event-stream"),
        ((": ping", "event: x\r\n" + says("Hello", "stop"), ""), "text/event-stream"),
        ((says("Hello"), says("", "stop"), ""), "application/json"),
        ((json.dumps(WHOLE),), "application/json"),
        ((json.dumps(WHOLE, indent=2),), "application/json"),
    ],
    ids=[
        "no [DONE]",
        "no last line break",
        "no finish reason",
        "comments",
        "wrong type",
        "no stream",
        "no stream, indented",
    ],
)
async def test_an_answer_is_read_as_servers_send_it(lines: tuple[str, ...], kind: str):
    double = Double()
    async with engine_at(double) as engine:
        await engine.profile()
        double.say(*lines, kind=kind)
        found = await engine.complete(ask())
    assert (found.text, found.done.finish_reason) == ("Hello", "stop")


async def test_tool_calls_of_an_answer_that_is_not_streamed_are_numbered():
    calls: list[JsonValue] = [
        {"id": str(n), "type": "function", "function": {"name": f"f{n}", "arguments": "{}"}} for n in range(2)
    ]
    answer: JsonObject = {
        "choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "x"}]
    }
    double = Double()
    async with engine_at(double) as engine:
        await engine.profile()
        double.say(json.dumps(answer), kind="application/json")
        found = await engine.complete(ask(tools=(WEATHER,)))
    assert [call.name for call in found.tool_calls] == ["f0", "f1"]
    assert found.done.finish_reason == "tool_calls"


async def test_a_stream_that_stops_in_the_middle_is_no_answer():
    double = Double()
    async with engine_at(double) as engine:
        await engine.profile()
        double.say(says("Hel"), "")
        with pytest.raises(EngineUnavailableError, match="stopped in the middle"):
            await engine.complete(ask())


# Errors


TOO_LONG: JsonObject = {"error": {"message": "the request exceeds the available context size", "code": 400}}


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (200, '{"error": "Model unloaded."}', EngineUnavailableError, "Model unloaded"),
        (200, json.dumps(TOO_LONG, indent=1), ContextTooLongError, "context size"),
        (200, data({"error": {"message": "out of slots"}}), EngineUnavailableError, "slots"),
        (200, "<html>", EngineUnavailableError, "stopped in the middle"),
        (200, "data: {broken", EngineUnavailableError, "stopped in the middle"),
        (200, "data: {broken\n\n", EngineProtocolError, "cannot be read"),
        (404, '{"error": {"message": "no such model"}}', UnknownModelError, "no such model"),
        (400, '{"error": {"message": "bad schema"}}', UnsupportedFeatureError, "bad schema"),
    ],
)
async def test_each_failure_becomes_its_error(status: int, body: str, error: type[AgentError], message: str):
    double = Double()
    async with engine_at(double) as engine:
        await engine.profile()
        double.say(body, status=status, kind="application/json" if body[0] == "{" else "text/event-stream")
        with pytest.raises(error, match=message):
            await engine.complete(ask())


async def test_a_list_of_models_that_is_an_error_with_status_200_is_an_error():
    async with serving(Double()) as double:
        settings = OpenAiSettings(url=double.url.replace("/v1", "/wrong"))
        double.models = None
        async with OpenAiEngine(settings) as engine:
            with pytest.raises(EngineUnavailableError, match="Unexpected endpoint"):
                await engine.check()


async def test_a_server_that_wants_a_key_says_so():
    for key in ("", "wrong-key-0123"):
        async with engine_at(Double(api_key=KEY), api_key=key) as engine:
            for use in (engine.check, engine.profile, engine.models, lambda: engine.complete(ask())):
                with pytest.raises(EngineUnavailableError, match="401") as caught:
                    await use()
                assert "set `api_key`" in caught.value.hint


async def test_the_key_is_sent():
    async with engine_at(Double(api_key=KEY), api_key=f" {KEY}\n") as engine:
        assert (await engine.complete(ask())).text
        assert (await engine.embed(["a"])).vectors


# The key is a secret


def break_with_key(double: Double, how: str) -> None:
    told = json.dumps({"error": f"key {KEY}"})
    match how:
        case "401":
            double.api_key = "another key"
        case "400":
            double.say(told, status=400, kind="application/json")
        case "200":
            double.say(told, kind="application/json")
        case "in the stream":
            double.say(data({"error": {"message": KEY}}), "")
        case "unreadable stream":
            double.say(f"data: {{{KEY}\n\n")
        case _:
            double.models = (KEY,)


HOW = ["401", "400", "200", "in the stream", "unreadable stream", "unreadable list"]


@pytest.mark.parametrize("how", HOW)
async def test_the_key_is_in_no_error_and_no_log(how: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    double = Double()
    async with engine_at(double, api_key=KEY) as engine:
        await engine.profile()
        break_with_key(double, how)
        with pytest.raises(AgentError) as caught:
            await (engine.check() if how == HOW[-1] else engine.complete(ask()))
    error = caught.value
    shown = [error.message, error.hint, repr(error), json.dumps(error.as_json()), caplog.text]
    shown += traceback.format_exception(error)
    assert KEY not in "".join(shown)


def test_the_key_is_not_shown_with_the_settings():
    settings = OpenAiSettings.model_validate({"api_key": KEY})
    assert KEY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize("key", [f"{KEY}\nX-Evil: 1", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_that_is_no_header_is_refused_without_being_shown(key: str):
    with pytest.raises(ValidationError) as caught:
        OpenAiSettings.model_validate({"api_key": key})
    assert KEY not in str(caught.value)
