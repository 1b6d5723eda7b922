"""The engines as the settings want them, each in its stack. Nothing else names a concrete engine.

A backend, and the client library it needs, is imported when it is built.
"""

import math
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from engines.base import Engine
from engines.settings import (
    EngineName,
    Limits,
    LlamaCppSettings,
    OllamaSettings,
    TierSettings,
    VllmSettings,
)
from engines.stack.admission import AdmittedEngine
from engines.stack.failover import FailoverEngine
from engines.stack.places import open_places

AUTO: tuple[EngineName, ...] = ("vllm", "ollama", "llamacpp")
"""Whom ``auto`` asks, in this order."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where engines keep what outlives a call; each belongs to the user alone."""

    cache: Path
    """Answers given before."""
    runtime: Path
    """What the user's processes share while they run: places, the embedded engine's address."""
    models: Path
    """The embedded engine's weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything an engine can be built from."""

    tiers: Mapping[str, TierSettings]
    ollama: OllamaSettings
    vllm: VllmSettings
    llamacpp: LlamaCppSettings
    limits: Limits
    folders: Folders
    use_cache: bool

    def backend(self, name: EngineName) -> Engine:
        match name:
            case "ollama":
                from engines.backends.ollama import OllamaEngine

                return OllamaEngine(self.ollama, context=max(tier.context for tier in self.tiers.values()))
            case "vllm":
                from engines.backends.vllm import VllmEngine

                return VllmEngine(self.vllm)
            case "llamacpp":
                from engines.backends.llamacpp import LlamaCppEngine

                folders = self.folders
                return LlamaCppEngine(
                    self.llamacpp, models_folder=folders.models, runtime_folder=folders.runtime
                )
            case "scripted":
                from engines.backends.scripted import ScriptedEngine

                return ScriptedEngine()
            case "auto":
                raise ValueError("auto is several engines")
            case _:
                assert_never(name)

    def stack(self, name: EngineName) -> Engine:
        pool = self.llamacpp.context if name == "llamacpp" else math.inf
        places = open_places(self.limits.concurrency, self.folders.runtime / "places" / name, pool=pool)
        return AdmittedEngine(self.backend(name), places, queue=self.limits.queue)


class Engines:
    """The engine of each tier; opened with ``async with``, each distinct one once."""

    def __init__(self, tiers: Mapping[str, Engine], stacks: Mapping[str, Engine]) -> None:
        self._tiers = dict(tiers)
        self._stacks = dict(stacks)
        self._open = AsyncExitStack()

    def of(self, tier: str) -> Engine:
        return self._tiers[tier]

    @property
    def each(self) -> Mapping[str, Engine]:
        """Every distinct engine by its name, the members of ``auto`` one by one."""
        return self._stacks

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for engine in self._stacks.values():
                await stack.enter_async_context(engine)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.__aexit__(kind, error, traceback)


def build_engines(
    *,
    engine: EngineName,
    tiers: Mapping[str, TierSettings],
    ollama: OllamaSettings,
    vllm: VllmSettings,
    llamacpp: LlamaCppSettings,
    limits: Limits,
    folders: Folders,
    use_cache: bool = True,
) -> Engines:
    """``engine`` serves the tiers that name none of their own."""
    parts = Parts(
        tiers=tiers,
        ollama=ollama,
        vllm=vllm,
        llamacpp=llamacpp,
        limits=limits,
        folders=folders,
        use_cache=use_cache,
    )
    chosen: dict[str, EngineName] = {name: tier.engine or engine for name, tier in tiers.items()}
    members = AUTO if "auto" in chosen.values() else ()
    stacks: dict[str, Engine] = {}
    for name in dict.fromkeys((*members, *chosen.values())):
        if name != "auto":
            stacks[name] = parts.stack(name)
    engines = dict(stacks)
    if members:
        models = {tiers[tier].model for tier, name in chosen.items() if name == "auto"}
        engines["auto"] = FailoverEngine([stacks[name] for name in members], names=models)
    return Engines({tier: engines[name] for tier, name in chosen.items()}, stacks)
