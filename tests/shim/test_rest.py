"""The REST routes in process."""

import pytest

from engines.base import JsonObject
from engines.errors import EngineBusyError, EngineUnavailableError, InvalidArgumentsError
from tests.shim.fakes import CLASSIFY, RECEIPT, FakeDispatcher, client_of
from tools.base import Result

pytestmark = pytest.mark.anyio

LABELLED = Result({"label": "bug", "confidence": 0.9, "abstained": False}, RECEIPT)
ARGUMENTS: JsonObject = {"text": "It crashes", "labels": ["bug", "question"]}


async def test_the_tools_are_listed_as_mcp_lists_them() -> None:
    async with client_of(FakeDispatcher()) as client:
        classify, summarize = (await client.get("/mcp/tools")).json()["tools"]
    assert classify == {
        "name": "classify",
        "description": CLASSIFY.description,
        "inputSchema": CLASSIFY.input_schema,
        "outputSchema": CLASSIFY.output_schema,
    }
    assert "outputSchema" not in summarize


async def test_a_tools_answer_is_its_fields_and_the_receipt() -> None:
    dispatcher = FakeDispatcher(result=LABELLED)
    headers = {"X-Project": "erp", "X-Agent": "cron", "X-Tier": "main"}
    async with client_of(dispatcher) as client:
        response = await client.post("/mcp/tools/classify", json=ARGUMENTS, headers=headers)
    assert response.status_code == 200
    assert response.json() == {**LABELLED.fields, "receipt": RECEIPT.as_json()}
    call = dispatcher.call
    assert (call.tool, call.arguments) == ("classify", ARGUMENTS)
    assert (call.project.name, call.agent, call.tier) == ("erp", "cron", "main")


async def test_an_unknown_tool_is_404_with_the_names() -> None:
    async with client_of(FakeDispatcher()) as client:
        response = await client.post("/mcp/tools/translate", json={})
    assert response.status_code == 404
    assert response.json()["error"] == {
        "code": "unknown_tool",
        "message": "no tool 'translate'",
        "hint": "one of classify, summarize",
        "kind": "caller",
        "retryable": False,
    }


async def test_the_tools_own_refusal_keeps_its_hint() -> None:
    refusal = InvalidArgumentsError("labels: Field required", hint="classify takes: labels")
    async with client_of(FakeDispatcher(result=refusal)) as client:
        response = await client.post("/mcp/tools/classify", json={})
    assert response.status_code == 400
    assert response.json()["error"]["hint"] == "classify takes: labels"


async def test_busy_is_429_and_retryable() -> None:
    async with client_of(FakeDispatcher(result=EngineBusyError("full", retry_after=4))) as client:
        response = await client.post("/mcp/tools/classify", json=ARGUMENTS)
    assert (response.status_code, response.headers["retry-after"]) == (429, "4")
    assert response.json()["error"]["retryable"] is True


async def test_a_list_is_not_a_tools_arguments() -> None:
    async with client_of(FakeDispatcher()) as client:
        response = await client.post("/mcp/tools/classify", json=["bug"])
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_arguments"


async def test_health_is_about_us_and_ready_about_the_engines() -> None:
    down = FakeDispatcher(offered=EngineUnavailableError("nothing answers", hint="start Ollama"))
    async with client_of(FakeDispatcher()) as client:
        ready = await client.get("/ready")
    async with client_of(down) as client:
        health, unready = await client.get("/health"), await client.get("/ready")
    assert ready.json() == {"status": "ready", "engine": "fake", "model": "org/tiny"}
    assert health.json() == {"status": "ok", "version": "1.2.3"}
    assert unready.status_code == 503
    assert unready.json()["error"]["hint"] == "start Ollama"


async def test_a_request_without_a_route_is_refused_in_the_error_format_of_its_api() -> None:
    async with client_of(FakeDispatcher()) as client:
        missing = await client.post("/v1/audio/speech", json={})
        # a model's name may not hold a line break, as far as Starlette is concerned
        strange = await client.get("/v1/models/a%0Ab")
        wrong = await client.get("/mcp/tools/classify")
    assert (missing.status_code, strange.status_code) == (404, 404)
    assert missing.json()["error"]["type"] == "invalid_request_error"
    assert "/v1/audio/speech" in missing.json()["error"]["message"]
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert wrong.json()["error"]["hint"] == "GET /openapi.json lists the routes"


async def test_the_openapi_document_has_every_route_and_no_dangling_reference() -> None:
    async with client_of(FakeDispatcher()) as client:
        response = await client.get("/openapi.json")
        assert (await client.get("/openapi.json")).content == response.content
    document = response.json()
    assert set(document["paths"]) == {
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{name}",
        "/mcp/tools",
        "/mcp/tools/classify",
        "/mcp/tools/summarize",
        "/health",
        "/ready",
        "/openapi.json",
    }
    named = set(document["components"]["schemas"])
    referred = {part.split('"')[0] for part in response.text.split('"#/components/schemas/')[1:]}
    assert referred <= named
    answer = document["paths"]["/mcp/tools/classify"]["post"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema["required"] == ["label", "receipt"]
    assert {"total", "results_file", "results_uri"} <= set(schema["properties"])
    asked = document["paths"]["/mcp/tools/summarize"]["post"]["requestBody"]
    detail = asked["content"]["application/json"]["schema"]["properties"]["detail"]
    assert detail["enum"] == ["auto", "full"]
