import re
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Tags, TextDelta
from engines.errors import AgentError, EngineBusyError, EngineTimeoutError, RequestRefusedError
from engines.middleware.cache import CachedEngine
from engines.middleware.metrics import ABANDONED, NAMES, ErrorCount, MeteredEngine, Metrics, RequestCounts
from engines.middleware.prometheus import render
from engines.storage.store import Store
from tests.engines.middleware.fakes import FlakyEngine, GatedEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]


async def test_requests_and_tokens_are_counted_by_project_agent_and_tool(way: str):
    metrics = Metrics()
    engine = MeteredEngine(ScriptedEngine(), metrics)
    for _ in range(2):
        await engine.complete(ask("two words", agent="ann"))
    await engine.complete(ask("one", tags=Tags("extract", "small", "erp", "bob")))
    snapshot = metrics.snapshot()
    assert snapshot.requests == (
        RequestCounts("scripted", "chat", "main", "default", "ann", 2, 0, 4, 4),
        RequestCounts("scripted", "extract", "small", "erp", "bob", 1, 0, 1, 1),
    )
    timed = {(timed.what, timed.tool): sum(timed.histogram.counts) for timed in snapshot.timings}
    first_tokens = {("first_token", "chat"): 2, ("first_token", "extract"): 1} if way == "streamed" else {}
    assert timed == {("request", "chat"): 2, ("request", "extract"): 1, **first_tokens}
    assert snapshot.active == {"scripted": 0}


async def test_an_answer_from_the_cache_costs_no_tokens(tmp_path: Path):
    metrics = Metrics()
    async with Store(tmp_path) as store:
        engine = MeteredEngine(CachedEngine(ScriptedEngine(), store), metrics)
        for _ in range(3):
            await engine.complete(ask("two words"))
    (asked,) = metrics.snapshot().requests
    assert (asked.requests, asked.cached, asked.prompt_tokens) == (3, 2, 2)


@pytest.mark.parametrize(
    ("error", "within"),
    [(RequestRefusedError("no"), 1.0), (EngineBusyError("full"), 0.5), (EngineTimeoutError("slow"), 0.5)],
)
async def test_errors_are_counted_by_code_and_those_of_the_engine_miss_the_target(
    error: AgentError, within: float
):
    metrics = Metrics({"main": 60})
    engine = MeteredEngine(ScriptedEngine(["fine", error, [TextDelta("half"), error]]), metrics)
    await engine.complete(ask())
    with pytest.raises(type(error)):
        await engine.complete(ask())
    snapshot = metrics.snapshot()
    assert snapshot.errors == (ErrorCount("scripted", "chat", "main", error.code, 1),)
    assert snapshot.tiers[0].within == within
    with pytest.raises(type(error)):
        await engine.complete(ask())
    assert metrics.snapshot().errors == (ErrorCount("scripted", "chat", "main", error.code, 2),)


async def test_a_caller_that_disconnects_is_counted_as_abandoned():
    metrics = Metrics({"main": 60})
    engine = MeteredEngine(ScriptedEngine(), metrics)
    async with engine.stream(ask()) as events:
        await anext(events)
        assert metrics.snapshot().active == {"scripted": 1}
    snapshot = metrics.snapshot()
    assert snapshot.errors == (ErrorCount("scripted", "chat", "main", ABANDONED, 1),)
    assert snapshot.active == {"scripted": 0}
    assert snapshot.tiers[0].calls == 0


async def test_a_caller_that_disconnects_before_the_first_event_is_counted_as_abandoned():
    metrics, inner = Metrics(), GatedEngine()
    with anyio.move_on_after(0.01):
        await MeteredEngine(inner, metrics).complete(ask())
    assert metrics.snapshot().errors == (ErrorCount("scripted", "chat", "main", ABANDONED, 1),)
    assert metrics.snapshot().active == {"scripted": 0}


async def test_an_error_of_the_reader_is_not_counted_for_the_engine():
    metrics = Metrics()
    engine = MeteredEngine(ScriptedEngine(), metrics)

    async def read_and_fail() -> None:
        async with engine.stream(ask()) as events:
            assert [event async for event in events]
            raise EngineBusyError("mine")

    with pytest.raises(EngineBusyError, match="mine"):
        await read_and_fail()
    assert metrics.snapshot().errors == ()


async def test_embeddings_are_counted_too():
    metrics, inner = Metrics(), FlakyEngine("ollama")
    engine = MeteredEngine(inner, metrics)
    await engine.embed(["a", "b"])
    inner.up = False
    with pytest.raises(Exception, match="nothing listens"):
        await engine.embed(["c"])
    snapshot = metrics.snapshot()
    assert snapshot.embedded == {"ollama": 2}
    assert [timed.what for timed in snapshot.timings] == ["embed"]
    assert snapshot.errors == (ErrorCount("ollama", "embed", "", "engine_unavailable", 1),)


async def test_names_callers_choose_cannot_fill_the_memory():
    metrics = Metrics()
    engine = MeteredEngine(ScriptedEngine(), metrics)
    for number in range(NAMES + 20):
        await engine.complete(ask(tags=Tags("chat", "main", "default", f"agent {number}")))
    asked = {asked.agent: asked.requests for asked in metrics.snapshot().requests}
    assert len(asked) == NAMES + 1
    assert asked["other"] == 20


async def test_a_snapshot_is_rendered_as_prometheus_reads_it():
    metrics = Metrics({"main": 2.0})
    engine = MeteredEngine(ScriptedEngine(["fine", EngineBusyError("full")]), metrics)
    await engine.complete(ask(agent='a "quoted"\nname\\'))
    with pytest.raises(EngineBusyError):
        await engine.complete(ask())
    metrics.waited("scripted", Tags("chat", "main"), 0.7)
    text = render(metrics.snapshot())
    assert (
        'local_llm_agent_requests_total{engine="scripted",tool="chat",tier="main",project="default",'
        'agent="a \\"quoted\\"\\nname\\\\"} 1\n'
    ) in text
    assert 'errors_total{engine="scripted",tool="chat",tier="main",code="engine_busy"} 1\n' in text
    assert 'wait_seconds_bucket{engine="scripted",tool="chat",tier="main",le="0.5"} 0\n' in text
    assert 'wait_seconds_bucket{engine="scripted",tool="chat",tier="main",le="1"} 1\n' in text
    assert 'wait_seconds_bucket{engine="scripted",tool="chat",tier="main",le="+Inf"} 1\n' in text
    assert 'wait_seconds_sum{engine="scripted",tool="chat",tier="main"} 0.7\n' in text
    assert 'tier_within_target_ratio{tier="main"} 0.5\n' in text
    assert 'tier_latency_seconds{tier="main",quantile="0.95"}' in text


SAMPLE = re.compile(r'local_llm_agent_\w+\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\} [0-9.e+-]+')


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_no_name_breaks_the_exposition(names: list[str]):
    metrics = Metrics({"main": 2.0})
    for name in names:
        metrics.started("scripted", Tags("chat", "main", name, name))
        metrics.failed("scripted", Tags(name, name), name, missed=True)
    for line in render(metrics.snapshot()).rstrip("\n").split("\n"):
        assert line.startswith("#") or SAMPLE.fullmatch(line), line
