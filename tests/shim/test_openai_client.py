"""The ``openai`` Python client against a server on a loopback port."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
import uvicorn
from openai import APIError, AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError, RateLimitError
from openai.types.chat import ChatCompletionToolParam
from pydantic import BaseModel

from engines.base import Done, TextDelta, TokenLogprob, ToolCallDelta, Usage
from engines.errors import ContextTooLongError, EngineBusyError, EngineInterruptedError, InvalidAnswerError
from shim.dispatcher import Dispatcher
from tests.shim.fakes import DONE, HELLO, RECEIPT, FakeDispatcher, app_of
from tools.base import Result

pytestmark = pytest.mark.anyio

WEATHER: ChatCompletionToolParam = {"type": "function", "function": {"name": "weather"}}
CALLED = (
    ToolCallDelta(0, "c1", "weather"),
    ToolCallDelta(0, arguments='{"city":'),
    ToolCallDelta(0, arguments='"Bonn"}'),
    Done("tool_calls", Usage(7, 2), "fake", "tiny"),
)


@asynccontextmanager
async def client_of(dispatcher: Dispatcher) -> AsyncGenerator[AsyncOpenAI, None]:
    """Starts a server and yields an OpenAI client for it."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app_of(dispatcher), log_level="error", lifespan="off"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
            async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
                yield client
            server.should_exit = True
    listening.close()


async def ask(client: AsyncOpenAI, model: str = "auto") -> str | None:
    answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    return answer.choices[0].message.content


async def test_a_plain_answer() -> None:
    async with client_of(FakeDispatcher()) as client:
        answer = await client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "Hi"}], temperature=0.5, stop=["\n"]
        )
    assert answer.choices[0].message.content == "Hello"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 9
    assert answer.model_extra == {"receipt": RECEIPT.as_json()}


async def test_a_streamed_answer_with_usage() -> None:
    async with client_of(FakeDispatcher()) as client:
        stream = await client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 7
    assert chunks[-1].model_extra == {"receipt": RECEIPT.as_json()}


async def test_a_pydantic_model_as_the_format_comes_back_parsed() -> None:
    class Release(BaseModel):
        version: str

    dispatcher = FakeDispatcher(result=Result({"data": {"version": "1.2"}}, RECEIPT))
    async with client_of(dispatcher) as client:
        answer = await client.chat.completions.parse(
            model="auto", messages=[{"role": "user", "content": "Which?"}], response_format=Release
        )
    assert answer.choices[0].message.parsed == Release(version="1.2")
    schema = dispatcher.call.arguments["schema"]
    assert isinstance(schema, dict)
    assert schema["required"] == ["version"]


async def test_a_tool_call_whole_and_streamed() -> None:
    async with client_of(FakeDispatcher(script=CALLED)) as client:
        whole = await client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "Rain?"}], tools=[WEATHER]
        )
        async with client.chat.completions.stream(
            model="auto", messages=[{"role": "user", "content": "Rain?"}], tools=[WEATHER]
        ) as stream:
            streamed = await stream.get_final_completion()
    for answer in (whole, streamed):
        assert answer.choices[0].finish_reason == "tool_calls"
        [call] = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert (call.id, call.function.name, call.function.arguments) == ("c1", "weather", '{"city":"Bonn"}')


async def test_logprobs() -> None:
    token = TokenLogprob("yes", -0.1, (("yes", -0.1), ("no", -2.3)))
    async with client_of(FakeDispatcher(script=[TextDelta("yes", (token,)), DONE])) as client:
        answer = await client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "?"}], logprobs=True, top_logprobs=2
        )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    [scored] = logprobs.content or []
    assert [(each.token, each.logprob) for each in scored.top_logprobs] == [("yes", -0.1), ("no", -2.3)]


async def test_models() -> None:
    async with client_of(FakeDispatcher()) as client:
        names = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("org/tiny")
    assert names == ["auto", "small", "main", "org/tiny", "erp"]
    assert one.owned_by == "fake"


async def test_errors_are_the_clients_own() -> None:
    async with client_of(FakeDispatcher(script=[ContextTooLongError("9000 tokens")])) as client:
        with pytest.raises(BadRequestError, match="9000") as too_long:
            await ask(client)
        with pytest.raises(NotFoundError):
            await ask(client, "gpt-4o")
    assert too_long.value.code == "context_length_exceeded"
    async with client_of(FakeDispatcher(script=[EngineBusyError("full", retry_after=3)])) as client:
        with pytest.raises(RateLimitError) as busy:
            await ask(client)
    assert busy.value.response.headers["retry-after"] == "3"


async def test_the_client_repeats_what_may_pass_and_nothing_else() -> None:
    invalid = FakeDispatcher(script=[InvalidAnswerError("no JSON")])
    async with client_of(invalid) as client:
        with pytest.raises(InternalServerError):
            await ask(client.with_options(max_retries=2))
    assert len(invalid.calls) == 1
    interrupted = FakeDispatcher(script=[EngineInterruptedError("went away")])
    async with client_of(interrupted) as client:
        with pytest.raises(InternalServerError):
            await ask(client.with_options(max_retries=1))
    assert len(interrupted.calls) == 2


async def test_an_error_in_the_middle_of_a_stream_reaches_the_client() -> None:
    broken = FakeDispatcher(script=[*HELLO[:2], EngineInterruptedError("went away", hint="ask again")])
    async with client_of(broken) as client:
        stream = await client.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(APIError, match="went away"):
            async for _ in stream:
                pass


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_gives_up_stops_the_generation(streamed: bool) -> None:
    dispatcher = FakeDispatcher(script=HELLO[:1], endless=True)
    async with client_of(dispatcher) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen if streamed else ask, client)
            await dispatcher.waiting.wait()
            assert not dispatcher.left.is_set()
            group.cancel_scope.cancel()
        await dispatcher.left.wait()


async def _listen(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    async for _ in stream:
        pass
