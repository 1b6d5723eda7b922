"""The composition root: settings become engines, engines a router, a router a dispatcher."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from engines.base import Model, Profile
from engines.errors import AgentError
from engines.middleware.build import Engines, build_engines
from engines.middleware.build import Folders as EngineFolders
from engines.routing import Router, Tier
from engines.tokens import LazyEstimator
from mcp_server.settings import Folders, Settings
from tools.ledger.store import Ledger
from tools.pipeline.dispatch import Dispatcher, unrecorded


@dataclass(frozen=True, slots=True)
class App:
    """What the doors and the command line share."""

    settings: Settings
    engines: Engines
    router: Router
    dispatcher: Dispatcher
    ledger: Ledger | None
    """What calls cost and saved, unless the settings want none."""

    @property
    def targets(self) -> dict[str, int]:
        """Milliseconds a call of each tier should take."""
        return {name: tier.target_ms for name, tier in self.settings.tiers.items()}


class _Together:
    """All engines, as the dispatcher and the doors see them."""

    def __init__(self, engines: Engines, tiers: Sequence[Tier]) -> None:
        self._engines = engines
        self._tiers = tiers

    async def models(self) -> Sequence[Model]:
        """What every engine that answers offers; one that does not is left out."""
        found: list[Model] = []
        for engine in self._engines.each.values():
            try:
                found += await engine.models()
            except AgentError:
                continue
        return found

    async def ready(self) -> Profile:
        first = self._tiers[0]
        engine = self._engines.of(first.name)
        await engine.check()
        return await engine.profile(first.model)


def tiers_of(settings: Settings) -> list[Tier]:
    return [
        Tier(name, tier.max_tokens, tier.context, tier.target_ms, tier.model, tier.effort)
        for name, tier in settings.tiers.items()
    ]


@asynccontextmanager
async def build(settings: Settings, folders: Folders) -> AsyncGenerator[App]:
    """Everything, opened; closed on leaving."""
    tiers = tiers_of(settings)
    estimator = LazyEstimator(folders.cache / "tokens")
    engines = build_engines(
        engine=settings.engine,
        tiers=settings.tiers,
        ollama=settings.ollama,
        vllm=settings.vllm,
        llamacpp=settings.llamacpp,
        limits=settings.limits,
        folders=EngineFolders(folders.cache, folders.runtime, folders.models),
        use_cache=settings.cache,
    )
    ledger = open_ledger(settings, folders) if settings.ledger.enabled else None
    async with ledger or nullcontext(), engines:
        router = Router(tiers, engines.of)
        dispatcher = Dispatcher(
            router,
            _Together(engines, tiers),
            estimator,
            deadline_s=settings.limits.deadline_s,
            record=ledger.record if ledger else unrecorded,
        )
        yield App(settings, engines, router, dispatcher, ledger)


def open_ledger(settings: Settings, folders: Folders) -> Ledger:
    """The user's ledger, to be entered."""
    return Ledger(folders.data, days=settings.ledger.days, rows=settings.ledger.rows)
