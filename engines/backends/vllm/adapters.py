"""Adapters at a vLLM server: loaded when a request needs one, the least recently used out first.

A server is shared: other processes, its own start-up options and its plugins give it adapters too. So
its list, asked for before each load, is the truth, and of it only what the settings name is ever unloaded.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress

import anyio

from engines.backends.deadline import before
from engines.backends.openai_wire import Wire
from engines.backends.vllm.wire import LORA_HINT
from engines.errors import RequestRefusedError, UnknownModelError, UnsupportedFeatureError
from engines.settings import VllmSettings

GIVEN_UP_S = 30.0
"""An adapter that could not be had is not tried again for this long."""


class Adapters:
    """Those of the settings, and what became of them. ``listed`` asks the server for all it has."""

    def __init__(
        self,
        settings: VllmSettings,
        wire: Wire,
        url: str,
        listed: Callable[[float], Awaitable[Collection[str]]],
    ) -> None:
        self._paths: Mapping[str, str] = settings.adapters
        self._room = settings.max_loras
        self._key = settings.api_key
        self._wire = wire
        self._url = url
        self._listed = listed
        self._changing = anyio.Lock()
        self._busy: Counter[str] = Counter()
        self._used_at: dict[str, float] = {}
        self._given_up: dict[str, tuple[float, str]] = {}

    @contextmanager
    def using(self, name: str) -> Generator[None, None, None]:
        """Keep ``name`` from being unloaded for now."""
        self._busy[name] += 1
        try:
            yield
        finally:
            self._busy[name] -= 1
            self._used_at[name] = anyio.current_time()

    async def load(self, name: str, deadline: float) -> None:
        """Make the server know ``name``.

        Raises:
            UnknownModelError: it cannot be had; the message says why.
            EngineUnavailableError: the server does not answer.
            EngineTimeoutError: the deadline passed.
        """
        if name not in self._paths:
            raise UnknownModelError("the server does not know it, and [vllm.adapters] has no path for it")
        until, why = self._given_up.get(name, (-math.inf, ""))
        if anyio.current_time() < until:
            raise UnknownModelError(why)
        try:
            with before(deadline, "an adapter to load"):
                async with self._changing:
                    await self._load(name, deadline)
        except (UnknownModelError, UnsupportedFeatureError, RequestRefusedError) as error:
            why = f"{error.message} ({error.hint})"
            self._given_up[name] = (anyio.current_time() + GIVEN_UP_S, why)
            raise UnknownModelError(why) from error

    async def _load(self, name: str, deadline: float) -> None:
        listed = await self._listed(deadline)
        if name in listed:
            return
        idle = [old for old in listed if old in self._paths and not self._busy[old]]
        idle.sort(key=lambda old: self._used_at.get(old, -math.inf))
        surplus = sum(old in self._paths for old in listed) + 1 - self._room
        for old in idle[: max(surplus, 0)]:
            with suppress(UnknownModelError):  # another process was faster
                await self._tell("unload", {"lora_name": old}, deadline)
        try:
            await self._tell("load", {"lora_name": name, "lora_path": self._paths[name]}, deadline)
        except RequestRefusedError as error:
            if "already been loaded" not in error.message:  # another process was faster
                raise

    async def _tell(self, what: str, body: dict[str, str], deadline: float) -> None:
        url = f"{self._url}/{what}_lora_adapter"
        try:
            await self._wire.tell(url, {**body}, key=self._key, deadline=deadline)
        except UnknownModelError as error:
            if not error.message.endswith("Not Found"):
                raise
            raise UnsupportedFeatureError("the server loads no adapters", hint=LORA_HINT) from error
