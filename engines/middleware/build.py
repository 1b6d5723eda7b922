"""Builds the configured engines, each in its middleware. No other module names a concrete engine.

A backend and its client library are imported when it is built.
"""

import hashlib
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, assert_never

from anyio import AsyncContextManagerMixin

from engines.base import Engine
from engines.middleware.admission import AdmittedEngine
from engines.middleware.breaker import BreakerEngine
from engines.middleware.cache import CachedEngine
from engines.middleware.failover import FailoverEngine
from engines.middleware.metrics import MeteredEngine, Metrics
from engines.middleware.slots import Slots, open_slots
from engines.settings import (
    EngineName,
    Limits,
    LlamaCppSettings,
    OllamaSettings,
    OpenAiSettings,
    TierSettings,
    VllmSettings,
)
from engines.storage.store import Store

AUTO: tuple[EngineName, ...] = ("vllm", "ollama", "llamacpp")
"""The engines ``auto`` tries, in this order."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders for engine data that outlives a call; only the user can access them."""

    cache: Path
    """The response cache."""
    runtime: Path
    """Shared by the user's running processes: slots, the embedded engine's address."""
    models: Path
    """The embedded engine's model files."""


class Engines(AsyncContextManagerMixin):
    """The engine of each tier. ``async with`` opens each distinct engine once."""

    def __init__(
        self,
        tiers: Mapping[str, Engine],
        each: Mapping[str, Engine],
        metrics: Metrics,
        shared: Sequence[AbstractAsyncContextManager[object]] = (),
    ) -> None:
        self.each = dict(each)
        """Every engine by its name, including the members of ``auto``."""
        self.metrics = metrics
        self._tiers = dict(tiers)
        self._shared = tuple(shared)

    def of(self, tier: str) -> Engine:
        """Returns the engine of ``tier``, a name in the settings."""
        return self._tiers[tier]

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with AsyncExitStack() as stack:
            for resource in (*self._shared, *self.each.values()):
                await stack.enter_async_context(resource)
            yield self


@dataclass(frozen=True, slots=True)
class Backends:
    """Builds engines and their slots from the settings."""

    tiers: Mapping[str, TierSettings]
    ollama: OllamaSettings
    vllm: VllmSettings
    llamacpp: LlamaCppSettings
    folders: Folders
    openai: OpenAiSettings = field(default_factory=OpenAiSettings)
    total_gib: float = math.inf
    """Memory for models of Ollama that are not named."""

    def build(self, name: EngineName) -> Engine:
        match name:
            case "ollama":
                from engines.backends.ollama.engine import OllamaEngine

                context = max(tier.context for tier in self.tiers.values())
                return OllamaEngine(self.ollama, context=context, total_gib=self.total_gib)
            case "vllm":
                from engines.backends.vllm.engine import VllmEngine

                return VllmEngine(self.vllm)
            case "openai":
                from engines.backends.openai.engine import OpenAiEngine

                return OpenAiEngine(self.openai)
            case "llamacpp":
                from engines.backends.llamacpp.engine import LlamaCppEngine

                models, runtime = self.folders.models, self.folders.runtime
                return LlamaCppEngine(self.llamacpp, models_folder=models, runtime_folder=runtime)
            case "scripted":
                from engines.backends.scripted.engine import ScriptedEngine

                return ScriptedEngine()
            case "auto":
                raise ValueError("auto is several engines")
            case _:
                assert_never(name)

    def slots(self, name: EngineName, count: int) -> AbstractContextManager[Slots]:
        """Returns the slots of the server at the engine's address; the embedded engine's share a pool."""
        addresses = {"ollama": self.ollama.url, "vllm": self.vllm.url, "openai": self.openai.url}
        address = addresses.get(name, "")
        digest = hashlib.blake2b(address.encode(), digest_size=4).hexdigest()
        folder = self.folders.runtime / "places" / f"{name}-{digest}"
        return open_slots(count, folder, pool=self.llamacpp.context if name == "llamacpp" else math.inf)


def build_engines(
    *,
    engine: EngineName,
    tiers: Mapping[str, TierSettings],
    ollama: OllamaSettings,
    vllm: VllmSettings,
    llamacpp: LlamaCppSettings,
    limits: Limits,
    folders: Folders,
    openai: OpenAiSettings | None = None,
    total_gib: float = math.inf,
    use_cache: bool = True,
) -> Engines:
    """Builds the engines of all tiers; ``engine`` serves tiers that name none."""
    backends = Backends(tiers, ollama, vllm, llamacpp, folders, openai or OpenAiSettings(), total_gib)
    metrics = Metrics({name: tier.target_ms / 1000 for name, tier in tiers.items()})
    store = Store(folders.cache) if use_cache else None
    chosen: dict[str, EngineName] = {name: tier.engine or engine for name, tier in tiers.items()}
    members = AUTO if "auto" in chosen.values() else ()
    each: dict[str, Engine] = {
        name: with_middleware(
            backends.build(name), backends.slots(name, limits.concurrency), limits, metrics, store
        )
        for name in dict.fromkeys((*members, *chosen.values()))
        if name != "auto"
    }
    engines = dict(each)
    if members:
        models = {tiers[tier].model for tier, name in chosen.items() if name == "auto"}
        engines["auto"] = FailoverEngine([each[name] for name in members], names=models)
    by_tier = {tier: engines[name] for tier, name in chosen.items()}
    return Engines(by_tier, each, metrics, [store] if store else [])


def with_middleware(
    engine: Engine,
    slots: AbstractContextManager[Slots],
    limits: Limits,
    metrics: Metrics,
    store: Store | None = None,
) -> Engine:
    """Returns ``engine`` in its middleware; without ``store`` there is no response cache."""

    def admission(inner: Engine) -> Engine:
        waited = partial(metrics.waited, engine.name)
        return AdmittedEngine(inner, slots, queue=limits.queue, waited=waited)

    def cache(inner: Engine) -> Engine:
        return CachedEngine(inner, store) if store else inner

    return MeteredEngine(cache(admission(BreakerEngine(engine))), metrics)
