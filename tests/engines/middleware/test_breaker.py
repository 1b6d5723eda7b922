import logging

import anyio
import pytest

from engines.backends.scripted.engine import Reply, ScriptedEngine
from engines.base import TextDelta, collect
from engines.errors import (
    AgentError,
    EngineBusyError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    ModelNotPulledError,
    RequestRefusedError,
)
from engines.middleware.breaker import BreakerEngine
from tests.engines.middleware.fakes import Clock, FlakyEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]

GONE = EngineUnavailableError("connection refused", hint="start it")


async def fail(engine: BreakerEngine, times: int = 1) -> AgentError:
    for _ in range(times - 1):
        await fail(engine)
    with pytest.raises(AgentError) as error:
        await engine.complete(ask())
    return error.value


async def test_after_three_failures_it_fails_at_once_without_asking():
    inner = FlakyEngine("ollama", up=False)
    engine = BreakerEngine(inner, clock=Clock())
    await fail(engine, 3)
    inner.up = True
    error = await fail(engine)
    assert not inner.requests
    assert isinstance(error, EngineUnavailableError)
    assert "nothing listens at ollama" in error.message
    assert (error.hint, error.retry_after) == ("start ollama", 1.0)
    with pytest.raises(EngineUnavailableError, match="3 times in a row"):
        await engine.embed(["text"])


async def test_one_success_between_failures_keeps_it_closed():
    engine = BreakerEngine(ScriptedEngine([GONE, GONE, "fine", GONE, GONE, "fine"]))
    await fail(engine, 2)
    await engine.complete(ask())
    await fail(engine, 2)
    assert (await engine.complete(ask())).text == "fine"


async def test_one_request_finds_out_whether_it_is_back_and_its_success_closes():
    clock, inner = Clock(), FlakyEngine("ollama", up=False)
    engine = BreakerEngine(inner, clock=clock)
    await fail(engine, 3)
    inner.up = True
    clock.now += 1
    async with engine.stream(ask("the probe")):
        assert (await fail(engine)).retry_after == 1.0
    clock.now += 1
    for _ in range(3):
        await engine.complete(ask())


async def test_each_failed_probe_doubles_the_time_up_to_the_longest():
    clock = Clock()
    engine = BreakerEngine(FlakyEngine("ollama", up=False), clock=clock)
    await fail(engine, 3)
    pauses: list[float | None] = []
    for _ in range(8):
        error = await fail(engine)
        pauses.append(error.retry_after)
        clock.now += error.retry_after or 0
        await fail(engine)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_requests_that_were_under_way_when_it_opened_do_not_lengthen_the_pause():
    clock = Clock()
    replies: list[Reply] = [[TextDelta("a"), EngineInterruptedError("died")] for _ in range(6)]
    engine = BreakerEngine(ScriptedEngine(replies), clock=clock)

    async def interrupted() -> None:
        with pytest.raises(EngineInterruptedError):
            await engine.complete(ask())

    async with anyio.create_task_group() as tasks:
        for _ in replies:
            tasks.start_soon(interrupted)
    assert (await fail(engine)).retry_after == 1.0


@pytest.mark.parametrize(
    "reply",
    [
        RequestRefusedError("bad schema"),
        EngineBusyError("full"),
        ModelNotPulledError("no weights"),
    ],
)
async def test_other_errors_than_unavailability_never_open_it(reply: Reply):
    inner = ScriptedEngine([reply] * 5)
    engine = BreakerEngine(inner)
    await fail(engine, 5)
    assert len(inner.requests) == 5


async def test_timeouts_of_streams_that_had_begun_never_open_it():
    inner = ScriptedEngine([[TextDelta("slow"), EngineTimeoutError("too slow")]] * 5)
    engine = BreakerEngine(inner)
    for _ in range(5):
        with pytest.raises(EngineTimeoutError):
            async with engine.stream(ask()) as events:
                await collect(events)
    assert len(inner.requests) == 5


@pytest.mark.parametrize(
    "reply",
    [
        EngineTimeoutError("nothing before the deadline"),
        [EngineTimeoutError("nothing before the deadline")],
        [TextDelta("half"), EngineInterruptedError("died")],
    ],
)
async def test_timeouts_and_broken_answers_open_it(reply: Reply):
    inner = ScriptedEngine([reply] * 5)
    await fail(BreakerEngine(inner), 5)
    assert len(inner.requests) == 3


async def test_failed_embedding_opens_it_too():
    inner = FlakyEngine("ollama", up=False)
    engine = BreakerEngine(inner)
    for _ in range(3):
        with pytest.raises(EngineUnavailableError, match="nothing listens"):
            await engine.embed(["text"])
    assert (await fail(engine)).retry_after == 1.0


async def test_opening_and_closing_are_one_line_each_in_the_log(caplog: pytest.LogCaptureFixture):
    clock, inner = Clock(), FlakyEngine("ollama", up=False)
    engine = BreakerEngine(inner, clock=clock)
    with caplog.at_level(logging.WARNING):
        await fail(engine, 5)
        inner.up = True
        clock.now += 1
        await engine.embed(["text"])
        await engine.complete(ask())
    assert [record.getMessage() for record in caplog.records] == [
        "ollama failed 3 times in a row: nothing listens at ollama",
        "ollama answers again",
    ]
