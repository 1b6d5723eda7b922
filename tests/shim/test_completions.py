"""``/v1/completions``: answers whole and streamed, and refusals; with OpenAI's client."""

import httpx2
import pytest
from openai import APIError, BadRequestError

from engines.base import Done, JsonObject, Message, TextDelta, Usage
from engines.errors import EngineInterruptedError
from tests.shim.fakes import HELLO, RECEIPT, FakeDispatcher
from tests.shim.fakes import client_of as plain_client_of
from tests.shim.test_openai_client import client_of
from tests.shim.test_pipeline import dispatcher_over, scripted
from tests.shim.test_translate import events_of

pytestmark = pytest.mark.anyio

COMPLETIONS = "/v1/completions"


async def post(dispatcher: FakeDispatcher, request: JsonObject) -> httpx2.Response:
    async with plain_client_of(dispatcher) as client:
        return await client.post(COMPLETIONS, json=request)


async def test_the_openai_client_gets_a_plain_answer() -> None:
    dispatcher = FakeDispatcher()
    async with client_of(dispatcher) as client:
        answer = await client.completions.create(
            model="main", prompt="Hi", max_tokens=5, temperature=0.5, stop=["\n"], top_p=0.9, seed=3
        )
    assert (answer.object, answer.model, answer.choices[0].text) == ("text_completion", "main", "Hello")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 9
    assert answer.model_extra == {"receipt": RECEIPT.as_json()}
    call = dispatcher.call
    assert call.arguments == {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "temperature": 0.5,
    }
    assert (call.tool, call.tier, call.sampling.stop) == ("chat", "main", ("\n",))
    assert (call.sampling.top_p, call.sampling.seed) == (0.9, 3)


async def test_the_openai_client_reads_the_same_text_as_a_stream() -> None:
    async with client_of(FakeDispatcher()) as client:
        stream = await client.completions.create(
            model="auto", prompt=["Hi"], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "Hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None, None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2
    assert chunks[-1].model_extra == {"receipt": RECEIPT.as_json()}


async def test_a_stream_without_usage_has_none_and_ends_with_done() -> None:
    content = (await post(FakeDispatcher(), {"prompt": "Hi", "stream": True})).content
    assert content.endswith(b"data: [DONE]\n\n")
    assert all("usage" not in event for event in events_of(content))


async def test_an_answer_cut_by_max_tokens_says_so() -> None:
    cut = FakeDispatcher([TextDelta("Hel"), Done("length", Usage(7, 1), "fake", "tiny")])
    assert (await post(cut, {"prompt": "Hi"})).json()["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "harmless",
    [{"echo": False, "logprobs": None, "suffix": None, "best_of": 1, "n": 1}, {"suffix": "", "user": "u"}],
)
async def test_fields_that_ask_for_nothing_are_accepted(harmless: JsonObject) -> None:
    assert (await post(FakeDispatcher(), {"prompt": "Hi", **harmless})).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"echo": True}, "echo", "echo is not supported"),
        ({"logprobs": 0}, "logprobs", "logprobs is not supported (ask /v1/chat/completions"),
        ({"suffix": "."}, "suffix", "suffix is not supported"),
        ({"best_of": 3}, "best_of", "best_of is not supported"),
        ({"n": 2}, "n", "n is not supported"),
        ({"prompt": ""}, "prompt", "at least 1 character"),
        ({"prompt": []}, "prompt", "at least 1 item"),
        ({"prompt": ["a", "b"]}, "prompt", "at most 1 item"),
        ({"prompt": [5, 6]}, "prompt", "lists of tokens are not supported"),
        ({"prompt": [[5, 6]]}, "prompt", "lists of tokens are not supported"),
        ({"prompt": None}, "prompt", "valid string"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "boolean"),
    ],
)
async def test_what_is_not_supported_is_refused_by_name(fields: JsonObject, param: str, said: str) -> None:
    dispatcher = FakeDispatcher()
    answer = await post(dispatcher, {"prompt": "Hi", **fields})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert said in answer.json()["error"]["message"]
    assert dispatcher.calls == []


async def test_errors_are_the_clients_own_before_and_in_a_stream() -> None:
    broken = FakeDispatcher([*HELLO[:2], EngineInterruptedError("went away", hint="ask again")])
    async with client_of(broken) as client:
        with pytest.raises(BadRequestError, match="echo"):
            await client.completions.create(model="auto", prompt="Hi", echo=True)
        stream = await client.completions.create(model="auto", prompt="Hi", stream=True)
        with pytest.raises(APIError, match="went away"):
            async for _ in stream:
                pass


async def test_the_prompt_is_the_only_message_the_engine_gets() -> None:
    engine = scripted("one two three", "one two three")
    async with plain_client_of(dispatcher_over(engine)) as client:
        whole = (await client.post(COMPLETIONS, json={"prompt": "Count.", "max_tokens": 2})).json()
        streamed = await client.post(COMPLETIONS, json={"prompt": "Count.", "max_tokens": 2, "stream": True})
    for request in engine.requests:
        assert request.messages == (Message("user", "Count."),)
    assert [request.max_tokens for request in engine.requests] == [2, 2]
    assert whole["choices"][0] == {"text": "one two", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert b'" two"' in streamed.content
