"""The ``/v1`` routes in process: requests, responses, errors and disconnects."""

import json
from typing import cast

import anyio
import httpx2
import pytest
from starlette.types import Message, Scope

from engines.base import Done, JsonObject, TextDelta, ToolCallDelta, Usage
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    InvalidAnswerError,
)
from shim.openai.translate import ANY_OBJECT
from tests.shim.fakes import HELLO, RECEIPT, FakeDispatcher, app_of, body, client_of
from tests.shim.test_translate import delta_of, events_of

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
TOOL_CALL = (
    ToolCallDelta(0, "c1", "weather"),
    ToolCallDelta(0, arguments='{"city":"Bonn"}'),
    Done("tool_calls", Usage(7, 2), "fake", "tiny"),
)


async def post(dispatcher: FakeDispatcher, request: object, **headers: str) -> httpx2.Response:
    async with client_of(dispatcher) as client:
        return await client.post(CHAT, json=request, headers=headers)


async def test_a_plain_answer_is_the_folded_stream() -> None:
    response = await post(FakeDispatcher(), body())
    assert response.status_code == 200
    answer = response.json()
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    assert answer["receipt"] == RECEIPT.as_json()


async def test_a_streamed_answer_holds_the_same_text_and_ends_with_done() -> None:
    response = await post(FakeDispatcher(), body(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content.endswith(b"data: [DONE]\n\n")
    chunks = events_of(response.content)
    assert "".join(cast("str", delta_of(chunk).get("content", "")) for chunk in chunks) == "Hello"
    assert chunks[-1]["receipt"] == RECEIPT.as_json()


async def test_headers_say_project_agent_and_tier() -> None:
    dispatcher = FakeDispatcher()
    await post(dispatcher, body(), **{"X-Project": "erp", "X-Agent": "codex", "X-Tier": "main"})
    call = dispatcher.call
    assert (call.project.name, call.agent, call.tier) == ("erp", "codex", "main")


async def test_the_tier_header_may_be_written_with_an_underscore() -> None:
    dispatcher = FakeDispatcher()
    await post(dispatcher, body(), x_tier="small")
    assert dispatcher.call.tier == "small"


@pytest.mark.parametrize(
    ("name", "tier", "model", "adapter"),
    [
        ("auto", "auto", "", None),
        ("main", "main", "", None),
        ("org/tiny", "auto", "org/tiny", None),
        ("erp", "auto", "", "erp"),
        (None, "auto", "", None),
    ],
)
async def test_a_model_name_is_a_tier_a_model_or_an_adapter(
    name: str | None, tier: str, model: str, adapter: str | None
) -> None:
    dispatcher = FakeDispatcher()
    answer = (await post(dispatcher, body(model=name))).json()
    call = dispatcher.call
    assert (call.tier, call.model, call.adapter) == (tier, model, adapter)
    assert answer["model"] == (name or "auto")


async def test_engines_are_asked_for_a_name_once_and_for_a_tier_never() -> None:
    dispatcher = FakeDispatcher()
    async with client_of(dispatcher) as client:
        for name in ("auto", "small", "erp", "erp", "org/tiny"):
            await client.post(CHAT, json=body(model=name))
    assert dispatcher.asked_models == 1


async def test_an_unknown_model_is_404_with_the_names() -> None:
    response = await post(FakeDispatcher(), body(model="gpt-4o"))
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "org/tiny" in error["message"]


async def test_an_answer_under_a_schema_is_the_checked_one() -> None:
    dispatcher = FakeDispatcher(script=())
    response = await post(dispatcher, body(response_format={"type": "json_object"}))
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"a": 1}
    assert dispatcher.call.arguments["schema"] == ANY_OBJECT


async def test_tool_calls_come_back_whole() -> None:
    tool: JsonObject = {"type": "function", "function": {"name": "weather"}}
    response = await post(FakeDispatcher(script=TOOL_CALL), body(tools=[tool]))
    choice = response.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": '{"city":"Bonn"}',
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"3", "not a JSON object"),
    ],
)
async def test_a_body_that_is_no_json_object_is_400(content: bytes, said: str) -> None:
    async with client_of(FakeDispatcher()) as client:
        response = await client.post(CHAT, content=content)
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


async def test_a_wrong_field_is_400_with_its_path() -> None:
    response = await post(FakeDispatcher(), body(temperature="warm"))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "temperature")


async def test_a_wrong_tier_header_is_400() -> None:
    response = await post(FakeDispatcher(), body(), **{"X-Tier": "huge"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "X-Tier"


KINDS = [
    (ContextTooLongError("9000 tokens", hint="shorten"), 400, "context_length_exceeded"),
    (EngineBusyError("full", retry_after=2.2), 429, "rate_limit_exceeded"),
    (EngineUnavailableError("nothing answers"), 503, "engine_unavailable"),
    (EngineTimeoutError("too late"), 504, "engine_timeout"),
    (InvalidAnswerError("no JSON"), 500, "invalid_answer"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("error", "status", "code"), KINDS)
async def test_an_error_before_the_first_event_has_its_status(
    error: AgentError, status: int, code: str, stream: bool
) -> None:
    response = await post(FakeDispatcher(script=[error]), body(stream=stream))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-should-retry"] == ("true" if error.retryable else "false")
    said = response.json()["error"]
    assert said["code"] == code
    assert error.message in said["message"]
    assert error.hint in said["message"]


async def test_busy_says_when_to_come_back_in_whole_seconds() -> None:
    known = await post(FakeDispatcher(script=[EngineBusyError("full", retry_after=2.2)]), body())
    unknown = await post(FakeDispatcher(script=[EngineBusyError("full")]), body())
    assert known.headers["retry-after"] == "3"
    assert unknown.headers["retry-after"] == "1"


async def test_an_error_after_the_first_event_is_an_event_and_the_end() -> None:
    broken = FakeDispatcher(script=[TextDelta("Hel"), EngineInterruptedError("went away", hint="ask again")])
    response = await post(broken, body(stream=True))
    assert response.status_code == 200
    *_, last = events_of(response.content)
    assert cast("JsonObject", last["error"])["code"] == "engine_interrupted"
    assert b"[DONE]" not in response.content


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_that_ends_without_done_is_an_error(stream: bool) -> None:
    response = await post(FakeDispatcher(script=()), body(stream=stream))
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "engine_interrupted"


async def test_an_internal_error_is_logged_and_not_sent_to_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeDispatcher):
        async def models(self) -> list[object]:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise ZeroDivisionError("a secret")

    response = await post(Broken(), body(model="other"))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "a secret" in caplog.text


async def test_models_are_the_tiers_then_what_engines_offer() -> None:
    async with client_of(FakeDispatcher()) as client:
        listed = (await client.get("/v1/models")).json()
        one = (await client.get("/v1/models/org/tiny")).json()
        adapter = (await client.get("/v1/models/erp")).json()
        missing = await client.get("/v1/models/none")
    assert [model["id"] for model in listed["data"]] == ["auto", "small", "main", "org/tiny", "erp"]
    assert one == {"id": "org/tiny", "object": "model", "created": 0, "owned_by": "fake"}
    assert adapter["parent"] == "org/tiny"
    assert missing.status_code == 404


class Connection:
    """An ASGI client that sends one request, then an empty message, and may disconnect."""

    def __init__(self, request: JsonObject) -> None:
        self.sent: list[Message] = []
        self.gone = anyio.Event()
        self._bodies = [json.dumps(request).encode(), b""]

    async def receive(self) -> Message:
        if self._bodies:
            return {"type": "http.request", "body": self._bodies.pop(0), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, dispatcher: FakeDispatcher) -> None:
        scope: Scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [], "query_string": b""}
        await app_of(dispatcher)(scope, self.receive, self.send)


@pytest.mark.parametrize(
    ("fields", "answered"),
    [({}, False), ({"stream": True}, True), ({"response_format": {"type": "json_object"}}, False)],
)
async def test_a_client_that_hangs_up_stops_the_generation(fields: JsonObject, answered: bool) -> None:
    dispatcher = FakeDispatcher(script=HELLO[:1], endless=True)
    connection = Connection(body(**fields))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(connection.run, dispatcher)
            await dispatcher.waiting.wait()
            assert not dispatcher.left.is_set()
            connection.gone.set()
            await dispatcher.left.wait()
    assert bool(connection.sent) == answered


async def test_a_client_that_hangs_up_while_asking_asks_nothing() -> None:
    dispatcher = FakeDispatcher()
    connection = Connection(body())
    connection.gone.set()

    async def torn() -> Message:
        return {"type": "http.disconnect"}

    connection.receive = torn
    with anyio.fail_after(5):
        await connection.run(dispatcher)
    assert dispatcher.calls == []
    assert connection.sent == []


async def test_a_body_refused_while_it_comes_in_is_an_answer_not_a_crash() -> None:
    class TooLargeError(AgentError):
        kind = "caller"
        code = "body_too_large"

    connection = Connection(body())

    async def refused() -> Message:
        raise TooLargeError("over 8 MiB")

    connection.receive = refused
    with anyio.fail_after(5):
        await connection.run(FakeDispatcher())
    assert connection.sent[0]["status"] == 413


async def test_a_client_that_stops_reading_loses_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shim.exchange.STALLED_AFTER_S", 0.01)
    dispatcher = FakeDispatcher()
    connection = Connection(body(stream=True))

    async def stalled(message: Message) -> None:
        await anyio.sleep_forever()

    connection.send = stalled
    with anyio.fail_after(5):
        await connection.run(dispatcher)
    assert dispatcher.left.is_set()


async def test_the_end_of_an_answer_is_not_cut_by_the_server_saying_the_client_is_gone() -> None:
    """Servers report a disconnect after the last byte; the dispatcher's stream is closed by then."""
    dispatcher = FakeDispatcher()
    connection = Connection(body(stream=True))

    async def send(message: Message) -> None:
        connection.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            assert dispatcher.left.is_set()
            connection.gone.set()

    connection.send = send
    with anyio.fail_after(5):
        await connection.run(dispatcher)
    assert connection.sent[-1]["body"].endswith(b"data: [DONE]\n\n")
