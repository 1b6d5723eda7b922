"""Engine for vLLM's OpenAI server, or a router before several. vLLM itself is not imported.

An adapter is a model name there. A request uses that name first; if the server does not know it, the
adapter is loaded, and if that fails the base model answers, with a note.
"""

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import lru_cache
from typing import Self, cast

import anyio

from engines.backends.openai_json import readable
from engines.backends.openai_wire import Wire
from engines.backends.vllm.adapters import Adapters
from engines.backends.vllm.wire import Served, normalized, read_models, refine, request_body
from engines.base import (
    Capabilities,
    Done,
    Engine,
    Event,
    JsonObject,
    Model,
    Profile,
    Request,
    Usage,
)
from engines.errors import (
    AgentError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
)
from engines.settings import VllmSettings

LISTED_S = 30.0
"""How long the server's list of models is cached."""

ANSWERS_WITHIN_S = 10.0
"""Timeout of requests that need no model."""

PARALLEL = 128
"""vLLM's smallest default of ``--max-num-seqs`` (CPU); the server does not report its value."""

HINT = "start it with `vllm serve MODEL`, or set `url` in the settings' [vllm]"

NO_PRIORITY = "Priority scheduling is not enabled"
"""Error message of versions that reject an unsupported priority."""


class VllmEngine(Engine):
    """Engine for the server at ``settings.url``, which ends in ``/v1``."""

    name = "vllm"

    def __init__(self, settings: VllmSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._wire = Wire("vLLM", hint=HINT, refine=refine)
        self._adapters = Adapters(settings, self._wire, self._url, self._list)
        self._served: Mapping[str, Served] = {}
        self._list_again = -math.inf
        self._takes_priority = True

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self._wire:
            yield self

    async def profile(self, model: str = "") -> Profile:
        return _profile(await self._find(model))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        async with AsyncExitStack() as stack:
            try:
                answer = await self._begin(request, stack)
            except UnknownModelError:
                self._list_again = -math.inf  # the server may have been restarted with another model
                raise
            yield await stack.enter_async_context(aclosing(normalized(answer)))

    async def models(self) -> Sequence[Model]:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)
        served = [Model(each.name, self.name, each.base, loaded=True) for each in self._served.values()]
        base = next((each.name for each in self._served.values() if not each.base), "")
        loadable = [name for name in self._settings.adapters if name not in self._served]
        return [*served, *(Model(name, self.name, base) for name in loadable)]

    async def check(self) -> None:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        served = await self._find(model)
        deadline = anyio.current_time() + ANSWERS_WITHIN_S
        body: JsonObject = {"model": served.name, "prompt": text, "add_special_tokens": False}
        url = f"{self._url.removesuffix('/v1')}/tokenize"
        answer = await self._wire.ask(url, body, key=self._settings.api_key, deadline=deadline)
        with readable(answer):
            return cast("int", answer["count"])

    async def _begin(self, request: Request, stack: AsyncExitStack) -> AsyncIterator[Event]:
        """Opens the adapter's answer if it can be loaded, else the base model's."""
        served = await self._find(request.model, request.deadline)
        notes = ()
        if request.adapter is not None:
            try:
                return await self._adapted(request, served, request.adapter, stack)
            except UnknownModelError as error:
                notes = (f"no adapter {request.adapter!r}, used the base model: {error.message}",)
        return await self._chat(request, served, stack, notes=notes)

    async def _adapted(
        self, request: Request, served: Served, adapter: str, stack: AsyncExitStack
    ) -> AsyncIterator[Event]:
        stack.enter_context(self._adapters.using(adapter))
        try:
            return await self._chat(request, served, stack, adapter=adapter)
        except UnknownModelError:
            await self._adapters.load(adapter, request.deadline)
        return await self._chat(request, served, stack, adapter=adapter)

    async def _chat(
        self,
        request: Request,
        served: Served,
        stack: AsyncExitStack,
        *,
        adapter: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> AsyncIterator[Event]:
        body = request_body(request, served, adapter or served.name)
        if self._takes_priority:
            body["priority"] = 0 if request.tags.tier == "small" else 1
        done = Done("stop", Usage(), self.name, served.name, adapter, notes=notes)
        opening = self._wire.stream(
            f"{self._url}/chat/completions",
            body,
            done=done,
            key=self._settings.api_key,
            deadline=request.deadline,
        )
        try:
            return await stack.enter_async_context(opening)
        except RequestRefusedError as error:
            if not ("priority" in body and NO_PRIORITY in error.message):
                raise
        self._takes_priority = False
        return await self._chat(request, served, stack, adapter=adapter, notes=notes)

    async def _find(self, model: str, deadline: float = math.inf) -> Served:
        """Returns ``model``, or the default; refreshes the list for an unknown name."""
        wanted = model or self._settings.model
        if time.monotonic() > self._list_again or (wanted and wanted not in self._served):
            await self._list(min(deadline, anyio.current_time() + ANSWERS_WITHIN_S))
        found = self._served.get(wanted) if wanted else next(iter(self._served.values()), None)
        if found is None:
            names = ", ".join(name for name, served in self._served.items() if not served.base)
            raise UnknownModelError(f"vLLM does not serve {wanted!r}", hint=f"it serves {names}")
        return found

    async def _list(self, deadline: float) -> Sequence[str]:
        """Refreshes the list of models; returns the names of the adapters.

        Raises:
            EngineUnavailableError: nothing answers, or the answer is not vLLM's.
        """
        try:
            answer = await self._wire.ask(
                f"{self._url}/models", key=self._settings.api_key, deadline=deadline
            )
            served = read_models(answer)
        except AgentError as error:
            if error.retryable:
                raise
            raise EngineUnavailableError(f"no vLLM at {self._url}: {error.message}", hint=HINT) from error
        self._served = {each.name: each for each in served}
        self._list_again = time.monotonic() + LISTED_S
        return [each.name for each in served if each.base]


@lru_cache
def _profile(served: Served) -> Profile:
    return Profile(
        VllmEngine.name,
        served.name,
        Capabilities(
            json_schema=True,
            choice=True,
            logprobs=True,
            tokenize=True,
            lora=True,
            tools=True,
            max_context=served.context,
            parallel=PARALLEL,
        ),
        parameters=served.billions,
    )
