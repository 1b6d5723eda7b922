"""The embedded engine: llama.cpp in a process of its own, started when first needed.

It needs no server and no GPU. All processes of a user share one such process for each model; how
is told in ``llamacpp_server``.
"""

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import anyio
import anyio.to_thread

from engines.backends.deadline import before
from engines.backends.llamacpp import embedding
from engines.backends.llamacpp.chat import Facts, body_of, read_facts, refined, under_schema
from engines.backends.llamacpp.server import (
    ServerAddress,
    adapters_of,
    attach,
    configuration,
    default_folder,
    is_running,
    package_version,
    window_of,
)
from engines.backends.llamacpp.tools import with_calls
from engines.backends.openai_wire import Wire
from engines.base import (
    Capabilities,
    Done,
    Embeddings,
    Engine,
    Event,
    Model,
    Profile,
    Request,
    Usage,
)
from engines.errors import (
    EngineUnavailableError,
    ModelNotPulledError,
    UnknownModelError,
)
from engines.models.catalogue import CATALOGUE
from engines.models.pull import AUTO, HUB_NAME, best_pulled, find, path_of
from engines.settings import LlamaCppSettings

if TYPE_CHECKING:
    from engines.backends.llamacpp.child import Config

GOING_S = 2.0
POLL_S = 0.02

T = TypeVar("T")


class LlamaCppEngine(Engine):
    name = "llamacpp"

    def __init__(
        self,
        settings: LlamaCppSettings,
        *,
        models_folder: Path | None = None,
        runtime_folder: Path | None = None,
    ) -> None:
        """``None`` for a folder means the user's own."""
        self._given = settings
        self._models_folder = models_folder
        self._folder = runtime_folder or default_folder()
        self._wire = Wire(self.name, hint="ask again: it is started anew", refine=refined)
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

    @property
    def _settings(self) -> LlamaCppSettings:
        """The settings, with the best model that is pulled in place of "auto" from its first use on.

        Raises:
            ModelNotPulledError: none is.
        """
        if self._given.model == AUTO:
            model = best_pulled(self._models_folder).name
            self._given = self._given.model_copy(update={"model": model})
        return self._given

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
        adapters = self._adapters_for(facts.name)
        body, done = body_of(request, facts, adapters), self._done(request, facts.name, adapters)
        async with AsyncExitStack() as stack:

            async def opened(server: ServerAddress) -> AsyncIterator[Event]:
                url = f"{server.url}/v1/chat/completions"
                return await stack.enter_async_context(
                    self._wire.stream(url, body, done=done, key=server.key, deadline=request.deadline)
                )

            events = await self._asked(facts.name, request.deadline, opened)
            if request.schema is not None and "grammar" in body:
                events = await stack.enter_async_context(aclosing(under_schema(events, request.schema)))
            if request.tools and request.tool_choice != "none":
                events = await stack.enter_async_context(aclosing(with_calls(events, request.tools)))
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
            await self._gone_or_well(server, deadline)
            return await ask(await self._server(model, deadline))

    async def _gone_or_well(self, server: ServerAddress, deadline: float) -> None:
        """Wait for a process that no longer answers to lose its lock, too."""
        with anyio.CancelScope(deadline=min(deadline, anyio.current_time() + GOING_S)):
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
                config = await anyio.to_thread.run_sync(self._configuration, model)
                self._servers[model] = await attach(config, self._folder, deadline=deadline)
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
        return replace(read_facts(card, path_of(card, self._models_folder)), name=name)

    def _done(self, request: Request, model: str, adapters: Sequence[str]) -> Done:
        known = request.adapter in adapters
        lost = request.adapter is not None and not known
        notes = (f"no adapter {request.adapter!r}, used the base model",) if lost else ()
        adapter = request.adapter if known else None
        return Done("stop", Usage(), engine=self.name, model=model, adapter=adapter, notes=notes)

    def _adapters_for(self, model: str) -> Sequence[str]:
        """Adapters fit one model, the one they stand beside in the settings."""
        return list(self._adapters) if model == self._settings.model else []

    def _models(self) -> Sequence[Model]:
        try:
            default = self._settings.model
        except ModelNotPulledError:
            return []
        chat = [card.name for card in CATALOGUE.values() if card.kind == "chat"]
        found: list[Model] = []
        for name in dict.fromkeys([default, *chat]):
            with contextlib.suppress(ModelNotPulledError):
                config = self._configuration(name)
                loaded, size = is_running(config, self._folder), Path(config["path"]).stat().st_size
                found.append(Model(name, self.name, loaded=loaded, bytes=size))
        adapters = (
            Model(name, self.name, base=default, bytes=path.stat().st_size)
            for name, path in self._adapters.items()
        )
        return [*found, *adapters]

    def _configuration(self, model: str) -> "Config":
        return configuration(self._settings, model=model, models_folder=self._models_folder)

    def _check(self) -> None:
        package_version()
        for name in filter(None, (self._settings.model, self._settings.embedding)):
            path_of(find(name), self._models_folder)
