"""Loads LoRA adapters on a vLLM server on demand, and unloads the least recently used.

A server is shared: other processes, its start-up options and its plugins may load adapters too. So its
list is fetched before each load, and only adapters named in the settings are unloaded.
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

RETRY_S = 30.0
"""Time before an adapter that failed to load is tried again."""


class Adapters:
    """Loads the adapters of the settings. ``listed`` fetches the names of all adapters of the server."""

    def __init__(
        self,
        settings: VllmSettings,
        wire: Wire,
        url: str,
        listed: Callable[[float], Awaitable[Collection[str]]],
    ) -> None:
        self._paths: Mapping[str, str] = settings.adapters
        self._max_loaded = settings.max_loras
        self._key = settings.api_key
        self._wire = wire
        self._url = url
        self._listed = listed
        self._changing = anyio.Lock()
        self._busy: Counter[str] = Counter()
        self._used_at: dict[str, float] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    @contextmanager
    def using(self, name: str) -> Generator[None, None, None]:
        """Prevents unloading ``name`` during the body."""
        self._busy[name] += 1
        try:
            yield
        finally:
            self._busy[name] -= 1
            self._used_at[name] = anyio.current_time()

    async def load(self, name: str, deadline: float) -> None:
        """Loads the adapter ``name`` on the server.

        Raises:
            UnknownModelError: it cannot be loaded; the message contains the reason.
            EngineUnavailableError: the server does not answer.
            EngineTimeoutError: the deadline passed.
        """
        if name not in self._paths:
            raise UnknownModelError("the server does not know it, and [vllm.adapters] has no path for it")
        until, why = self._failed.get(name, (-math.inf, ""))
        if anyio.current_time() < until:
            raise UnknownModelError(why)
        try:
            with before(deadline, "an adapter to load"):
                async with self._changing:
                    await self._load(name, deadline)
        except (UnknownModelError, UnsupportedFeatureError, RequestRefusedError) as error:
            why = f"{error.message} ({error.hint})"
            self._failed[name] = (anyio.current_time() + RETRY_S, why)
            raise UnknownModelError(why) from error

    async def _load(self, name: str, deadline: float) -> None:
        listed = await self._listed(deadline)
        if name in listed:
            return
        idle = [old for old in listed if old in self._paths and not self._busy[old]]
        idle.sort(key=lambda old: self._used_at.get(old, -math.inf))
        surplus = sum(old in self._paths for old in listed) + 1 - self._max_loaded
        for old in idle[: max(surplus, 0)]:
            with suppress(UnknownModelError):  # another process was faster
                await self._post("unload", {"lora_name": old}, deadline)
        try:
            await self._post("load", {"lora_name": name, "lora_path": self._paths[name]}, deadline)
        except RequestRefusedError as error:
            if "already been loaded" not in error.message:  # another process was faster
                raise

    async def _post(self, what: str, body: dict[str, str], deadline: float) -> None:
        url = f"{self._url}/{what}_lora_adapter"
        try:
            await self._wire.post(url, {**body}, key=self._key, deadline=deadline)
        except UnknownModelError as error:
            if not error.message.endswith("Not Found"):
                raise
            raise UnsupportedFeatureError(
                "the server cannot load adapters at run time", hint=LORA_HINT
            ) from error
