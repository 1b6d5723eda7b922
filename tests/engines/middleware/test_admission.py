from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Request, Tags
from engines.errors import AgentError, EngineBusyError, EngineUnavailableError, UnsupportedFeatureError
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import Slots
from tests.engines.middleware.fakes import GatedEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]


@asynccontextmanager
async def crowd(engine: AdmittedEngine, inner: GatedEngine, *requests: Request) -> AsyncGenerator[None]:
    """Keeps ``requests`` at the engine or in the queue, in this order, during the body."""
    async with anyio.create_task_group() as tasks:
        for request in requests:
            tasks.start_soon(engine.complete, request)
            await anyio.lowlevel.checkpoint()
        yield
        inner.gate.set()


async def test_no_more_requests_than_slots_are_at_the_engine():
    inner = GatedEngine()
    async with AdmittedEngine(inner, Slots(3)) as engine:
        async with crowd(engine, inner, *[ask(str(n), tier="small") for n in range(10)]):
            await inner.until_running(3)
            await anyio.wait_all_tasks_blocked()
            assert len(inner.running) == 3
        assert len(inner.requests) == 10


async def test_a_small_request_finds_a_slot_behind_running_main_ones():
    inner = GatedEngine()
    async with (
        AdmittedEngine(inner, Slots(4)) as engine,
        crowd(engine, inner, *[ask(str(n)) for n in range(6)], ask("small", tier="small")),
    ):
        await inner.until_running(4)
        assert [request.messages[0].content for request in inner.running] == ["0", "1", "2", "small"]


async def test_embedding_uses_the_slot_reserved_for_the_small_tier():
    inner = GatedEngine()
    async with (
        AdmittedEngine(inner, Slots(2)) as engine,
        crowd(engine, inner, ask("one"), ask("two")),
    ):
        with anyio.fail_after(5):
            assert (await engine.embed(["text"])).tokens == 1


async def test_a_full_queue_raises_busy_at_once_with_retry_after():
    inner = GatedEngine()
    async with (
        AdmittedEngine(inner, Slots(1), queue=2) as engine,
        crowd(engine, inner, ask("at the engine"), ask("first"), ask("second")),
    ):
        with pytest.raises(EngineBusyError, match="2 requests already wait") as refused:
            await engine.complete(ask("third"))
        assert refused.value.retry_after == 3.0


async def test_the_deadline_covers_the_queue_and_the_error_says_that_nothing_started():
    inner = GatedEngine()
    async with AdmittedEngine(inner, Slots(1)) as engine, crowd(engine, inner, ask("long")):
        with pytest.raises(EngineBusyError, match="never started") as late:
            await engine.complete(ask("late", deadline=anyio.current_time() + 0.01))
        assert late.value.retry_after
        with pytest.raises(EngineBusyError):
            await engine.embed(["text"], deadline=anyio.current_time() + 0.01)
        assert len(inner.requests) == 0
        assert [request.messages[0].content for request in inner.running] == ["long"]


async def test_a_request_cancelled_while_waiting_leaves_the_queue():
    inner = GatedEngine()
    async with (
        AdmittedEngine(inner, Slots(1), queue=1) as engine,
        crowd(engine, inner, ask("long")),
    ):
        with anyio.move_on_after(0.01) as gone:
            await engine.complete(ask("gone"))
        assert gone.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.complete, ask("takes the free seat in line"))
            await anyio.wait_all_tasks_blocked()
            inner.gate.set()
    assert [request.messages[0].content for request in inner.requests] == [
        "long",
        "takes the free seat in line",
    ]


async def test_a_request_cancelled_at_the_engine_frees_its_slot_for_the_next():
    inner = GatedEngine()
    async with AdmittedEngine(inner, Slots(1)) as engine, anyio.create_task_group() as tasks:
        leaving = anyio.CancelScope()

        async def leave() -> None:
            with leaving:
                await engine.complete(ask("leaves"))

        tasks.start_soon(leave)
        await inner.until_running(1)
        tasks.start_soon(engine.complete, ask("next"))
        await anyio.wait_all_tasks_blocked()
        leaving.cancel()
        inner.gate.set()
    assert [request.messages[0].content for request in inner.requests] == ["next"]


async def test_a_slot_granted_to_a_request_being_cancelled_is_not_lost():
    inner, leaving = ScriptedEngine(), anyio.CancelScope()

    async def leave(engine: AdmittedEngine) -> None:
        with leaving:
            await engine.complete(ask("leaves"))

    async with AdmittedEngine(inner, Slots(1)) as engine:
        async with anyio.create_task_group() as tasks:
            async with engine.stream(ask("holds the slot")):
                tasks.start_soon(leave, engine)
                await anyio.wait_all_tasks_blocked()
            leaving.cancel()  # the slot is granted, and no task has run since
        with anyio.fail_after(5):
            await engine.complete(ask("after"))
    assert inner.requests[-1] == ask("after")


async def test_a_failing_request_releases_its_slot():
    class Failing(GatedEngine):
        def stream(self, request: Request):  # type: ignore[override]
            raise EngineUnavailableError("gone")

    async with AdmittedEngine(Failing(), Slots(1)) as engine:
        for _ in range(3):
            with pytest.raises(AgentError, match="gone"), anyio.fail_after(5):
                await engine.complete(ask())


async def test_a_request_that_does_not_fit_the_token_pool_waits():
    inner = GatedEngine()
    async with (
        AdmittedEngine(inner, Slots(4, pool=200)) as engine,
        crowd(engine, inner, ask(max_tokens=120), ask("too much beside it", max_tokens=120)),
    ):
        await anyio.wait_all_tasks_blocked()
        assert len(inner.running) == 1
    assert len(inner.requests) == 2


async def test_a_long_prompt_weighs_the_tokens_that_the_engine_counts():
    inner = GatedEngine()
    logs = "0f3a9c " * 1_000  # the scripted engine's tokens are words
    async with (
        AdmittedEngine(inner, Slots(4, pool=2_500)) as engine,
        crowd(engine, inner, *[ask(f"{logs}{n}", max_tokens=100) for n in range(3)]),
    ):
        await inner.until_running(2)
        await anyio.wait_all_tasks_blocked()
        assert len(inner.running) == 2
    assert len(inner.requests) == 3


async def test_without_a_tokenizer_a_long_prompt_weighs_its_bytes():
    class Uncounted(GatedEngine):
        async def count_tokens(self, text: str, *, model: str = "") -> int:
            raise UnsupportedFeatureError("no tokenizer")

    inner = Uncounted()
    async with (
        AdmittedEngine(inner, Slots(4, pool=2_500)) as engine,
        crowd(engine, inner, *[ask(f"{n}" * 2_100, max_tokens=100) for n in range(2)]),
    ):
        await inner.until_running(1)
        await anyio.wait_all_tasks_blocked()
        assert len(inner.running) == 1
    assert len(inner.requests) == 2


async def test_the_waiting_time_of_every_request_is_reported():
    inner, waits = GatedEngine(), list[tuple[Tags, float]]()
    async with (
        AdmittedEngine(inner, Slots(1), waited=lambda tags, s: waits.append((tags, s))) as engine,
        crowd(engine, inner, ask(agent="first"), ask(agent="second")),
    ):
        await anyio.wait_all_tasks_blocked()
        assert [(tags.agent, seconds < 1) for tags, seconds in waits] == [("first", True)]
    assert [tags.agent for tags, _ in waits] == ["first", "second"]


async def test_an_error_of_the_body_is_raised_unchanged():
    with pytest.raises(KeyError, match="mine"):
        async with AdmittedEngine(GatedEngine(), FakeSharedSlots(2)):
            raise KeyError("mine")


async def test_a_slot_released_by_another_process_is_found_by_polling():
    inner, slots = GatedEngine(), FakeSharedSlots(1)
    inner.gate.set()
    slots.taken_elsewhere = True
    async with AdmittedEngine(inner, slots) as engine, anyio.create_task_group() as tasks:
        tasks.start_soon(engine.complete, ask())
        await anyio.wait_all_tasks_blocked()
        assert not inner.requests
        slots.taken_elsewhere = False


class FakeSharedSlots(Slots):
    shared = True
    taken_elsewhere = False

    def _lock(self, index: int) -> bool:
        return not self.taken_elsewhere
