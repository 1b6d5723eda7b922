"""Engine for Ollama, through its native API and the PyPI client.

The client is imported, in a thread, after the address accepts a connection, so that it costs nothing
without Ollama. All requests to a model have the same ``num_ctx``, because another value makes Ollama
reload the model, and disable truncation, because Ollama truncates long prompts silently by default.
"""

import math
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from engines.backends.deadline import before
from engines.backends.ollama.choice import Choice
from engines.backends.ollama.inventory import Inventory
from engines.backends.ollama.wire import Answer, Facts, chat_body, tool_calls, unreachable
from engines.backends.vectors import unit
from engines.base import (
    Capabilities,
    Done,
    Embeddings,
    Engine,
    Event,
    FinishReason,
    Model,
    Profile,
    Request,
    Usage,
)
from engines.errors import EngineInterruptedError, ModelNotLoadedError, UnknownModelError
from engines.settings import AUTO, OllamaSettings

if TYPE_CHECKING:
    from engines.backends.ollama.answers import Line
    from engines.backends.ollama.client import Client

ANSWERS_WITHIN = 10.0
"""Timeout in seconds of requests that need no model (version, show, tags)."""

CONNECT_SECONDS = 5.0
"""Timeout in seconds of connecting; loading a model may take longer."""

EMBEDDING_RETRY_S = 60.0
"""Seconds after which a missing embedding model is checked again."""

HAS_TRUNCATE = (0, 12, 6)
HAS_LOGPROBS = (0, 12, 11)
"""First versions whose ``/api/chat`` supports ``truncate`` and ``shift``, or ``logprobs`` (api/types.go)."""

TRUNCATES_NOTE = "this Ollama truncates long prompts silently; update it to 0.12.6 or later"


@dataclass(frozen=True, slots=True)
class _Target:
    """The model or adapter that answers a request."""

    name: str
    """Sent as ``model``: the adapter's name, if any."""
    base: str
    known: Facts
    adapter: str | None = None
    notes: tuple[str, ...] = ()


class OllamaEngine(Engine):
    """Engine for one Ollama server; ``context`` is the largest context of the tiers, in tokens.

    ``total_gib`` is the memory for models that the settings do not name.
    """

    name = "ollama"

    def __init__(self, settings: OllamaSettings, *, context: int, total_gib: float = math.inf) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._opening = anyio.Lock()
        self._version: tuple[int, ...] = ()
        self._inventory = Inventory(settings, self._connected, context=context, total_gib=total_gib)
        self._retry_embedding_at = -math.inf

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            yield self
        finally:
            if self._client is not None:
                await self._client.close()

    async def profile(self, model: str = "") -> Profile:
        with self._short_deadline():
            model = model or await self._inventory.model()
            known = await self._inventory.facts(model)
            choice = await self._choice()
            embedding = await self._embedding()
            if not self._version:
                await self.check()
        truncates = () if self._version >= HAS_TRUNCATE else (TRUNCATES_NOTE,)
        return Profile(
            self.name,
            model,
            Capabilities(
                json_schema=True,
                choice=True,
                logprobs=self._version >= HAS_LOGPROBS,
                embed=bool(embedding),
                lora=True,
                tools="tools" in known.can,
                max_context=self._inventory.context_of(known),
            ),
            embedding_model=embedding,
            parameters=known.billions,
            notes=(*truncates, *choice.notes),
            reason=_reason(choice, model),
            small_model=choice.small if model == choice.main else "",
        )

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        target, lines, first = await self._begin(request)
        async with aclosing(lines), aclosing(self._events(first, lines, request, target)) as events:
            yield events

    async def models(self) -> Sequence[Model]:
        with self._short_deadline():
            async with self._connected() as client:
                installed = (await client.tags()).models
                loaded = {model.name for model in (await client.ps()).models}
            return [
                Model(
                    model.name,
                    self.name,
                    base=(await self._inventory.facts(model.name)).base if model.details.parent_model else "",
                    loaded=model.name in loaded,
                )
                for model in installed
                if "completion" in model.capabilities
            ]

    async def check(self) -> None:
        with self._short_deadline():
            async with self._connected() as client:
                self._version = _numbers(await client.version())

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        """Returns sentence embeddings of ``texts``, in order.

        Raises:
            ContextTooLongError: a text is too long for the embedding model.
            UnsupportedFeatureError: the configured model is missing or makes no embeddings.
        """
        with before(deadline, self.name):
            model = await self._embedding()
            if not model:
                return await super().embed(texts, deadline=deadline)
            try:
                async with self._connected(model) as client:
                    answer = await client.embed(
                        model, list(texts), truncate=False, keep_alive=self._settings.keep_alive
                    )
            except (ModelNotLoadedError, UnknownModelError) as error:
                if self._settings.embedding != AUTO:
                    raise
                self._inventory.give_up(model, error.message)
                return await self.embed(texts, deadline=deadline)
        return Embeddings(tuple(map(unit, answer.embeddings)), answer.prompt_eval_count or 0, model)

    def _short_deadline(self) -> AbstractContextManager[None]:
        return before(anyio.current_time() + ANSWERS_WITHIN, self.name)

    @asynccontextmanager
    async def _connected(self, model: str = "") -> AsyncGenerator["Client", None]:
        """Returns the client; its errors are translated."""
        client = self._client or await self._open()
        from engines.backends.ollama.client import translated

        with translated(model):
            yield client

    async def _open(self) -> "Client":
        async with self._opening:
            if self._client is None:
                await _check_listening(self._settings.url)
                await anyio.to_thread.run_sync(import_module, "engines.backends.ollama.client")
                from engines.backends.ollama.client import Client

                self._client = Client(self._settings.url, connect_s=CONNECT_SECONDS)
            return self._client

    async def _choice(self) -> Choice:
        """Returns the models chosen for requests that name none; none if the settings name all."""
        named = AUTO not in (self._settings.model, self._settings.embedding)
        return Choice() if named else await self._inventory.choice()

    async def _embedding(self) -> str:
        """Returns the embedding model, empty if it is missing."""
        model, now = self._settings.embedding, anyio.current_time()
        if model == AUTO:
            return (await self._inventory.choice()).embedding
        if not model or now < self._retry_embedding_at:
            return ""
        try:
            known = await self._inventory.facts(model)
        except UnknownModelError:
            self._retry_embedding_at = now + EMBEDDING_RETRY_S
            return ""
        return model if "embedding" in known.can else ""

    async def _begin(self, request: Request) -> "tuple[_Target, AsyncGenerator[Line], Line | None]":
        """Returns the answer with its first line, read here so that an error status is raised on entering.

        A model that was chosen, and is gone or cannot be loaded, is replaced by the next best.
        """
        with before(request.deadline, self.name):
            model = request.model or await self._inventory.model()
            chosen = not request.model or model in self._inventory.seconds
            while True:
                target = None
                try:
                    target = await self._target(request, model)
                    return target, *await self._ask(request, target)
                except (ModelNotLoadedError, UnknownModelError) as error:
                    if self._settings.model != AUTO or not chosen or (target and target.adapter):
                        raise
                    self._inventory.give_up(model, error.message)
                    model = await self._inventory.model()

    async def _ask(self, request: Request, target: _Target) -> "tuple[AsyncGenerator[Line], Line | None]":
        body = chat_body(
            request,
            target.name,
            target.known,
            context=self._inventory.context_of(target.known),
            keep_alive=self._settings.keep_alive,
        )
        async with self._connected(target.name) as client:
            lines = await client.chat_lines(body)
        try:
            return lines, await self._line(lines, request, target)
        except BaseException:
            await lines.aclose()
            raise

    async def _target(self, request: Request, base: str) -> _Target:
        notes = (await self._choice()).notes
        if request.adapter is None:
            return _Target(base, base, await self._inventory.facts(base), notes=notes)
        try:
            known = await self._inventory.facts(request.adapter)
        except UnknownModelError:
            note = f"Ollama has no adapter {request.adapter!r} (a model made with ADAPTER); used {base}"
            return _Target(base, base, await self._inventory.facts(base), notes=(note, *notes))
        return _Target(request.adapter, known.base or base, known, request.adapter)

    async def _line(self, lines: "AsyncGenerator[Line]", request: Request, target: _Target) -> "Line | None":
        with before(request.deadline, self.name):
            async with self._connected(target.name):
                return await anext(lines, None)

    async def _events(
        self, line: "Line | None", lines: "AsyncGenerator[Line]", request: Request, target: _Target
    ) -> AsyncGenerator[Event, None]:
        answer, calls = Answer(request), 0
        while line is not None:
            for call in tool_calls(line, calls):
                calls += 1
                yield call
            for delta in answer.deltas(line):
                yield delta
            if line.done:
                # Read the end of the stream too, so that the connection is closed in order.
                await self._line(lines, request, target)
                yield self._done(line, target, called=calls > 0)
                return
            line = await self._line(lines, request, target)
        raise EngineInterruptedError(
            "Ollama ended its answer without finishing it, as it does when a model repeats one token",
            hint="ask again, or rephrase the request",
        )

    def _done(self, last: "Line", target: _Target, *, called: bool) -> Done:
        finish: FinishReason = "length" if last.done_reason == "length" else "stop"
        return Done(
            "tool_calls" if called else finish,
            Usage(last.prompt_eval_count, last.eval_count),
            engine=self.name,
            model=target.base,
            adapter=target.adapter,
            notes=target.notes,
        )


def _reason(choice: Choice, model: str) -> str:
    if model == choice.small:
        return f"a second, faster model that fits beside {choice.main}"
    return choice.reason if model == choice.main else ""


async def _check_listening(url: str) -> None:
    """Fails at once if nothing listens, before the client is imported. Default ports as in the client."""
    scheme, _, rest = url.rpartition("://")
    try:
        address = urlsplit(f"//{rest}")
        port = address.port or {"http": 80, "https": 443}.get(scheme, 11434)
        with anyio.fail_after(CONNECT_SECONDS):
            stream = await anyio.connect_tcp(address.hostname or "127.0.0.1", port)
    except (OSError, ValueError) as error:
        raise unreachable(f"{url}: {error}") from error
    await stream.aclose()


def _numbers(version: str) -> tuple[int, ...]:
    """Parses a version such as ``0.32.15-rc1``. Local builds report 0.0.0 and count as the newest."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    return numbers if any(numbers) else (sys.maxsize,)
