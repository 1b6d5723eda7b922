"""Engine for any server with OpenAI's API. What its model can do is probed once and kept in memory.

A schema that the server cannot enforce is written into the prompt; the caller validates every answer.
Choices and tools without the feature are refused.
"""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import anyio

from engines.backends.choices import unquoted
from engines.backends.deadline import before
from engines.backends.openai.probe import EVERYTHING, Abilities, probe
from engines.backends.openai_engine import ANSWERS_WITHIN_S, OpenAiServerEngine, normalized
from engines.backends.openai_json import chat_body, read_embeddings
from engines.backends.openai_models import DEFAULT_CONTEXT, Served
from engines.backends.vectors import unit
from engines.base import (
    Capabilities,
    Completion,
    Done,
    Embeddings,
    Event,
    JsonObject,
    Message,
    Model,
    Profile,
    Request,
    TextDelta,
    Usage,
    collect,
)
from engines.errors import AgentError, EngineUnavailableError, UnknownModelError, UnsupportedFeatureError
from engines.settings import AUTO, OpenAiSettings

PROBE_S = 60.0
"""Timeout of each request of a probe; the first may load the model."""

PARALLEL = 4
"""Requests at once: no such server reports its slots."""

MAX_LOGPROBS = 20
"""OpenAI's limit of ``top_logprobs``."""

EMBEDS = re.compile(r"embed|minilm|rerank|(^|[^a-z])(bge|e5|gte)([^a-z]|$)", re.IGNORECASE)
"""Matches names of models that do not chat: for embeddings and ranking."""

HINT = "start the server, or set `url` in the settings' [openai]"


class OpenAiEngine(OpenAiServerEngine):
    """Engine for the server at ``settings.url``; ``/v1`` is added to an address without a path."""

    name = "openai"
    title = "the OpenAI-compatible server"
    hint = HINT

    def __init__(self, settings: OpenAiSettings) -> None:
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        url = settings.url if urlsplit(settings.url).path.strip("/") else f"{settings.url.rstrip('/')}/v1"
        super().__init__(url, model=settings.model, key=key, refine=_refine)
        self._settings = settings
        self._abilities: dict[str, Abilities] = {}
        self._contexts: dict[str, int] = {}
        self._embeds: dict[str, bool] = {}
        self._probing = anyio.Lock()

    async def profile(self, model: str = "") -> Profile:
        served = await self._find(model)
        able = await self._probed(served)
        embedding = await self._embedding()
        capabilities = Capabilities(
            json_schema=able.json_schema,
            choice=able.choice,
            logprobs=able.logprobs,
            embed=bool(embedding),
            tools=able.tools,
            max_context=await self._context(served),
            parallel=PARALLEL,
        )
        return Profile(self.name, served.name, capabilities, embedding, served.billions)

    async def models(self) -> Sequence[Model]:
        return [model for model in await super().models() if not EMBEDS.search(model.name)]

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        model = await self._embedding()
        if not model:
            return await super().embed(texts, deadline=deadline)
        return await self._embed(model, texts, deadline)

    def _default(self) -> Served | None:
        return next((each for name, each in self._served.items() if not EMBEDS.search(name)), None)

    async def _fetch(self, deadline: float) -> Sequence[Served]:
        """Returns the served models; one that is named in the settings need not be listed."""
        named = Served(self._model, "", 0, "")
        try:
            listed = await super()._fetch(deadline)
        except UnknownModelError:  # 404: the server has no list
            if not self._model:
                raise
            return [named]
        lacking = self._model and self._model not in [each.name for each in listed]
        return [*listed, named] if lacking else listed

    async def _begin(
        self, request: Request, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncGenerator[Event, None]:
        with before(request.deadline, self.title):
            served = await self._find(request.model, request.deadline)
            able = await self._probed(served)
        try:
            return await self._asked(request, served, able, stack, whole=whole)
        except EngineUnavailableError:
            self._abilities.clear()  # it may come back with other options, or another model
            raise

    async def _asked(
        self, request: Request, served: Served, able: Abilities, stack: AsyncExitStack, *, whole: bool
    ) -> AsyncGenerator[Event, None]:
        lost = request.adapter is not None
        notes = (f"no adapter {request.adapter!r}, used the base model",) if lost else ()
        done = Done("stop", Usage(), self.name, served.name, notes=notes)
        sent, read = _adapted(request, able)
        body = _body(sent, served)
        answer = normalized(await self._chat(body, done, stack, request.deadline, whole=whole))
        return _whole(answer, read) if read else answer

    async def _probed(self, served: Served) -> Abilities:
        """Returns what ``served`` can do; probes it at the first call."""
        if served.name not in self._abilities:
            async with self._probing:
                if served.name not in self._abilities:

                    async def ask(request: Request) -> Completion:
                        limited = replace(request, deadline=anyio.current_time() + PROBE_S)
                        async with AsyncExitStack() as stack:
                            answer = await self._asked(limited, served, EVERYTHING, stack, whole=False)
                            return await collect(await stack.enter_async_context(aclosing(answer)))

                    self._abilities[served.name] = await probe(ask, self.check)
        return self._abilities[served.name]

    async def _embedding(self) -> str:
        """Returns the embedding model, empty if there is none that answers."""
        await self._find("")
        model = self._settings.embedding
        if model == AUTO:
            named = (name for name in self._served if EMBEDS.search(name) and "rerank" not in name.lower())
            model = next(named, "")
        if model and model not in self._embeds:
            try:
                vectors = (await self._embed(model, ["kiwi"], anyio.current_time() + PROBE_S)).vectors
                self._embeds[model] = bool(vectors and vectors[0])
            except AgentError as error:
                if error.kind in ("busy", "timeout"):
                    raise
                self._embeds[model] = False
        return model if model and self._embeds[model] else ""

    async def _embed(self, model: str, texts: Sequence[str], deadline: float) -> Embeddings:
        body: JsonObject = {"model": model, "input": list(texts)}
        url = f"{self._url}/embeddings"
        found = read_embeddings(await self._wire.ask(url, body, key=self._key, deadline=deadline), model)
        return replace(found, vectors=tuple(map(unit, found.vectors)))

    async def _context(self, served: Served) -> int:
        """Returns the context: of the settings, of llama.cpp's ``/props``, of the list, else a default."""
        if self._settings.context:
            return self._settings.context
        if served.name not in self._contexts:
            url = f"{self._url.removesuffix('/v1')}/props"
            reported = 0
            with suppress(AgentError):
                deadline = anyio.current_time() + ANSWERS_WITHIN_S
                reported = _slot_context(await self._wire.ask(url, key=self._key, deadline=deadline))
            self._contexts[served.name] = reported or served.context or DEFAULT_CONTEXT
        return self._contexts[served.name]


def _slot_context(props: JsonObject) -> int:
    match props:
        case {"default_generation_settings": {"n_ctx": int(context)}}:
            return context
        case _:
            return 0


Read = Callable[[Sequence[TextDelta]], TextDelta]


def _adapted(request: Request, able: Abilities) -> tuple[Request, Read | None]:
    """Returns the request without what the model lacks, and how to read its text, if not as it comes.

    Raises:
        UnsupportedFeatureError: the model lacks choices or tools, and the request needs them.
    """
    if request.choices and not able.choice:
        raise UnsupportedFeatureError("the server keeps to no choices", hint="use a schema with enum instead")
    if request.tool_choice == "none":
        request = replace(request, tools=())
    if request.tools and not able.tools:
        raise UnsupportedFeatureError(
            "the server returned no tool call when it was tried", hint="use a schema, or another model"
        )
    logprobs = min(request.logprobs, MAX_LOGPROBS) if able.logprobs and request.logprobs is not None else None
    request = replace(request, logprobs=logprobs)
    if request.schema is not None and not able.json_schema:
        return _with_schema_in_prompt(request, request.schema), _only_json
    return request, unquoted if request.choices else None


def _with_schema_in_prompt(request: Request, schema: JsonObject) -> Request:
    *before_last, last = request.messages
    text = f"Answer with JSON only, without Markdown, that satisfies this JSON Schema:\n{json.dumps(schema)}"
    if last.role == "user":
        changed = (*before_last, replace(last, content=f"{last.content}\n\n{text}"))
    else:
        changed = (*request.messages, Message("user", text))
    return replace(request, messages=changed, schema=None)


def _body(request: Request, served: Served) -> JsonObject:
    body = chat_body(request, served.name)
    if request.logprobs == 0:
        body["top_logprobs"] = 1  # llama.cpp leaves out the chosen token, too
    schema: JsonObject | None = request.schema
    if request.choices:
        schema = {"type": "string", "enum": list(request.choices)}
    elif schema == {}:
        schema = {"type": "object"}
    if schema is not None:
        named: JsonObject = {"name": "answer", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


async def _whole(events: AsyncIterator[Event], read: Read) -> AsyncGenerator[Event, None]:
    """Holds the text back to its end, where ``read`` makes one piece of it."""
    held: list[TextDelta] = []
    async for event in events:
        if isinstance(event, TextDelta):
            held.append(event)
            continue
        if isinstance(event, Done):
            yield read(held)
        yield event


def _only_json(deltas: Sequence[TextDelta]) -> TextDelta:
    """Removes what a model writes around its JSON, such as a Markdown fence."""
    text = "".join(delta.text for delta in deltas)
    found = re.match(r"[^\[{]*+([\[{].*[\]}])", text, re.DOTALL)
    return TextDelta(found[1] if found else text.strip())


def _refine(status: int, message: str) -> AgentError | None:
    """Maps refused schemas to an error; the ``refine`` of ``Wire``."""
    if status == 400 and re.search(r"schema|grammar|response_format", message, re.IGNORECASE):
        return UnsupportedFeatureError(
            f"the server cannot enforce the schema: {message}", hint="simplify the schema"
        )
    return None
