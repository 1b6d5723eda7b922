"""vLLM's OpenAI server, one or several behind a router. It runs beside us: nothing of it is imported.

An adapter is a model name there. It is asked for by that name first, whoever made the server know it; only
if the server does not is it loaded, and only if that fails the base model answers, and says so.
"""

import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

import anyio

from engines.backends.openai_json import chat_body, readable
from engines.backends.openai_wire import Wire
from engines.backends.thinking import Spoken
from engines.backends.vllm_adapters import LORA_HINT, Adapters
from engines.base import (
    Capabilities,
    Done,
    Engine,
    Event,
    JsonObject,
    Model,
    Profile,
    Request,
    TextDelta,
    Usage,
)
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.settings import VllmSettings

LISTED_S = 30.0
"""How long the server's list of models is believed."""

ANSWERS_WITHIN_S = 10.0
"""How long a question that needs no model may take."""

PARALLEL = 128
"""vLLM's default ``--max-num-seqs`` on a CPU, the least of its defaults; the server does not tell its own."""

UNTOLD_CONTEXT = 4096
"""Of a server that speaks the same protocol but does not tell its context, as vLLM does."""

MAX_LOGPROBS = 20
"""vLLM's default ``--max-logprobs``; more is a 400."""

HINT = "start it with `vllm serve MODEL`, or set `url` in the settings' [vllm]"

NO_PRIORITY = "Priority scheduling is not enabled"
"""How versions that do not ignore a priority they cannot keep refuse it."""

TOO_LONG = re.compile(r"context length is (\d+) tokens.*?(\d+) input tokens")
SCHEMA = re.compile(
    r"Grammar error|grammar specification|structured output|Failed to transform json schema|Unsupported JSON"
)
BILLIONS = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)([bm])(?![a-z\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """A model or an adapter, as ``/v1/models`` lists it."""

    name: str
    base: str
    """The model it adapts, empty for a model."""
    context: int
    """Tokens; of an adapter, those of its base."""
    source: str
    """Folder or repository it was loaded from."""


class VllmEngine(Engine):
    """A server at ``settings.url``, which ends in ``/v1``."""

    name = "vllm"

    def __init__(self, settings: VllmSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._wire = Wire("vLLM", hint=HINT, refine=refine)
        self._adapters = Adapters(settings, self._wire, self._url, self._list)
        self._served: Mapping[str, Served] = {}
        self._list_again = -math.inf
        self._takes_priority = True

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._wire.__aexit__(kind, error, traceback)

    async def profile(self, model: str = "") -> Profile:
        served = await self._find(model, anyio.current_time() + ANSWERS_WITHIN_S)
        return Profile(
            self.name,
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
            parameters=_billions(served.name) or _billions(served.source),
        )

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        async with AsyncExitStack() as stack:
            answer = await self._begin(request, stack)
            yield await stack.enter_async_context(aclosing(_spoken(answer)))

    async def models(self) -> Sequence[Model]:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)
        served = [Model(each.name, self.name, each.base, loaded=True) for each in self._served.values()]
        base = next((each.name for each in self._served.values() if not each.base), "")
        loadable = [name for name in self._settings.adapters if name not in self._served]
        return [*served, *(Model(name, self.name, base) for name in loadable)]

    async def check(self) -> None:
        await self._list(anyio.current_time() + ANSWERS_WITHIN_S)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        deadline = anyio.current_time() + ANSWERS_WITHIN_S
        served = await self._find(model, deadline)
        body: JsonObject = {"model": served.name, "prompt": text, "add_special_tokens": False}
        url = f"{self._url.removesuffix('/v1')}/tokenize"
        answer = await self._wire.ask(url, body, key=self._settings.api_key, deadline=deadline)
        with readable(answer):
            return cast("int", answer["count"])

    async def _begin(self, request: Request, stack: AsyncExitStack) -> AsyncIterator[Event]:
        """The adapter's answer if it can be had, else the base model's."""
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
        body = _body(request, served, adapter or served.name)
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
            if not (self._takes_priority and NO_PRIORITY in error.message):
                raise
        self._takes_priority = False
        return await self._chat(request, served, stack, adapter=adapter, notes=notes)

    async def _find(self, model: str, deadline: float) -> Served:
        """``model``, or the default; a name that is missing from the list is looked for in a new one."""
        wanted = model or self._settings.model
        if anyio.current_time() > self._list_again or (wanted and wanted not in self._served):
            await self._list(deadline)
        found = self._served.get(wanted) if wanted else next(iter(self._served.values()), None)
        if found is None:
            names = ", ".join(name for name, served in self._served.items() if not served.base)
            raise UnknownModelError(f"vLLM does not serve {wanted!r}", hint=f"it serves {names}")
        return found

    async def _list(self, deadline: float) -> Sequence[str]:
        """Ask what is served; the adapters among it.

        Raises:
            EngineUnavailableError: nothing answers, or something that is no such server.
        """
        try:
            answer = await self._wire.ask(
                f"{self._url}/models", key=self._settings.api_key, deadline=deadline
            )
            with readable(answer):
                cards = cast("list[JsonObject]", answer["data"])
                served = [_read_card(card, cards) for card in cards]
        except AgentError as error:
            if error.retryable:
                raise
            raise EngineUnavailableError(f"no vLLM at {self._url}: {error.message}", hint=HINT) from error
        self._served = {each.name: each for each in served}
        self._list_again = anyio.current_time() + LISTED_S
        return [each.name for each in served if each.base]


def _read_card(card: JsonObject, cards: Sequence[JsonObject]) -> Served:
    base = str(card.get("parent") or "")
    bearer = next((other for other in cards if other["id"] == base), card)
    context = cast("int | None", bearer.get("max_model_len")) or UNTOLD_CONTEXT
    return Served(str(card["id"]), base, context, str(card.get("root") or ""))


def _body(request: Request, served: Served, name: str) -> JsonObject:
    body = chat_body(request, name)
    body["max_tokens"] = min(request.max_tokens, served.context)
    if request.logprobs is not None:
        body["top_logprobs"] = min(request.logprobs, MAX_LOGPROBS)
    if request.choices:
        body["structured_outputs"] = {"choice": list(request.choices)}
    elif request.schema == {}:
        body["response_format"] = {"type": "json_object"}
    elif request.schema is not None:
        schema: JsonObject = {"name": "answer", "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.effort is not None:
        # Models that think in levels know no "off"; templates that can switch it off know no levels.
        body["reasoning_effort"] = "low" if request.effort == "off" else request.effort
        body["chat_template_kwargs"] = {"enable_thinking": request.effort != "off"}
    return body


async def _spoken(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """``events`` without thoughts, which a server without ``--reasoning-parser`` leaves in the text."""
    spoken = Spoken()
    async for event in events:
        match event:
            case TextDelta():
                for delta in spoken.pass_on(event):
                    yield delta
            case Done():
                for delta in spoken.rest():
                    yield delta
                yield event
            case _:
                yield event


def refine(status: int, message: str) -> AgentError | None:
    """vLLM's refusals, in our words."""
    if told := TOO_LONG.search(message):
        room, asked = told.groups()
        return ContextTooLongError(
            f"the prompt has at least {asked} tokens, the model takes {room}", hint="send less text"
        )
    if "LoRA is not enabled" in message:
        return UnsupportedFeatureError(f"vLLM answered {status}: {message}", hint=LORA_HINT)
    if "add_lora" in message:
        return RequestRefusedError(f"vLLM cannot load the adapter: {message}", hint="see the server's log")
    if status == 400 and SCHEMA.search(message):
        return UnsupportedFeatureError(
            f"vLLM cannot keep the schema: {message}", hint="leave the keyword out"
        )
    if "--enable-auto-tool-choice" in message:
        return UnsupportedFeatureError(f"vLLM has no tools: {message}", hint="start vLLM with these options")
    return None


def _billions(name: str) -> float:
    """The size most models carry in their name: ``Qwen3-4B``, ``gpt-oss-20b``, ``smollm2-135m``."""
    told = BILLIONS.search(name)
    return float(told[1]) / (1 if told[2] in "bB" else 1000) if told else 0.0
