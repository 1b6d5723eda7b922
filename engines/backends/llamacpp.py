"""The embedded engine: llama.cpp in a process of its own, started when first needed.

It needs no server and no GPU. All processes of a user share one such process for each model; how
is told in ``llamacpp_server``.
"""

import contextlib
import importlib.util
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from engines.backends import llamacpp_embedding as embedding
from engines.backends import llamacpp_grammar as grammar
from engines.backends.deadline import before
from engines.backends.llamacpp_server import (
    ServerAddress,
    adapters_of,
    attach,
    configuration,
    runtime_folder,
    window_of,
)
from engines.backends.openai_json import chat_body
from engines.backends.openai_wire import Wire
from engines.base import (
    Capabilities,
    Done,
    Embeddings,
    Engine,
    Event,
    JsonObject,
    JsonValue,
    Model,
    Profile,
    Request,
    TextDelta,
    Usage,
)
from engines.errors import (
    AgentError,
    EngineUnavailableError,
    ModelNotPulledError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.gguf_header import read_header
from engines.models import CATALOGUE, HUB_NAME, context_of, find, parameters_of, path_of
from engines.settings import LlamaCppSettings

THINKS = re.compile(r"enable_thinking|<\|channel\|>|add_generation_prompt.*<think>", re.DOTALL)
"""Chat templates of models that think before they answer."""
SCHEMA_ERROR = re.compile(r"JSON schema error at .*|failed to parse grammar", re.DOTALL)

GOING_S = 2.0
POLL_S = 0.02

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model's file tells without being loaded."""

    name: str
    context: int
    parameters: float
    tools: bool
    """Its chat template knows tools; llama.cpp leaves them out of the prompt otherwise."""
    thinks: bool


class LlamaCppEngine(Engine):
    name = "llamacpp"

    def __init__(
        self,
        settings: LlamaCppSettings,
        *,
        models_folder: Path | None = None,
        runtime_folder: Path | None = None,
    ) -> None:
        self._settings = settings
        self._models_folder = models_folder
        self._runtime_folder = runtime_folder
        self._wire = Wire(self.name, hint="ask again: it is started anew", refine=_refined)
        self._adapters = adapters_of(settings)
        self._facts: dict[str, Facts] = {}
        self._servers: dict[str, ServerAddress] = {}
        self._starting = anyio.Lock()

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
        """Read from the model's file; the process is not started."""
        facts = await self._facts_of(model)
        capabilities = Capabilities(
            json_schema=True,
            choice=not facts.thinks,
            logprobs=True,
            tokenize=True,
            embed=bool(self._settings.embedding),
            lora=bool(self._adapters),
            tools=facts.tools,
            max_context=min(facts.context or self._settings.context, self._settings.context),
            parallel=self._settings.parallel,
        )
        return Profile(self.name, facts.name, capabilities, self._settings.embedding, facts.parameters)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        facts = await self._facts_of(request.model)
        body, done = self._body(request, facts), self._done(request, facts)
        async with AsyncExitStack() as stack:

            async def opened(server: ServerAddress) -> AsyncIterator[Event]:
                url = f"{server.url}/v1/chat/completions"
                return await stack.enter_async_context(
                    self._wire.stream(url, body, done=done, key=server.key, deadline=request.deadline)
                )

            events = await self._asked(facts.name, request.deadline, opened)
            if request.schema is not None and "grammar" in body:
                events = await stack.enter_async_context(aclosing(_under_schema(events)))
            yield events

    async def models(self) -> Sequence[Model]:
        return await anyio.to_thread.run_sync(self._models)

    async def check(self) -> None:
        """Return if the engine could start: the package and the files are there."""
        await anyio.to_thread.run_sync(self._check)

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        model = self._settings.embedding
        if not model:
            return await super().embed(texts, deadline=deadline)
        window = await anyio.to_thread.run_sync(window_of, path_of(find(model), self._models_folder))

        async def asked(server: ServerAddress) -> Embeddings:
            return await embedding.embed(
                self._wire, server, texts, window=window, model=model, deadline=deadline
            )

        return await self._asked(self._settings.model, deadline, asked)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        async def asked(server: ServerAddress) -> int:
            return await embedding.count_tokens(self._wire, server.url, server.key, text)

        return await self._asked((await self._facts_of(model)).name, math.inf, asked)

    async def _asked(self, model: str, deadline: float, ask: Callable[[ServerAddress], Awaitable[T]]) -> T:
        """What ``ask`` gets from the process; from a new one, once, if it was just going away."""
        server = await self._server(model, deadline)
        try:
            return await ask(server)
        except EngineUnavailableError:
            self._servers.pop(model, None)
            await self._gone_or_well(server)
            return await ask(await self._server(model, deadline))

    async def _gone_or_well(self, server: ServerAddress) -> None:
        """Wait for a process that no longer answers to lose its lock, too."""
        with anyio.move_on_after(GOING_S):
            while server.is_alive():
                with contextlib.suppress(EngineUnavailableError):
                    await self._wire.ask(f"{server.url}/health")
                    return
                await anyio.sleep(POLL_S)

    async def _server(self, model: str, deadline: float) -> ServerAddress:
        if server := self._living(model):
            return server
        with before(deadline, self.name):
            async with self._starting:
                if server := self._living(model):
                    return server
                config = await anyio.to_thread.run_sync(
                    partial(configuration, self._settings, model=model, models_folder=self._models_folder)
                )
                folder = self._runtime_folder or runtime_folder()
                self._servers[model] = await attach(config, folder, deadline=deadline)
                return self._servers[model]

    def _living(self, model: str) -> ServerAddress | None:
        server = self._servers.get(model)
        return server if server and server.is_alive() else None

    async def _facts_of(self, model: str) -> Facts:
        name = model or self._settings.model
        if name not in self._facts:
            self._facts[name] = await anyio.to_thread.run_sync(self._read_facts, name)
        return self._facts[name]

    def _read_facts(self, name: str) -> Facts:
        # A path comes from the settings or not at all: a caller must not make us open any file.
        if name != self._settings.model and name not in CATALOGUE and not HUB_NAME.fullmatch(name):
            raise UnknownModelError(f"no model {name!r}", hint=f"one of {', '.join(CATALOGUE)}")
        card = find(name)
        if card.kind != "chat":
            raise UnknownModelError(f"{name} answers no questions", hint="it is an embedding model")
        path = path_of(card, self._models_folder)
        template = str(read_header(path).metadata.get("tokenizer.chat_template", ""))
        return Facts(
            name,
            card.context or context_of(path),
            card.parameters or parameters_of(path),
            tools="tools" in template,
            thinks=bool(THINKS.search(template)),
        )

    def _body(self, request: Request, facts: Facts) -> JsonObject:
        _refuse(request, facts)
        body = chat_body(request, facts.name)
        if request.logprobs is not None:
            # With 0 it leaves out the chosen token, too.
            body["top_logprobs"] = max(request.logprobs, 1)
        if request.choices:
            body["grammar"] = grammar.of_choices(request.choices)
        elif request.schema is not None and (facts.thinks or request.tools):
            # A grammar of ours would forbid the thought, or the call, before the JSON.
            schema: JsonObject = request.schema or {"type": "object"}
            body["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        elif request.schema is not None:
            body["grammar"] = grammar.of_schema(request.schema)
        if request.effort is not None:
            thinking: JsonObject = {"enable_thinking": request.effort != "off"}
            level = "low" if request.effort == "off" else request.effort
            body["chat_template_kwargs"] = {**thinking, "reasoning_effort": level}
        # Each is named, with 0 for none: a request that names none may get those of its neighbours.
        names = self._adapters_for(facts.name)
        lora: list[JsonValue] = [
            {"id": number, "scale": float(name == request.adapter)} for number, name in enumerate(names)
        ]
        if lora:
            body["lora"] = lora
        return body

    def _done(self, request: Request, facts: Facts) -> Done:
        known = request.adapter in self._adapters_for(facts.name)
        lost = request.adapter is not None and not known
        return Done(
            "stop",
            Usage(),
            engine=self.name,
            model=facts.name,
            adapter=request.adapter if known else None,
            notes=(f"no adapter {request.adapter!r}, used the base model",) if lost else (),
        )

    def _adapters_for(self, model: str) -> Sequence[str]:
        """Adapters fit one model, the one they stand beside in the settings."""
        return list(self._adapters) if model == self._settings.model else []

    def _models(self) -> Sequence[Model]:
        names = dict.fromkeys([self._settings.model, *CATALOGUE, self._settings.embedding])
        found: list[Model] = []
        for name in filter(None, names):
            with contextlib.suppress(ModelNotPulledError):
                path = path_of(find(name), self._models_folder)
                found.append(Model(name, self.name, loaded=self._is_loaded(name), bytes=path.stat().st_size))
        adapters = (
            Model(name, self.name, base=self._settings.model, bytes=path.stat().st_size)
            for name, path in self._adapters.items()
        )
        return [*found, *adapters]

    def _is_loaded(self, name: str) -> bool:
        beside = self._settings.model if name == self._settings.embedding else name
        return self._living(beside) is not None

    def _check(self) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineUnavailableError("xllamacpp is not installed", hint="pip install xllamacpp")
        for name in filter(None, (self._settings.model, self._settings.embedding)):
            path_of(find(name), self._models_folder)


def _refuse(request: Request, facts: Facts) -> None:
    """Say so where llama.cpp would do something else without a word.

    Raises:
        UnsupportedFeatureError: the model cannot do what is asked.
    """
    if request.tools and not facts.tools:
        raise UnsupportedFeatureError(
            f"{facts.name} knows no tools",
            hint="use a larger model, such as qwen2.5-1.5b, or ask for a schema",
        )
    if request.choices and facts.thinks:
        raise UnsupportedFeatureError(
            f"{facts.name} thinks before it answers", hint="ask for a schema with enum instead of choices"
        )


def _refined(status: int, message: str) -> AgentError | None:
    if found := SCHEMA_ERROR.search(message):
        return UnsupportedFeatureError(
            f"llama.cpp cannot keep this schema: {found[0]}", hint="simplify the schema"
        )
    return None


async def _under_schema(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    begun = False
    async for event in events:
        if isinstance(event, TextDelta) and event.text and not begun:
            begun = True
            if grammar.is_broken_by(event.text):
                raise UnsupportedFeatureError(
                    "llama.cpp cannot keep this schema",
                    hint="no lookaround, \\b or back-reference in `pattern`; some value must satisfy it",
                )
        yield event
