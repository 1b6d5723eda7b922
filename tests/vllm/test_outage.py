from pathlib import Path

import anyio
import pytest

from engines.base import Engine, Request
from engines.errors import EngineInterruptedError, EngineUnavailableError
from tests.vllm import server
from tests.vllm.asking import ask, style
from tests.vllm.conftest import engine_at
from tests.vllm.server import Server

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]


async def test_a_server_killed_in_the_middle_of_an_answer_is_a_retryable_error_well_before_the_deadline(
    weights: Path, logs: Path
):
    with server.vllm(weights, logs / "killed.log", lora=False) as victim, anyio.fail_after(60):
        async with engine_at(victim) as engine:
            deadline = anyio.current_time() + 50
            with pytest.raises(EngineInterruptedError) as caught:
                await killed_while_answering(engine, victim, ask(max_tokens=2000, deadline=deadline))
            assert caught.value.retryable
            assert anyio.current_time() < deadline - 20
            with pytest.raises(EngineUnavailableError):
                await engine.complete(ask())
            with pytest.raises(EngineUnavailableError):
                await engine.check()


async def killed_while_answering(engine: Engine, victim: Server, request: Request) -> None:
    async with engine.stream(request) as events:
        await anext(events)
        victim.kill()
        async for _ in events:
            pass


async def test_two_servers_behind_the_router_share_the_work_and_one_of_them_may_die(
    weights: Path, logs: Path
):
    modules = ["--lora-modules", *(f"{name}={weights / name}" for name in ("alpha", "beta"))]
    with (
        server.vllm(weights, logs / "first.log", *modules, settings={}) as first,
        server.vllm(weights, logs / "second.log", *modules, settings={}) as second,
        server.router(logs / "router.log", first, second) as balancer,
        anyio.fail_after(120),
    ):
        async with engine_at(balancer) as engine:
            for adapter in ("alpha", "beta", "alpha", "beta"):
                assert style((await engine.complete(ask(adapter=adapter))).text) == adapter
            for worker in (first, second):
                assert 'POST /v1/chat/completions HTTP/1.1" 200' in worker.log.read_text()
            second.kill()
            for adapter in ("alpha", "beta", "alpha", "beta"):
                assert style((await engine.complete(ask(adapter=adapter))).text) == adapter
