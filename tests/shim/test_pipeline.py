"""The HTTP routes over the real dispatcher and the scripted engine."""

import json
from pathlib import Path
from typing import cast

import anyio
import httpx2
import pytest
from starlette.applications import Starlette

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject, Message, ToolCall
from engines.routing import Router, Tier
from engines.tokens import BYTES, Estimator, LazyEstimator
from tests.shim.fakes import app_of, body, client_of
from tests.shim.test_openai import CHAT, Connection
from tests.shim.test_translate import events_of
from tests.tools.single_engine import SingleEngine
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.results import ResultFiles

pytestmark = pytest.mark.anyio

TIERS = (Tier("small", 64, 512, 500), Tier("main", 256, 4096, 2000))
WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class ByBytes(LazyEstimator):
    """Estimates tokens by bytes, without a tokenizer."""

    def __init__(self) -> None:
        pass

    async def get(self) -> Estimator:
        return BYTES


def dispatcher_over(engine: ScriptedEngine, results: ResultFiles | None = None) -> Dispatcher:
    router = Router(TIERS, lambda _tier: engine)
    return Dispatcher(router, SingleEngine(engine), deadline_s=5, estimator=ByBytes(), results=results)


def app_over(engine: ScriptedEngine) -> Starlette:
    return app_of(dispatcher_over(engine))


async def ask(engine: ScriptedEngine, request: JsonObject) -> httpx2.Response:
    async with client_of(dispatcher_over(engine)) as client:
        return await client.post(CHAT, json=request)


def scripted(*replies: str, pace: float = 0) -> ScriptedEngine:
    return ScriptedEngine(list(replies), adapters=["erp"], pace=pace)


async def test_only_what_the_client_wrote_reaches_the_model() -> None:
    engine = scripted("Hello there")
    said: JsonObject = {"role": "developer", "content": "Be brief"}
    called: JsonObject = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns: list[JsonObject] = [
        said,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    sampling: JsonObject = {"temperature": 0.7, "seed": 5, "top_p": 0.5, "stop": "END", "max_tokens": 20}
    response = await ask(engine, body(messages=[*turns], tools=[WEATHER], **sampling))
    assert response.json()["choices"][0]["message"]["content"] == "Hello there"
    [request] = engine.requests
    assert request.messages == (
        Message("system", "Be brief"),
        Message("assistant", "", (ToolCall("c1", "weather", "{}"),)),
        Message("tool", "rain", (), "c1"),
    )
    assert (request.temperature, request.seed, request.top_p, request.stop) == (0.7, 5, 0.5, ("END",))
    assert (request.max_tokens, request.tools, request.schema) == (20, (WEATHER,), None)


async def test_plain_and_streamed_answers_are_the_same_and_so_are_their_tokens() -> None:
    engine = scripted("one two three", "one two three")
    plain = (await ask(engine, body())).json()
    streamed = await ask(engine, body(stream=True, stream_options={"include_usage": True}))
    *chunks, last = events_of(streamed.content)
    deltas = [cast("list[JsonObject]", chunk["choices"])[0]["delta"] for chunk in chunks]
    text = "".join(cast("str", cast("JsonObject", delta).get("content", "")) for delta in deltas)
    assert text == plain["choices"][0]["message"]["content"] == "one two three"
    assert last["usage"] == plain["usage"]
    assert cast("JsonObject", last["receipt"])["tokens"] == plain["receipt"]["tokens"]


async def test_an_answer_that_breaks_its_schema_is_repaired_or_an_error() -> None:
    schema: JsonObject = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    wanted = body(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    repaired = await ask(scripted("{}", '{"a": 1}'), wanted)
    broken = await ask(scripted("{}", "{}", "{}"), wanted)
    streamed = await ask(scripted("{}"), wanted | {"stream": True})
    assert json.loads(repaired.json()["choices"][0]["message"]["content"]) == {"a": 1}
    assert broken.status_code == 500
    assert broken.json()["error"]["code"] == "invalid_answer"
    *_, last = events_of(streamed.content)
    assert cast("JsonObject", last["error"])["code"] == "invalid_answer"


async def test_a_schema_that_is_none_is_the_callers_mistake() -> None:
    named: JsonObject = {"name": "n", "schema": {"type": "nonsense"}}
    response = await ask(scripted("{}"), body(response_format={"type": "json_schema", "json_schema": named}))
    assert response.status_code == 400
    assert "schema" in response.json()["error"]["message"]


async def test_a_demanded_tool_is_called() -> None:
    engine = ScriptedEngine()
    wanted: JsonObject = {"type": "function", "function": {"name": "weather"}}
    answer = (await ask(engine, body(tools=[WEATHER], tool_choice=wanted))).json()
    [call] = answer["choices"][0]["message"]["tool_calls"]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "weather"
    assert set(json.loads(call["function"]["arguments"])) == {"city"}


async def test_an_adapter_by_name_answers_and_is_in_the_receipt() -> None:
    engine = scripted("Hi")
    answer = (await ask(engine, body(model="erp"))).json()
    assert engine.requests[0].adapter == "erp"
    assert answer["receipt"]["adapter"] == "erp"


async def test_a_prompt_over_every_context_is_refused_with_the_numbers() -> None:
    response = await ask(scripted("Hi"), body(messages=[{"role": "user", "content": "word " * 6000}]))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"
    assert "4096" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_stops_the_engine(stream: bool) -> None:
    engine = scripted("word " * 500, pace=0.01)
    connection = Connection(body(stream=stream))
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": (), "query_string": b""}
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(app_over(engine), scope, connection.receive, connection.send)
            while not engine.active:
                await anyio.lowlevel.checkpoint()
            connection.gone.set()
    assert engine.active == 0
    assert not any(b"[DONE]" in message.get("body", b"") for message in connection.sent)


async def test_a_tool_over_http_answers_and_refuses_like_everywhere() -> None:
    async with client_of(dispatcher_over(ScriptedEngine())) as client:
        answer = await client.post("/mcp/tools/chat", json={"prompt": "Hi"})
        refused = await client.post("/mcp/tools/classify", json={"text": "a"})
        document = (await client.get("/openapi.json")).json()
    assert answer.json()["text"] == "Hi"
    assert answer.json()["receipt"]["engine"] == "scripted"
    assert refused.status_code == 400
    assert "labels" in refused.json()["error"]["message"]
    assert {"/mcp/tools/classify", "/mcp/tools/chat"} <= set(document["paths"])


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_over_v1_is_never_shortened(stream: bool) -> None:
    data: JsonObject = {"note": "n" * 20_000}
    wanted: JsonObject = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    shaped: JsonObject = {
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
    }
    async with client_of(dispatcher_over(scripted(*[json.dumps(data)] * 2, *["n" * 20_000] * 2))) as client:
        for format, shape in (({"response_format": wanted}, shaped), ({}, {})):
            completion = await client.post(CHAT, json=body(stream=stream, **format))
            response = await client.post("/v1/responses", json={"input": "Hi", "stream": stream, **shape})
            for answer in (completion, response):
                assert answer.status_code == 200, answer.text
                assert "n" * 20_000 in answer.text
                assert "results_file" not in answer.text


async def test_a_long_answer_over_rest_has_the_same_fields_as_over_mcp(tmp_path: Path) -> None:
    dispatcher = dispatcher_over(scripted("n" * 20_000, "n" * 20_000), ResultFiles(tmp_path))
    async with client_of(dispatcher) as client:
        short = (await client.post("/mcp/tools/chat", json={"prompt": "Hi"})).json()
        full = (await client.post("/mcp/tools/chat", json={"prompt": "Hi", "detail": "full"})).json()
    assert set(short) == {"text", "total", "results_file", "results_uri", "receipt"}
    assert len(short["text"]) < 8_000
    assert await anyio.Path(short["results_file"]).read_text() == f'{{"text":"{"n" * 20_000}"}}\n'
    assert set(full) == {"text", "receipt"}
    assert full["text"] == "n" * 20_000
