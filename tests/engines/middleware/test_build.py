import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from engines.backends.scripted.engine import Reply, ScriptedEngine
from engines.base import Engine, Request, TextDelta
from engines.errors import AgentError, EngineBusyError, EngineInterruptedError
from engines.middleware.admission import AdmittedEngine
from engines.middleware.breaker import BreakerEngine
from engines.middleware.build import Backends, Engines, Folders, build_engines, with_middleware
from engines.middleware.cache import CachedEngine
from engines.middleware.failover import FailoverEngine
from engines.middleware.metrics import MeteredEngine, Metrics
from engines.middleware.slots import SharedSlots, Slots, open_slots
from engines.middleware.wrapper import WrapperEngine
from engines.settings import EngineName, Limits, LlamaCppSettings, OllamaSettings, TierSettings, VllmSettings
from engines.storage.store import Store
from tests.engines.middleware.fakes import FlakyEngine, ask

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]


def folders(folder: Path) -> Folders:
    return Folders(folder / "cache", folder / "runtime", folder / "models")


def build(
    folder: Path, engine: EngineName, *, main: EngineName | None = None, use_cache: bool = True
) -> Engines:
    return build_engines(
        engine=engine,
        tiers={
            "small": TierSettings(max_tokens=512, context=4096, target_ms=500),
            "main": TierSettings(max_tokens=2048, context=16384, target_ms=2000, engine=main),
        },
        ollama=OllamaSettings(),
        vllm=VllmSettings(),
        llamacpp=LlamaCppSettings(),
        limits=Limits(),
        folders=folders(folder),
        use_cache=use_cache,
    )


async def test_tiers_that_name_no_engine_share_one_and_it_answers(tmp_path: Path):
    engines = build(tmp_path, "scripted")
    async with engines:
        assert engines.of("small") is engines.of("main") is engines.each["scripted"]
        assert not (await engines.of("small").complete(ask())).done.cached
        assert (await engines.of("main").complete(ask())).done.cached
        (asked,) = engines.metrics.snapshot().requests
        assert (asked.requests, asked.cached) == (2, 1)
        assert [tier.target_s for tier in engines.metrics.snapshot().tiers] == [0.5, 2.0]


async def test_without_the_cache_everything_is_asked_and_no_file_is_made(tmp_path: Path):
    async with build(tmp_path, "scripted", use_cache=False) as engines:
        for _ in range(2):
            assert not (await engines.of("main").complete(ask())).done.cached
    assert not (tmp_path / "cache").exists()


def test_the_middleware_is_metrics_around_cache_around_admission_around_breaker(tmp_path: Path):
    engine = with_middleware(FlakyEngine("ollama"), Slots(4), Limits(), Metrics(), Store(tmp_path))
    layers: list[type] = []
    while isinstance(engine, WrapperEngine):
        layers.append(type(engine))
        engine = engine.inner
    assert layers == [MeteredEngine, CachedEngine, AdmittedEngine, BreakerEngine]


def test_auto_is_vllm_then_ollama_then_the_embedded_engine_each_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    built: list[str] = []

    def fake(_: Backends, name: EngineName) -> FlakyEngine:
        built.append(name)
        return FlakyEngine(name)

    monkeypatch.setattr(Backends, "build", fake)
    engines = build(tmp_path, "auto", main="ollama")
    assert built == ["vllm", "ollama", "llamacpp"]
    assert isinstance(engines.of("small"), FailoverEngine)
    assert engines.of("main") is engines.each["ollama"]
    assert list(engines.each) == built


async def test_auto_answers_by_the_engine_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Backends, "build", lambda _, name: FlakyEngine(name, up=name == "llamacpp"))  # type: ignore[reportUnknownLambdaType]
    async with build(tmp_path, "auto") as engines:
        assert (await engines.of("small").complete(ask())).done.engine == "llamacpp"


@pytest.mark.parametrize("name", ["ollama", "vllm", "llamacpp", "openai", "scripted"])
def test_every_engine_can_be_built_by_its_name(tmp_path: Path, name: EngineName):
    pytest.importorskip(f"engines.backends.{name}")
    assert build(tmp_path, name).of("main").name == name


async def test_servers_at_different_addresses_have_separate_slots(tmp_path: Path):
    for url in ("http://127.0.0.1:11434", "http://gpu:11434", "http://gpu:11434"):
        backends = Backends(
            {}, OllamaSettings(url=url), VllmSettings(), LlamaCppSettings(), folders(tmp_path)
        )
        with backends.slots("ollama", 2):
            pass
    assert len(list((tmp_path / "runtime" / "places").iterdir())) == 2


async def test_requests_to_the_embedded_engine_share_its_context(tmp_path: Path):
    llamacpp = LlamaCppSettings(context=2048)
    backends = Backends({}, OllamaSettings(), VllmSettings(), llamacpp, folders(tmp_path))
    with backends.slots("llamacpp", 2) as slots:
        assert slots.pool == 2048


@pytest.mark.parametrize("seed", range(5))
async def test_all_slots_are_free_after_any_mix_of_errors_deadlines_and_cancellations(
    tmp_path: Path, seed: int
):
    """Random with a fixed seed: interleavings vary, the invariants hold."""
    chance, metrics = random.Random(seed), Metrics({"small": 0.5, "main": 2.0})

    def reply(request: Request) -> Reply:
        broken = [TextDelta("half"), EngineInterruptedError("died")]
        return chance.choice(["a whole answer", broken, EngineBusyError("full"), "another one"])

    async def call(engine: Engine, number: int) -> None:
        request = ask(str(number), tier=chance.choice(["small", "main"]), agent=f"agent {number % 3}")
        allowed = chance.choice([0.001, 0.01, 1.0])
        with anyio.move_on_after(chance.choice([0.002, 0.02, 5.0])), suppress(AgentError):
            await engine.complete(replace(request, deadline=anyio.current_time() + allowed))

    inner = ScriptedEngine(reply, pace=0.0005)
    async with Store(tmp_path / "cache") as store:
        stack = with_middleware(inner, open_slots(3, tmp_path / "places"), Limits(queue=20), metrics, store)
        async with stack, anyio.create_task_group() as tasks:
            auto = FailoverEngine([stack])
            with anyio.fail_after(20):
                for number in range(100):
                    tasks.start_soon(call, auto, number)
                    await anyio.lowlevel.checkpoint()
    snapshot = metrics.snapshot()
    assert inner.active == 0
    assert snapshot.active == {"scripted": 0}
    answered = sum(sum(t.histogram.counts) for t in snapshot.timings if t.what == "request")
    assert answered + sum(f.count for f in snapshot.errors) == sum(a.requests for a in snapshot.requests)
    with SharedSlots(3, tmp_path / "places") as slots:
        assert {slots.acquire(0, common=True, reserved=True) for _ in range(3)} == {0, 1, 2}


def test_a_backend_that_is_not_asked_for_is_not_imported():
    program = (
        "import sys, engines.middleware.build\n"
        "heavy = ('aiohttp', 'ollama', 'numpy', 'httpx')\n"
        "print([name for name in sys.modules if 'backends.' in name or name in heavy])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=True)
    assert done.stdout == "[]\n"
