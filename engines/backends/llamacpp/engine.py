"""The embedded engine: llama.cpp in a separate process, started on first use.

Needs no server and no GPU. All processes of a user share one process per model, see
``engines.backends.llamacpp.server``.
"""

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import anyio
import anyio.to_thread

from engines.backends.deadline import before
from engines.backends.llamacpp import embedding
from engines.backends.llamacpp.chat import Facts, body_of, check_grammar_applied, read_facts, refine_error
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
from engines.backends.llamacpp.tools import parse_tool_calls
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

EXIT_S = 2.0
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
        """``None`` for a folder means the user's default."""
        self._given = settings
        self._models_folder = models_folder
        self._folder = runtime_folder or default_folder()
        self._wire = Wire(self.name, hint="ask again: it is being restarted", refine=refine_error)
        self._adapters = adapters_of(settings)
        self._facts: dict[str, Facts] = {}
        self._servers: dict[str, ServerAddress] = {}
        self._starting = anyio.Lock()

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with self._wire:
            yield self

    @property
    def _settings(self) -> LlamaCppSettings:
        """The settings, with "auto" replaced by the best pulled model on first use.

        Raises:
            ModelNotPulledError: no model is pulled.
        """
        if self._given.model == AUTO:
            model = best_pulled(self._models_folder).name
            self._given = self._given.model_copy(update={"model": model})
        return self._given

    async def profile(self, model: str = "") -> Profile:
        """Returns the profile from the model's file, without starting the process."""
        facts = await self._facts_of(model)
        capabilities = Capabilities(
            json_schema=True,
            choice=not facts.thinks,
            logprobs=True,
            tokenize=True,
            embed=bool(self._settings.embedding),
            lora=bool(self._adapters),
            tools=facts.tools,
            prefill=not facts.thinks,
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

            events = await self._with_restart(facts.name, request.deadline, opened)
            if request.schema is not None and "grammar" in body:
                checked = check_grammar_applied(events, request.schema)
                events = await stack.enter_async_context(aclosing(checked))
            if request.tools and request.tool_choice != "none":
                events = await stack.enter_async_context(aclosing(parse_tool_calls(events, request.tools)))
            yield events

    async def models(self) -> Sequence[Model]:
        return await anyio.to_thread.run_sync(self._models)

    async def check(self) -> None:
        """Checks that the engine could start: the package and the files are present."""
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

        return await self._with_restart(self._settings.model, deadline, asked)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        async def asked(server: ServerAddress) -> int:
            return await embedding.count_tokens(self._wire, server.url, server.key, text)

        return await self._with_restart((await self._facts_of(model)).name, math.inf, asked)

    async def _with_restart(
        self, model: str, deadline: float, ask: Callable[[ServerAddress], Awaitable[T]]
    ) -> T:
        """Calls ``ask`` with the process; repeats it once with a new one if the process was exiting."""
        server = await self._server(model, deadline)
        try:
            return await ask(server)
        except EngineUnavailableError:
            self._servers.pop(model, None)
            await self._wait_for_exit(server, deadline)
            return await ask(await self._server(model, deadline))

    async def _wait_for_exit(self, server: ServerAddress, deadline: float) -> None:
        """Waits until a process that does not answer has released its lock, or answers again."""
        with anyio.CancelScope(deadline=min(deadline, anyio.current_time() + EXIT_S)):
            while server.is_alive():
                with contextlib.suppress(EngineUnavailableError):
                    await self._wire.ask(f"{server.url}/health")
                    return
                await anyio.sleep(POLL_S)

    async def _server(self, model: str, deadline: float) -> ServerAddress:
        if server := self._running_server(model):
            return server
        with before(deadline, self.name):
            async with self._starting:
                if server := self._running_server(model):
                    return server
                config = await anyio.to_thread.run_sync(self._configuration, model)
                self._servers[model] = await attach(config, self._folder, deadline=deadline)
                return self._servers[model]

    def _running_server(self, model: str) -> ServerAddress | None:
        server = self._servers.get(model)
        return server if server and server.is_alive() else None

    async def _facts_of(self, model: str) -> Facts:
        name = model or self._settings.model
        if name not in self._facts:
            self._facts[name] = await anyio.to_thread.run_sync(self._read_facts, name)
        return self._facts[name]

    def _read_facts(self, name: str) -> Facts:
        # Only the settings may contain a path: a caller must not open arbitrary files.
        if name != self._settings.model and name not in CATALOGUE and not HUB_NAME.fullmatch(name):
            raise UnknownModelError(f"no model {name!r}", hint=f"one of {', '.join(CATALOGUE)}")
        card = find(name)
        if card.kind != "chat":
            raise UnknownModelError(f"{name} is an embedding model", hint="choose a chat model")
        return replace(read_facts(card, path_of(card, self._models_folder)), name=name)

    def _done(self, request: Request, model: str, adapters: Sequence[str]) -> Done:
        known = request.adapter in adapters
        lost = request.adapter is not None and not known
        notes = (f"no adapter {request.adapter!r}, used the base model",) if lost else ()
        adapter = request.adapter if known else None
        return Done("stop", Usage(), engine=self.name, model=model, adapter=adapter, notes=notes)

    def _adapters_for(self, model: str) -> Sequence[str]:
        """Returns the adapters if ``model`` is the settings' model, which they are made for."""
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
                loaded = is_running(self._configuration(name), self._folder)
                found.append(Model(name, self.name, loaded=loaded))
        return [*found, *(Model(name, self.name, base=default) for name in self._adapters)]

    def _configuration(self, model: str) -> "Config":
        return configuration(self._settings, model=model, models_folder=self._models_folder)

    def _check(self) -> None:
        package_version()
        for name in filter(None, (self._settings.model, self._settings.embedding)):
            path_of(find(name), self._models_folder)
