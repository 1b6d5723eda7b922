import json
import re

import anyio
import anyio.to_thread
import jsonschema
import pytest

from engines.backends.vllm.engine import VllmEngine
from engines.base import JsonObject, TextDelta
from engines.errors import ContextTooLongError, UnknownModelError, UnsupportedFeatureError
from tests.vllm.asking import ask
from tests.vllm.conftest import engine_at
from tests.vllm.server import Server
from tests.vllm.weights import BASE

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]

PERSON: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]},
    },
}


async def test_the_profile_describes_what_the_server_serves(engine: VllmEngine):
    with anyio.fail_after(30):
        profile = await engine.profile()
        models = {model.name: model.base for model in await engine.models()}
    assert (profile.model, profile.capabilities.max_context, profile.parameters) == (BASE, 4096, 0.135)
    assert models | {BASE: "", "alpha": BASE, "beta": BASE} == models


async def test_text_comes_in_pieces(engine: VllmEngine):
    with anyio.fail_after(60):
        async with engine.stream(ask(max_tokens=8)) as events:
            seen = [event async for event in events]
    *pieces, done = seen
    assert len(pieces) > 4
    assert all(isinstance(piece, TextDelta) for piece in pieces)
    assert (done.finish_reason, done.usage.completion_tokens, done.model) == ("length", 8, BASE)  # type: ignore[union-attr]


async def test_a_choice_is_one_of_the_choices_with_the_probability_of_each_token(engine: VllmEngine):
    with anyio.fail_after(60):
        answer = await engine.complete(ask("It crashes.", choices=("bug report", "feature"), logprobs=5))
    assert answer.text in {"bug report", "feature"}
    assert "".join(token.token for token in answer.logprobs) == answer.text
    assert all(token.logprob <= 0 and token.top for token in answer.logprobs)


async def test_a_schema_is_kept(engine: VllmEngine):
    with anyio.fail_after(60):
        answer = await engine.complete(ask("Ann is 30.", schema=PERSON, max_tokens=80))
    jsonschema.validate(json.loads(answer.text), PERSON)


async def test_a_prompt_that_begins_like_the_one_before_is_found_in_the_prefix_cache(engine: VllmEngine):
    text = "All about the sea, and nothing but the sea. " * 40
    with anyio.fail_after(60):
        for question in ("Is it deep?", "Is it blue?"):
            answer = await engine.complete(ask(text + question, max_tokens=1))
    assert answer.done.usage.cached_tokens >= 128


async def test_a_keyword_the_server_cannot_keep_is_named(engine: VllmEngine):
    unique: JsonObject = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    with anyio.fail_after(60), pytest.raises(UnsupportedFeatureError, match="uniqueItems"):
        await engine.complete(ask(schema=unique))


async def test_a_demanded_tool_is_called(engine: VllmEngine):
    wish: JsonObject = {"type": "function", "function": {"name": "get_weather"}}
    with anyio.fail_after(60):
        answer = await engine.complete(
            ask("Weather in Rome?", tools=(WEATHER,), tool_choice=wish, max_tokens=90)
        )
    assert [call.name for call in answer.tool_calls] == ["get_weather"]
    assert json.loads(answer.tool_calls[0].arguments) == {"city": "Rome"}


async def test_tools_a_server_was_not_started_for_are_refused_with_the_option_to_start_it_with(plain: Server):
    with anyio.fail_after(60), pytest.raises(UnsupportedFeatureError, match="--enable-auto-tool-choice"):
        async with engine_at(plain) as engine:
            await engine.complete(ask(tools=(WEATHER,)))


async def test_a_prompt_too_long_is_refused_with_the_numbers(engine: VllmEngine):
    with anyio.fail_after(60), pytest.raises(ContextTooLongError, match="4096"):
        await engine.complete(ask("word " * 5000))


async def test_a_model_the_server_lacks_is_refused(engine: VllmEngine):
    with anyio.fail_after(30), pytest.raises(UnknownModelError, match="gpt-9"):
        await engine.complete(ask(model="gpt-9"))


async def test_tokens_are_counted_by_the_models_own_tokenizer(engine: VllmEngine):
    with anyio.fail_after(30):
        assert await engine.count_tokens("Hello there friend") == 3


async def test_a_classification_overtakes_a_long_answer_that_waits(plain: Server):
    order: list[str] = []
    with anyio.fail_after(120):
        async with engine_at(plain) as engine:

            async def put(tier: str) -> None:
                await engine.complete(ask(tier=tier, max_tokens=8))
                order.append(tier)

            async with engine.stream(ask(max_tokens=400)) as running:
                await anext(running)
                async with anyio.create_task_group() as asking:
                    asking.start_soon(put, "main")
                    await waiting(plain, 1)
                    asking.start_soon(put, "small")
                    await waiting(plain, 2)
                    async for _ in running:
                        pass
    assert order == ["small", "main"]


async def waiting(at: Server, count: int) -> None:
    """Waits until ``count`` requests are queued at the server; the polling request itself takes time."""
    line = re.compile(rf"^vllm:num_requests_waiting{{[^}}]*}} {count}.0$", re.MULTILINE)
    while not line.search(await anyio.to_thread.run_sync(at.get, "/metrics")):
        pass
