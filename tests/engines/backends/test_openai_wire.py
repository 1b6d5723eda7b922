"""The HTTP client shared by vLLM and llama.cpp, with a scripted server."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import pytest
from aiohttp import web

from engines.backends.openai_json import chat_body, read_embeddings
from engines.backends.openai_wire import Wire
from engines.base import (
    Completion,
    Done,
    Event,
    JsonObject,
    Message,
    Request,
    TextDelta,
    TokenLogprob,
    ToolCall,
    Usage,
    collect,
)
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineTimeoutError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from tests.engines.sample_requests import WEATHER, ask

pytestmark = pytest.mark.anyio

DONE = Done("stop", Usage(), engine="stand-in", model="tiny")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """A server whose ``handler`` answers all requests; ``requests`` records them."""

    url = ""

    def __init__(self) -> None:
        self.handler: Handler = self.status(404)
        self.requests: list[web.Request] = []
        self.left = anyio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handler(request)

    def status(self, status: int, body: object = "", **headers: str) -> Handler:
        async def answer(_request: web.Request) -> web.Response:
            text = body if isinstance(body, str) else json.dumps(body)
            return web.Response(status=status, text=text, headers=headers)

        return answer

    def streams(self, *pieces: bytes, then: str = "end") -> Handler:
        """Sends ``pieces`` one by one, then ends, breaks the connection, or stalls."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            try:
                await response.prepare(request)
                for piece in pieces:
                    await response.write(piece)
                    await anyio.lowlevel.checkpoint()
                if then == "silence":
                    await anyio.sleep_forever()
            finally:
                self.left.set()
            if then == "break" and request.transport:
                request.transport.close()
                raise ConnectionResetError
            return response

        return answer


def chunk(**delta: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


def event(data: JsonObject) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = event(
    {
        "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    }
)
LAST = b"data: [DONE]\n\n"


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    standing_in = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", standing_in.handle)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    standing_in.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield standing_in
    await runner.cleanup()


@pytest.fixture
async def wire() -> AsyncGenerator[Wire, None]:
    def refine(status: int, message: str) -> AgentError | None:
        return UnsupportedFeatureError("grammar", hint="") if "grammar" in message else None

    async with Wire("stand-in", hint="start it", refine=refine) as opened:
        yield opened


async def answer(wire: Wire, server: Server, **options: Any) -> Completion:
    with anyio.fail_after(5):
        async with wire.stream(server.url, {}, done=DONE, **options) as events:
            return await collect(events)


async def test_pieces_of_text_make_the_answer(wire: Wire, server: Server):
    server.handler = server.streams(
        b": a comment\n\n",
        chunk(role="assistant", content=None),
        chunk(content="Hel"),
        chunk(content="lo"),
        END,
        USAGE,
        LAST,
    )
    found = await answer(wire, server, key="secret")
    assert found.text == "Hello"
    assert found.done == Done("stop", Usage(9, 2, 4), engine="stand-in", model="tiny")
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


async def test_it_does_not_matter_where_the_network_cuts(wire: Wire, server: Server):
    whole = chunk(content="ünï 😀") + chunk(content="x" * 200_000) + END.replace(b"\n\n", b"\r\n\r\n") + LAST
    cuts = [0, 1, 3, 40, 41, 70, len(whole) - 9, len(whole)]
    server.handler = server.streams(*(whole[a:b] for a, b in pairwise(cuts)))
    assert (await answer(wire, server)).text == "ünï 😀" + "x" * 200_000


async def test_reasoning_is_not_part_of_the_answer(wire: Wire, server: Server):
    server.handler = server.streams(
        chunk(reasoning_content="hmm"), chunk(reasoning="hm"), chunk(content="42"), END, LAST
    )
    assert (await answer(wire, server)).text == "42"


async def test_logprobs_come_with_their_alternatives(wire: Wire, server: Server):
    token: JsonObject = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1.5}],
    }
    choice: JsonObject = {
        "index": 0,
        "delta": {"content": "a"},
        "logprobs": {"content": [token]},
        "finish_reason": None,
    }
    server.handler = server.streams(event({"choices": [choice]}), END, LAST)
    assert (await answer(wire, server)).logprobs == (TokenLogprob("a", -0.5, (("b", -1.5),)),)


async def test_tool_calls_are_put_together_by_their_index(wire: Wire, server: Server):
    def call(index: int, **fields: object) -> bytes:
        return chunk(tool_calls=[{"index": index, **fields}])

    server.handler = server.streams(
        call(0, id="a", function={"name": "weather", "arguments": ""}),
        call(1, id="b", function={"name": "time"}),
        call(0, function={"arguments": '{"city":'}),
        call(0, function={"arguments": '"Rome"}'}),
        call(1, function={"arguments": "{}"}),
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        LAST,
    )
    found = await answer(wire, server)
    assert found.tool_calls == (ToolCall("a", "weather", '{"city":"Rome"}'), ToolCall("b", "time", "{}"))
    assert found.done.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "meant"), [("length", "length"), ("stop", "stop"), ("content_filter", "stop")]
)
async def test_finish_reasons_are_mapped(wire: Wire, server: Server, reason: str, meant: str):
    server.handler = server.streams(
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}), LAST
    )
    assert (await answer(wire, server)).done.finish_reason == meant


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (
            400,
            {"error": {"message": "request (9 tokens) exceeds the available context size"}},
            ContextTooLongError,
        ),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, ContextTooLongError),
        (400, {"error": {"message": "bad temperature"}}, RequestRefusedError),
        (400, {"error": {"message": "failed to parse grammar"}}, UnsupportedFeatureError),
        (422, {"detail": [{"msg": "no"}]}, RequestRefusedError),
        (401, {"error": "Unauthorized"}, EngineUnavailableError),
        (404, {"error": {"message": "The model `x` does not exist."}}, UnknownModelError),
        (429, "", EngineBusyError),
        (500, {"error": {"message": "boom"}}, EngineUnavailableError),
        (502, "<html>Bad Gateway</html>", EngineUnavailableError),
        (503, {"error": {"message": "Loading model"}}, EngineUnavailableError),
    ],
)
async def test_each_refusal_has_its_error(
    wire: Wire, server: Server, status: int, body: object, error: type[AgentError]
):
    server.handler = server.status(status, body)
    with pytest.raises(AgentError) as streamed:
        await answer(wire, server)
    with pytest.raises(AgentError) as asked:
        await wire.ask(server.url, {})
    assert type(streamed.value) is type(asked.value) is error
    assert streamed.value.message == asked.value.message


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_taken_from_the_server(wire: Wire, server: Server, status: int):
    server.handler = server.status(status, **{"Retry-After": "7"})
    with pytest.raises(AgentError) as caught:
        await answer(wire, server)
    assert caught.value.retry_after == 7
    assert caught.value.retryable


async def test_nothing_there_is_unavailable_with_the_hint(wire: Wire):
    with anyio.fail_after(5), pytest.raises(EngineUnavailableError, match="does not answer") as caught:
        await wire.ask("http://127.0.0.1:1/")
    assert caught.value.hint == "start it"


async def test_an_error_within_the_stream_is_an_error(wire: Wire, server: Server):
    server.handler = server.streams(chunk(content="a"), event({"error": {"code": 429, "message": "full"}}))
    with pytest.raises(EngineBusyError, match="full"):
        await answer(wire, server)


@pytest.mark.parametrize("then", ["end", "break"])
async def test_an_answer_that_stops_in_the_middle_is_interrupted(wire: Wire, server: Server, then: str):
    server.handler = server.streams(chunk(content="a"), then=then)
    with pytest.raises(EngineInterruptedError):
        await answer(wire, server)


@pytest.mark.parametrize("then", ["end", "break"])
async def test_an_answer_that_never_began_may_be_asked_for_again(wire: Wire, server: Server, then: str):
    server.handler = server.streams(chunk(role="assistant", content=None), then=then)
    with pytest.raises(EngineUnavailableError) as caught:
        await answer(wire, server)
    assert not isinstance(caught.value, EngineInterruptedError)


@pytest.mark.parametrize(
    "data",
    [b"data: {oops\n\n", b"data: [1]\n\n", event({"choices": [7]}), chunk(tool_calls="x"),
     event({"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{}]}}]})],
)  # fmt: skip
async def test_what_cannot_be_read_is_the_engines_fault(wire: Wire, server: Server, data: bytes):
    server.handler = server.streams(data)
    with pytest.raises(EngineProtocolError):
        await answer(wire, server)


async def test_an_answer_that_is_no_json_is_the_engines_fault(wire: Wire, server: Server):
    server.handler = server.status(200, "<html>")
    with pytest.raises(EngineProtocolError, match="html"):
        await wire.ask(server.url)


@pytest.mark.parametrize("pieces", [(), (chunk(content="a"),)])
async def test_silence_ends_at_the_deadline(wire: Wire, server: Server, pieces: tuple[bytes, ...]):
    server.handler = server.streams(*pieces, then="silence")
    with pytest.raises(EngineTimeoutError, match="stand-in"):
        await answer(wire, server, deadline=anyio.current_time() + 0.1)
    with anyio.fail_after(5):
        await server.left.wait()


async def test_a_reader_that_leaves_is_noticed_by_the_server(wire: Wire, server: Server):
    server.handler = server.streams(chunk(content="a"), then="silence")
    with anyio.fail_after(5):
        async with wire.stream(server.url, {}, done=DONE) as events:
            assert await anext(events) == TextDelta("a")
        await server.left.wait()


async def test_a_reader_that_is_cancelled_is_noticed_by_the_server(wire: Wire, server: Server):
    server.handler = server.streams(chunk(content="a"), then="silence")
    seen: list[Event] = []
    with anyio.fail_after(5):
        with anyio.move_on_after(0.2):
            async with wire.stream(server.url, {}, done=DONE) as events:
                async for one in events:
                    seen.append(one)
        await server.left.wait()
    assert seen == [TextDelta("a")]


async def test_a_connection_that_the_server_dropped_meanwhile_costs_nothing(wire: Wire, server: Server):
    """The server announces keep-alive, then closes the connection before the second request."""

    async def drop(request: web.Request) -> web.StreamResponse:
        server.handler = server.status(200, {"ok": True})
        assert request.transport
        request.transport.close()
        raise ConnectionResetError

    server.handler = server.status(200, {"ok": True})
    await wire.ask(server.url)
    server.handler = drop
    with anyio.fail_after(5):
        assert await wire.ask(server.url, {}) == {"ok": True}
    assert len(server.requests) == 3


def test_a_request_is_written_as_openai_has_it():
    messages = (
        Message("system", "Be brief."),
        Message("assistant", "", tool_calls=(ToolCall("1", "weather", "{}"),)),
        Message("tool", "sunny", tool_call_id="1"),
    )
    request = Request(
        messages,
        9,
        temperature=0.5,
        top_p=0.9,
        seed=1,
        stop=("a",),
        logprobs=2,
        tools=(WEATHER,),
        tool_choice="auto",
    )
    call: JsonObject = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert chat_body(request, "m") == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "sunny", "tool_call_id": "1"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 1,
        "stop": ["a"],
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [WEATHER],
        "tool_choice": "auto",
    }


def test_what_was_not_asked_for_is_not_sent():
    body = chat_body(ask(tool_choice="auto"), "m")
    assert set(body) == {"model", "messages", "max_tokens", "temperature"}


def test_embeddings_are_put_in_order():
    one: JsonObject = {"index": 1, "embedding": "AACAPwAAAAA="}
    two: JsonObject = {"index": 0, "embedding": "AAAAAAAAgD8="}
    found = read_embeddings({"data": [one, two], "usage": {"prompt_tokens": 3}}, "m")
    assert found.vectors == ((0.0, 1.0), (1.0, 0.0))
    assert (found.tokens, found.model) == (3, "m")
    numbers: JsonObject = {"index": 0, "embedding": [0, 0.5]}
    assert read_embeddings({"data": [numbers]}, "m").vectors == ((0.0, 0.5),)
    with pytest.raises(EngineProtocolError):
        read_embeddings({"data": [{"index": 0, "embedding": 0.1}]}, "m")


async def test_unexpected_data_after_an_answer_is_not_the_next_answer(wire: Wire, server: Server):
    unasked = chunk(content="another's") + END + LAST
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(unasked)}\r\n\r\n"
    sent = anyio.Event()

    async def answer_twice(request: web.Request) -> web.StreamResponse:
        response = await server.streams(chunk(content="ours"), END, LAST)(request)
        await response.write_eof()
        assert request.transport is not None
        request.transport.write(head.encode() + unasked)  # pyright: ignore[reportAttributeAccessIssue]
        sent.set()
        return response

    server.handler = answer_twice
    assert (await answer(wire, server)).text == "ours"
    with anyio.fail_after(5):
        await sent.wait()
    await wire_is_quiet()
    server.handler = server.streams(chunk(content="ours again"), END, LAST)
    assert (await answer(wire, server)).text == "ours again"


async def test_a_redirect_is_not_followed(wire: Wire, server: Server):
    server.handler = server.status(307, Location="http://127.0.0.1:1/v1")
    with pytest.raises(EngineUnavailableError, match=r"redirects to http://127\.0\.0\.1:1/v1"):
        await wire.ask(server.url, {}, key="secret")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("url", "key"), [("", "secret\nX: y"), ("\r\nX: y", ""), ("ftp:", "")])
async def test_what_cannot_be_sent_is_an_error_of_the_settings(
    wire: Wire, server: Server, url: str, key: str
):
    with pytest.raises(EngineUnavailableError, match="cannot be asked") as caught:
        await wire.ask(url if url == "ftp:" else server.url + url, key=key)
    assert "settings" in caught.value.hint
    assert "secret" not in caught.value.message
    assert not server.requests


async def wire_is_quiet() -> None:
    """Waits until data sent over loopback is read."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
