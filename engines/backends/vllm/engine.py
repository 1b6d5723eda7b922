"""Engine for vLLM's OpenAI server, or a router before several. vLLM itself is not imported.

An adapter is a model name there. A request uses that name first; if the server does not know it, the
adapter is loaded, and if that fails the base model answers, with a note.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import cast

import anyio

from engines.backends.openai_engine import ANSWERS_WITHIN_S, OpenAiServerEngine, normalized
from engines.backends.openai_json import readable
from engines.backends.openai_models import DEFAULT_CONTEXT, Served
from engines.backends.vllm.adapters import Adapters
from engines.backends.vllm.wire import refine, request_body
from engines.base import Capabilities, Done, Event, JsonObject, Model, Profile, Request, Usage
from engines.errors import RequestRefusedError, UnknownModelError
from engines.settings import VllmSettings

PARALLEL = 128
"""vLLM's smallest default of ``--max-num-seqs`` (CPU); the server does not report its value."""

HINT = "start it with `vllm serve MODEL`, or set `url` in the settings' [vllm]"

NO_PRIORITY = "Priority scheduling is not enabled"
"""Error message of versions that reject an unsupported priority."""


class VllmEngine(OpenAiServerEngine):
    """Engine for the server at ``settings.url``, which ends in ``/v1``."""

    name = "vllm"
    title = "vLLM"
    hint = HINT

    def __init__(self, settings: VllmSettings) -> None:
        super().__init__(settings.url, model=settings.model, key=settings.api_key, refine=refine)
        self._settings = settings
        self._adapters = Adapters(settings, self._wire, self._url, self._list)
        self._takes_priority = True

    async def profile(self, model: str = "") -> Profile:
        return _profile(await self._find(model))

    async def models(self) -> Sequence[Model]:
        served = await super().models()
        base = next((each.name for each in self._served.values() if not each.base), "")
        loadable = [name for name in self._settings.adapters if name not in self._served]
        return [*served, *(Model(name, self.name, base) for name in loadable)]

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        served = await self._find(model)
        deadline = anyio.current_time() + ANSWERS_WITHIN_S
        body: JsonObject = {"model": served.name, "prompt": text, "add_special_tokens": False}
        url = f"{self._url.removesuffix('/v1')}/tokenize"
        answer = await self._wire.ask(url, body, key=self._settings.api_key, deadline=deadline)
        with readable(answer):
            return cast("int", answer["count"])

    async def _begin(
        self, request: Request, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncGenerator[Event, None]:
        """Opens the adapter's answer if it can be loaded, else the base model's."""
        served = await self._find(request.model, request.deadline)
        notes = ()
        if request.adapter is not None:
            try:
                return normalized(await self._adapted(request, served, request.adapter, stack, whole=whole))
            except UnknownModelError as error:
                notes = (f"no adapter {request.adapter!r}, used the base model: {error.message}",)
        return normalized(await self._asked(request, served, stack, notes=notes, whole=whole))

    async def _adapted(
        self, request: Request, served: Served, adapter: str, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncIterator[Event]:
        stack.enter_context(self._adapters.using(adapter))
        try:
            return await self._asked(request, served, stack, adapter=adapter, whole=whole)
        except UnknownModelError:
            await self._adapters.load(adapter, request.deadline)
        return await self._asked(request, served, stack, adapter=adapter, whole=whole)

    async def _asked(
        self,
        request: Request,
        served: Served,
        stack: AsyncExitStack,
        *,
        whole: bool,
        adapter: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> AsyncIterator[Event]:
        body = request_body(request, served, adapter or served.name)
        if self._takes_priority:
            body["priority"] = 0 if request.tags.tier == "small" else 1
        done = Done("stop", Usage(), self.name, served.name, adapter, notes=notes)
        try:
            return await self._chat(body, done, stack, request.deadline, whole=whole)
        except RequestRefusedError as error:
            if not ("priority" in body and NO_PRIORITY in error.message):
                raise
        self._takes_priority = False
        return await self._asked(request, served, stack, adapter=adapter, notes=notes, whole=whole)


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
            max_context=served.context or DEFAULT_CONTEXT,
            parallel=PARALLEL,
        ),
        parameters=served.billions,
    )
