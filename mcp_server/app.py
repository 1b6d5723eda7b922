"""The composition root: builds engines, router, dispatcher and ledger from settings.

The tools are imported when an app is built: commands that call none start faster without them.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engines.base import Engine, Model, Profile
from engines.errors import AgentError
from engines.middleware.build import Engines, build_engines
from engines.middleware.build import Folders as EngineFolders
from engines.routing import Router, Tier
from engines.tokens import LazyEstimator
from mcp_server.folders import Folders
from mcp_server.settings import Settings

if TYPE_CHECKING:
    from tools.ledger.store import Ledger
    from tools.pipeline.dispatch import Dispatcher


@dataclass(frozen=True, slots=True)
class App:
    """The objects that the transports and the command line share."""

    settings: Settings
    engines: Engines
    router: Router
    dispatcher: "Dispatcher"
    ledger: "Ledger | None"
    """Cost and savings of calls; ``None`` if the settings disable it."""

    @property
    def targets(self) -> dict[str, int]:
        """Target latency of each tier in milliseconds."""
        return {name: tier.target_ms for name, tier in self.settings.tiers.items()}


class _AllEngines:
    """The models of all engines, and whether the first tier's engine is ready."""

    def __init__(self, engines: Engines, tiers: Sequence[Tier]) -> None:
        self._engines = engines
        self._tiers = tiers

    async def models(self) -> Sequence[Model]:
        """Returns the models of every engine that answers; skips engines that fail."""
        found: list[Model] = []
        for engine in self._engines.each.values():
            with suppress(AgentError):
                found += [await _with_context(engine, model) for model in await engine.models()]
                profile = await engine.profile()
                if profile.embedding_model:
                    found.append(Model(profile.embedding_model, profile.engine, kind="embedding"))
        return found

    async def ready(self) -> Profile:
        """Returns the profile of the first tier's model.

        Raises:
            AgentError: its engine does not answer.
        """
        first = self._tiers[0]
        engine = self._engines.of(first.name)
        await engine.check()
        return await engine.profile(first.model)


async def _with_context(engine: Engine, model: Model) -> Model:
    with suppress(AgentError):
        profile = await engine.profile(model.base or model.name)
        return replace(model, context=profile.capabilities.max_context)
    return model


def tiers_of(settings: Settings) -> list[Tier]:
    """Returns the configured tiers in order."""
    return [
        Tier(name, tier.max_tokens, tier.context, tier.target_ms, tier.model, tier.effort)
        for name, tier in settings.tiers.items()
    ]


def engines_of(settings: Settings, folders: Folders) -> Engines:
    """Returns the configured engines, not yet entered."""
    return build_engines(
        engine=settings.engine,
        tiers=settings.tiers,
        ollama=settings.ollama,
        vllm=settings.vllm,
        llamacpp=settings.llamacpp,
        limits=settings.limits,
        folders=EngineFolders(folders.cache, folders.runtime, folders.models),
        openai=settings.openai,
        total_gib=settings.vram.total_gib,
        use_cache=settings.cache,
    )


@asynccontextmanager
async def build(settings: Settings, folders: Folders) -> AsyncGenerator[App]:
    """Opens engines and ledger, yields the app, and closes them on exit."""
    from tools.pipeline.dispatch import Dispatcher, unrecorded
    from tools.pipeline.results import ResultFiles

    tiers = tiers_of(settings)
    estimator = LazyEstimator(folders.cache / "tokens")
    engines = engines_of(settings, folders)
    ledger = open_ledger(settings, folders) if settings.ledger.enabled else None
    async with ledger or nullcontext(), engines:
        router = Router(tiers, engines.of)
        dispatcher = Dispatcher(
            router,
            _AllEngines(engines, tiers),
            estimator,
            deadline_s=settings.limits.deadline_s,
            record=ledger.record if ledger else unrecorded,
            calibrations=folders.calibrations,
            results=ResultFiles(folders.results),
        )
        yield App(settings, engines, router, dispatcher, ledger)


def open_ledger(settings: Settings, folders: Folders) -> "Ledger":
    """Returns the user's ledger, not yet entered."""
    from tools.ledger.store import Ledger

    return Ledger(folders.data, days=settings.ledger.days, rows=settings.ledger.rows)
