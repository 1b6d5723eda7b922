"""Contract tests that every engine must pass.

To add an engine, add a line to ``ENGINES``: the name of its fixture, and the mark of the test runs
that include it.
"""

import json
import math
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import anyio
import jsonschema
import pytest
from anyio.abc import TaskGroup
from pydantic import SecretStr

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.ollama.engine import OllamaEngine
from engines.backends.openai.engine import OpenAiEngine
from engines.base import Done, Engine, Event, JsonObject, Message, Request, TextDelta, collect
from engines.errors import EngineTimeoutError, UnknownModelError, UnsupportedFeatureError
from engines.settings import OpenAiSettings
from tests.engines import embedded, openai_double
from tests.engines.ollama_double import doubled
from tests.engines.sample_requests import WEATHER, ask

pytestmark = pytest.mark.anyio

ENGINES = [
    pytest.param("scripted", id="scripted"),
    pytest.param("llamacpp", id="llamacpp", marks=pytest.mark.model),
    pytest.param("ollama", id="ollama double"),
    pytest.param("openai", id="openai double"),
    pytest.param("openai_at_llamacpp", id="openai at llama.cpp", marks=pytest.mark.model),
]

SCHEMAS: dict[str, JsonObject] = {
    "flat": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    "nested": {
        "$ref": "#/$defs/team",
        "$defs": {
            "kind": {"enum": ["bug", "feature"]},
            "team": {
                "type": "object",
                "properties": {
                    "kinds": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/kind"},
                        "minItems": 1,
                        "maxItems": 2,
                    },
                    "open": {"type": "boolean"},
                },
                "required": ["kinds", "open"],
                "additionalProperties": False,
            },
        },
    },
    "union": {"anyOf": [{"const": "none"}, {"type": "array", "items": {"type": "null"}, "maxItems": 2}]},
}

PATIENCE_S = 180
"""Timeout that the slowest engine keeps on a busy machine."""

LONG = "Tell me a very long story about the sea. " * 20
"""A prompt that takes every engine long to read and to answer."""

CHOICES = ("bug", "bug report", 'a "quoted" one\n', "\\", "ünï 😀")


@pytest.fixture
async def ollama() -> AsyncGenerator[OllamaEngine]:
    """Our engine at a fake server; recordings of a real one are in ``test_ollama``."""
    async with doubled() as engine:
        yield engine


@pytest.fixture
async def openai() -> AsyncGenerator[OpenAiEngine]:
    async with openai_double.engine_at(openai_double.Double()) as engine:
        yield engine


@pytest.fixture(scope="session")
async def openai_at_llamacpp(
    llamacpp: LlamaCppEngine, llamacpp_folder: Path
) -> AsyncGenerator[OpenAiEngine, None]:
    """The generic engine at a real llama.cpp server: that of the embedded engine's process."""
    await llamacpp.complete(ask(max_tokens=1))
    (state,) = embedded.states(llamacpp_folder)
    async with OpenAiEngine(OpenAiSettings(url=state["url"], api_key=SecretStr(state["key"]))) as engine:
        yield engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(request.param)


async def answer(engine: Engine, request: Request):
    with anyio.fail_after(PATIENCE_S):
        return await engine.complete(request)


async def test_a_stream_is_text_and_then_exactly_one_end(engine: Engine):
    events: list[Event] = []
    with anyio.fail_after(PATIENCE_S):
        async with engine.stream(ask()) as stream:
            async for event in stream:
                events.append(event)
    *pieces, done = events
    assert pieces
    assert all(isinstance(piece, TextDelta) for piece in pieces)
    assert isinstance(done, Done)
    assert done.engine == engine.name
    assert done.model == (await engine.profile()).model
    assert 0 < done.usage.completion_tokens <= 24
    assert done.usage.prompt_tokens > 0


async def test_the_fold_of_a_stream_is_the_whole_answer(engine: Engine):
    with anyio.fail_after(PATIENCE_S):
        async with engine.stream(ask()) as stream:
            events = [event async for event in stream]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))

    async def replay():
        for event in events:
            yield event

    folded = await collect(replay())
    assert folded.text == text
    assert folded.done == events[-1]


async def test_the_same_question_at_temperature_0_has_the_same_answer(engine: Engine):
    first, second = [await answer(engine, ask()) for _ in range(2)]
    assert first.text == second.text


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_json_satisfies_its_schema(engine: Engine, schema: JsonObject):
    if not (await engine.profile()).capabilities.json_schema:
        pytest.skip("no schemas")
    found = await answer(engine, ask("Describe Ann, who is 30.", schema=schema, max_tokens=200))
    assert found.done.finish_reason == "stop"
    jsonschema.validate(json.loads(found.text), schema)


async def test_the_empty_schema_means_any_object(engine: Engine):
    found = await answer(engine, ask("Describe Ann as JSON.", schema={}, max_tokens=300))
    if found.done.finish_reason == "stop":
        assert isinstance(json.loads(found.text), dict)
    else:
        assert found.text.startswith("{")


@pytest.mark.parametrize("last", CHOICES)
async def test_a_choice_is_taken_to_the_letter(engine: Engine, last: str):
    if not (await engine.profile()).capabilities.choice:
        pytest.skip("no choices")
    one = await answer(engine, ask("Which?", choices=(last,)))
    any_of = await answer(engine, ask("Which?", choices=CHOICES))
    assert one.text == last
    assert any_of.text in CHOICES


async def test_logprobs_cover_the_text_token_by_token(engine: Engine):
    if not (await engine.profile()).capabilities.logprobs:
        pytest.skip("no logprobs")
    found = await answer(engine, ask(logprobs=3))
    assert "".join(token.token for token in found.logprobs).strip() == found.text.strip()
    assert all(token.logprob <= 0 for token in found.logprobs)
    assert all(len(token.top) <= 3 for token in found.logprobs)
    bare = await answer(engine, ask(logprobs=0))
    assert len(bare.logprobs) == len(found.logprobs)
    assert (await answer(engine, ask())).logprobs == ()


async def test_the_answer_ends_before_a_stop_text(engine: Engine):
    whole = (await answer(engine, ask(max_tokens=60))).text
    stop = whole.split()[3]
    found = await answer(engine, ask(stop=(stop,), max_tokens=60))
    assert found.text == whole[: whole.index(stop)]
    assert found.done.finish_reason == "stop"


async def test_the_answer_has_no_more_tokens_than_asked_for(engine: Engine):
    found = await answer(engine, ask(max_tokens=3))
    assert found.done.finish_reason == "length"
    assert found.done.usage.completion_tokens == 3


async def test_a_deadline_ends_a_stream_in_time(engine: Engine):
    await answer(engine, ask(max_tokens=1))
    long = ask(LONG, max_tokens=2000)
    with anyio.fail_after(30):
        start = anyio.current_time()
        with pytest.raises(EngineTimeoutError):
            await engine.complete(replace(long, deadline=start + 0.2))
        assert anyio.current_time() - start < 5


async def test_a_deadline_that_has_passed_is_not_even_started(engine: Engine):
    with anyio.fail_after(30), pytest.raises(EngineTimeoutError):
        await engine.complete(ask(deadline=anyio.current_time() - 1))


async def test_leaving_a_stream_and_being_cancelled_leave_the_engine_usable(engine: Engine):
    long = ask(LONG, max_tokens=2000)
    with anyio.fail_after(PATIENCE_S):
        async with engine.stream(long) as events:
            await anext(events)
        async with anyio.create_task_group() as tasks:
            await cancelled_in_the_middle(engine, long, tasks)
    assert (await answer(engine, ask())).text


async def cancelled_in_the_middle(engine: Engine, request: Request, tasks: TaskGroup) -> None:
    begun = anyio.Event()

    async def read() -> None:
        async with engine.stream(request) as events:
            async for _ in events:
                begun.set()

    tasks.start_soon(read)
    await begun.wait()
    tasks.cancel_scope.cancel()


async def test_requests_at_once_get_their_own_answers(engine: Engine):
    found: dict[str, str] = {}

    async def choose(label: str) -> None:
        found[label] = (await answer(engine, ask("Which?", choices=(label,)))).text

    labels = [f"label {n}" for n in range(8)]
    async with anyio.create_task_group() as tasks:
        for label in labels:
            tasks.start_soon(choose, label)
    assert found == {label: label for label in labels}


async def test_a_missing_model_is_unknown(engine: Engine):
    with pytest.raises(UnknownModelError):
        await engine.profile("no-such-model")
    with pytest.raises(UnknownModelError):
        await answer(engine, ask(model="no-such-model"))


async def test_a_missing_adapter_falls_back_to_the_base_model_with_a_note(engine: Engine):
    found = await answer(engine, ask(adapter="no-such-adapter"))
    assert found.done.adapter is None
    assert any("no-such-adapter" in note for note in found.done.notes)


async def test_a_tool_that_must_be_called_is_called_with_fitting_arguments(engine: Engine):
    request = ask("How is the weather in Rome?", tools=(WEATHER,), tool_choice="required", max_tokens=100)
    if not (await engine.profile()).capabilities.tools:
        with pytest.raises(UnsupportedFeatureError):
            await answer(engine, request)
        return
    found = await answer(engine, request)
    assert found.done.finish_reason == "tool_calls"
    assert [call.name for call in found.tool_calls] == ["weather"]
    assert json.loads(found.tool_calls[0].arguments) == {"city": "Rome"}


async def test_the_conversation_may_hold_calls_and_their_results(engine: Engine):
    called = await answer(
        engine,
        Request((Message("system", "Be short."), Message("user", "Hi"), Message("assistant", "Hello.")), 8),
    )
    assert called.done.usage.completion_tokens > 0


async def test_embeddings_are_unit_vectors_and_near_where_meaning_is(engine: Engine):
    if not (await engine.profile()).capabilities.embed:
        pytest.skip("no embeddings")
    texts = ["how do I reset my password", "password reset", "the weather in Oslo", ""]
    with anyio.fail_after(PATIENCE_S):
        found = await engine.embed(texts)
    assert len(found.vectors) == len(texts)
    assert found.tokens > 0
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-4) for vector in found.vectors)
    near, far = (_dot(found.vectors[0], vector) for vector in found.vectors[1:3])
    assert near > 0.5 > 0.3 > far


async def test_embeddings_do_not_depend_on_what_else_is_asked(engine: Engine):
    if not (await engine.profile()).capabilities.embed:
        pytest.skip("no embeddings")
    texts = [f"text number {n} of many" for n in range(40)]
    with anyio.fail_after(PATIENCE_S):
        together = (await engine.embed(texts)).vectors
        alone = (await engine.embed([texts[17]])).vectors[0]
    assert _dot(together[17], alone) > 0.999


async def test_tokens_are_counted_without_special_ones(engine: Engine):
    if not (await engine.profile()).capabilities.tokenize:
        pytest.skip("no tokenizer")
    with anyio.fail_after(PATIENCE_S):
        assert await engine.count_tokens("") == 0
        assert await engine.count_tokens("Hello world") == 2
        assert await engine.count_tokens("word " * 500) >= 500


async def test_the_models_it_lists_are_models_it_knows(engine: Engine):
    listed = await engine.models()
    profile = await engine.profile()
    assert profile.model in [model.name for model in listed]
    assert await engine.profile(profile.model) == profile
    assert {model.engine for model in listed} == {engine.name}
    await engine.check()


def _dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
