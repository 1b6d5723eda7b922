import logging
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.scripted.engine import Reply, ScriptedEngine
from engines.base import (
    Capabilities,
    Done,
    Event,
    JsonObject,
    Message,
    Request,
    Tags,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engines.errors import AgentError, EngineInterruptedError, EngineUnavailableError, UnsupportedFeatureError
from engines.middleware.cache import CachedEngine, pack, unpack
from engines.storage.store import FILE, Store
from tests.engines.middleware.fakes import FlakyEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]

TOOL: JsonObject = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with Store(tmp_path) as store:
        yield store


async def events_of(engine: CachedEngine, request: Request) -> list[Event]:
    async with engine.stream(request) as events:
        return [event async for event in events]


async def test_a_repeated_request_gets_the_same_events_from_the_cache(store: Store):
    inner = ScriptedEngine()
    engine = CachedEngine(inner, store)
    request = ask("some words, and more", logprobs=2, choices=("yes", "no"))
    first = await events_of(engine, request)
    again = await events_of(engine, request)
    assert len(inner.requests) == 1
    assert again[:-1] == first[:-1]
    assert isinstance(first[-1], Done)
    assert again[-1] == replace(first[-1], cached=True)


async def test_another_process_finds_the_answer_too(tmp_path: Path):
    async with Store(tmp_path) as store:
        await CachedEngine(ScriptedEngine(), store).complete(ask())
    async with Store(tmp_path) as store:
        assert (await CachedEngine(ScriptedEngine([]), store).complete(ask())).done.cached


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("user", "other words"),)},
        {"messages": (Message("system", "hello"),)},
        {"messages": (Message("user", "hello", (ToolCall("1", "f", "{}"),)),)},
        {"messages": (Message("user", "hello", tool_call_id="1"),)},
        {"max_tokens": 49},
        {"adapter": "erp"},
        {"top_p": 0.5},
        {"seed": 1},
        {"stop": ("\n",)},
        {"schema": {"type": "object"}},
        {"choices": ("yes", "no")},
        {"logprobs": 0},
        {"effort": "low"},
        {"tags": Tags(project="another")},
    ],
)
async def test_requests_that_differ_in_the_answer_are_not_cached_together(
    store: Store, change: dict[str, object]
):
    inner = ScriptedEngine(adapters=["erp"])
    engine = CachedEngine(inner, store)
    await engine.complete(ask())
    other = ask(**change)  # type: ignore[arg-type]
    assert not (await engine.complete(other)).done.cached
    assert (await engine.complete(other)).done.cached
    assert len(inner.requests) == 2


async def test_the_order_of_a_schema_is_part_of_the_question(store: Store):
    inner = ScriptedEngine()
    engine = CachedEngine(inner, store)
    await engine.complete(ask(schema={"properties": {"a": {}, "b": {}}}))
    await engine.complete(ask(schema={"properties": {"b": {}, "a": {}}}))
    assert len(inner.requests) == 2


async def test_another_model_under_the_same_engine_is_asked(store: Store):
    await CachedEngine(ScriptedEngine(model="old"), store).complete(ask())
    assert (await CachedEngine(ScriptedEngine(model="new"), store).complete(ask())).done.model == "new"


async def test_agent_tool_and_deadline_are_not_part_of_the_key(store: Store):
    engine = CachedEngine(ScriptedEngine(), store)
    await engine.complete(ask(agent="ann", tier="small"))
    later = ask(agent="bob", tier="main", deadline=anyio.current_time() + 60)
    assert (await engine.complete(later)).done.cached


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        (ask(temperature=0.7), "fine"),
        (ask(tools=(TOOL,)), "fine"),
        (ask(adapter="missing"), "of the base model"),
        (ask(), [ToolCallDelta(0, "1", "f", "{}")]),
    ],
)
async def test_sampled_tool_and_fallback_answers_are_not_cached(
    store: Store, question: Request, reply: Reply
):
    inner = ScriptedEngine([reply, reply])
    engine = CachedEngine(inner, store)
    for _ in range(2):
        assert not (await engine.complete(question)).done.cached
    assert len(inner.requests) == 2


async def test_an_answer_cut_at_its_limit_is_cached_under_that_limit(store: Store):
    inner = ScriptedEngine(["cut in the middle", "cut in the middle"])
    engine = CachedEngine(inner, store)
    first, second = [await engine.complete(ask(max_tokens=1)) for _ in range(2)]
    assert (second.text, second.done.finish_reason, second.done.cached) == (first.text, "length", True)
    assert (await engine.complete(ask())).text == "cut in the middle"
    assert len(inner.requests) == 2


async def test_an_incomplete_answer_is_not_cached(store: Store):
    inner = ScriptedEngine([[TextDelta("ha"), EngineInterruptedError("died")], "half read", "whole"])
    engine = CachedEngine(inner, store)
    with pytest.raises(EngineInterruptedError):
        await engine.complete(ask())
    async with engine.stream(ask()) as events:
        await anext(events)
    answer = await engine.complete(ask())
    assert (answer.text, answer.done.cached) == ("whole", False)


async def test_an_unreadable_entry_counts_as_missing(tmp_path: Path):
    async with Store(tmp_path) as store:
        await CachedEngine(ScriptedEngine(), store).complete(ask())
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE entries SET value = ?", (b'["not", "ours"]',))
    connection.close()
    async with Store(tmp_path) as store:
        assert not (await CachedEngine(ScriptedEngine(), store).complete(ask())).done.cached


async def test_an_engine_that_is_down_raises_its_own_error(store: Store):
    with pytest.raises(EngineUnavailableError, match="nothing listens"):
        await CachedEngine(FlakyEngine("ollama", up=False), store).complete(ask())


async def test_the_deadline_covers_the_profile_request(store: Store):
    class Slow(ScriptedEngine):
        async def profile(self, model: str = ""):
            await anyio.sleep_forever()
            raise AssertionError

    with anyio.fail_after(5), pytest.raises(AgentError, match="deadline"):
        await CachedEngine(Slow(), store).complete(ask(deadline=anyio.current_time() + 0.01))


async def test_answers_do_not_depend_on_a_working_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").touch()
    async with Store(tmp_path / "file") as store:
        engine = CachedEngine(ScriptedEngine(), store)
        for _ in range(3):
            assert (await engine.complete(ask())).text == "hello"
            assert len((await engine.embed(["text"])).vectors) == 1
            await store.flush()
    assert len(caplog.records) == 1


async def test_only_texts_that_are_new_are_embedded(store: Store):
    inner = ScriptedEngine()
    engine = CachedEngine(inner, store)
    first = await engine.embed(["red", "green", "red"])
    again = await engine.embed(["green", "blue", "red"])
    assert inner.embedded == ["red", "green", "blue"]
    assert (first.tokens, again.tokens) == (2, 1)
    assert first.model == again.model == "scripted-embedding"
    assert first.vectors[0] == first.vectors[2]
    direct = await ScriptedEngine().embed(["green", "blue", "red"])
    for kept, made in zip(again.vectors, direct.vectors, strict=True):
        assert kept == pytest.approx(made, abs=1e-6)


async def test_embeddings_of_another_model_are_not_reused(store: Store):
    await CachedEngine(ScriptedEngine(model="old"), store).embed(["text"])
    new = ScriptedEngine(model="new")
    await CachedEngine(new, store).embed(["text"])
    assert new.embedded == ["text"]


async def test_without_an_embedding_model_the_engine_raises_the_error(store: Store):
    engine = CachedEngine(ScriptedEngine(capabilities=Capabilities()), store)
    with pytest.raises(UnsupportedFeatureError):
        await engine.embed(["text"])


texts = st.text(st.characters(exclude_categories=()))
numbers = st.floats(allow_nan=False)
tokens = st.builds(TokenLogprob, texts, numbers, st.lists(st.tuples(texts, numbers), max_size=2).map(tuple))
deltas = st.builds(TextDelta, texts, st.lists(tokens, max_size=2).map(tuple))


@given(st.lists(deltas, max_size=4), st.lists(texts, max_size=2).map(tuple))
def test_any_answer_comes_back_as_it_was(deltas: list[TextDelta], notes: tuple[str, ...]):
    done = Done("stop", Usage(3, 2, 1), "ollama", "gpt-oss:20b", "erp", notes=notes)
    assert unpack(pack(deltas, done)) == [*deltas, replace(done, cached=True)]


@given(st.binary())
def test_no_bytes_break_reading(packed: bytes):
    assert unpack(packed) == []
