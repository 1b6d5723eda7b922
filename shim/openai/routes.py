"""The routes ``/v1/chat/completions`` and ``/v1/models``."""

import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from starlette.routing import Route

from engines.base import Completion, Done, JsonObject, Model
from engines.errors import EngineInterruptedError, UnknownModelError
from shim.caller import caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes
from shim.errors import openai_body
from shim.exchange import Endpoint, Exchange
from shim.openai.translate import TIER_TARGETS, Chunks, Target, chat_call, chat_completion, completion_of
from shim.openai.wire import OWNER, parse_chat
from tools.base import Call, Receipt

Aliases = Mapping[str, str]
"""Model name by alias, without circles; ``ANY_NAME`` is the alias of all names that nothing has."""

NO_ALIASES: Aliases = MappingProxyType({})
ANY_NAME = "*"
FRESH_S = 10.0
"""Time after which the engines are asked again for a name that ``ANY_NAME`` answered."""


def routes(dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases = NO_ALIASES) -> list[Route]:
    """Returns the routes of chat completions and models."""
    chat = ChatCompletions(dispatcher, project_of, aliases)
    models = Models(dispatcher, aliases)
    return [
        Route("/v1/chat/completions", Endpoint(chat, openai_body), methods=["POST"]),
        Route("/v1/models", Endpoint(models.index, openai_body), methods=["GET"]),
        # :path because model names contain slashes
        Route("/v1/models/{name:path}", Endpoint(models.retrieve, openai_body), methods=["GET"]),
    ]


class ModelNames:
    """Resolves ``model`` to a tier, model or adapter; queries the engines only for unknown names."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        aliases: Aliases = NO_ALIASES,
        kind: Literal["chat", "embedding"] = "chat",
    ) -> None:
        self._dispatcher = dispatcher
        self._aliases = aliases
        self._kind = kind
        self._targets: dict[str, Target] = dict(TIER_TARGETS)
        self._stale_at = 0.0

    async def target(self, name: str) -> Target:
        """Returns the target of ``name`` or of its alias; the first engine that has it wins.

        Raises:
            UnknownModelError: no engine has it.
        """
        name = followed(name, self._aliases)
        if name not in self._targets and not (ANY_NAME in self._aliases and self._is_fresh()):
            self._stale_at = time.monotonic() + FRESH_S
            found = [model for model in await self._dispatcher.models() if model.kind == self._kind]
            self._targets = {model.name: _target(model) for model in reversed(found)} | TIER_TARGETS
        if name not in self._targets:
            name = followed(ANY_NAME, self._aliases) if ANY_NAME in self._aliases else name
        if name not in self._targets:
            raise unknown_model(name, self._targets)
        return self._targets[name]

    def _is_fresh(self) -> bool:
        return time.monotonic() < self._stale_at


class ChatCompletions:
    """``POST /v1/chat/completions``, whole or streamed."""

    def __init__(self, dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases = NO_ALIASES) -> None:
        self._dispatcher = dispatcher
        self._project_of = project_of
        self._names = ModelNames(dispatcher, aliases)

    async def __call__(self, exchange: Exchange) -> None:
        request = parse_chat(exchange.json())
        caller = caller_of(exchange, self._project_of, {})
        name = request.model or "auto"
        call = chat_call(request, await self._names.target(name), caller)
        if request.stream:
            include_usage = bool((request.stream_options or {}).get("include_usage"))
            await self._stream(exchange, call, Chunks(name, include_usage))
        else:
            completion, receipt = await self._answer(call)
            body = chat_completion(completion, receipt, model=name)
            await exchange.reply(json_bytes(body))

    async def _answer(self, call: Call) -> tuple[Completion, Receipt]:
        """Returns the whole answer and its receipt.

        The tool validates and repairs an answer under a schema. Other answers are the engine's, with
        finish reason, tool calls and logprobs.
        """
        sampling = call.sampling
        if "schema" in call.arguments and not sampling.tools and sampling.logprobs is None:
            result = await self._dispatcher.run(call)
            return completion_of(result), result.receipt
        return await self._dispatcher.complete(call)

    async def _stream(self, exchange: Exchange, call: Call, chunks: Chunks) -> None:
        done: Done | None = None
        async with self._dispatcher.stream(call) as stream:
            async for event in stream.events:
                if isinstance(event, Done):
                    done = event
                else:
                    await exchange.event(chunks.delta(event))
            if done is None:
                raise EngineInterruptedError("the engine's answer stopped before its end", hint="ask again")
            receipt = stream.receipt
        await exchange.last_event(chunks.end(done, receipt))


class Models:
    """``GET /v1/models`` and ``/v1/models/{name}``."""

    def __init__(self, dispatcher: Dispatcher, aliases: Aliases = NO_ALIASES) -> None:
        self._dispatcher = dispatcher
        self._aliases = aliases

    async def index(self, exchange: Exchange) -> None:
        offered = await self._offered()
        await exchange.reply(json_bytes({"object": "list", "data": [*offered.values()]}))

    async def retrieve(self, exchange: Exchange) -> None:
        name = exchange.path("name")
        offered = await self._offered()
        any_model = offered.get(followed(ANY_NAME, self._aliases))
        if name not in offered and any_model:
            offered[name] = _alias_body(name, any_model)
        if name not in offered:
            raise unknown_model(name, offered)
        await exchange.reply(json_bytes(offered[name]))

    async def _offered(self) -> dict[str, JsonObject]:
        """Returns the tiers, then the engines' models, then the aliases whose model is among them."""
        contexts = await self._dispatcher.contexts()
        largest = max(contexts.values(), default=0)
        tiers = [Model(name, OWNER, context=contexts.get(name, largest)) for name in TIER_TARGETS]
        models = [*tiers, *(await self._dispatcher.models())]
        bodies = {model.name: _model_body(model) for model in reversed(models)}
        bodies = {model.name: bodies[model.name] for model in models}
        named = {alias: bodies.get(followed(alias, self._aliases)) for alias in self._aliases}
        return bodies | {
            alias: _alias_body(alias, body) for alias, body in named.items() if body and alias != ANY_NAME
        }


def unknown_model(name: str, known: Iterable[str]) -> UnknownModelError:
    """Returns the error for a name that no engine has, with the known names as its hint."""
    return UnknownModelError(f"no model {name!r}", hint=f"one of {', '.join(known)}")


def _target(model: Model) -> Target:
    return Target(adapter=model.name) if model.base else Target(model=model.name)


def followed(name: str, aliases: Aliases) -> str:
    """Returns what ``name`` stands for; itself if it is no alias."""
    while name in aliases:
        name = aliases[name]
    return name


def _alias_body(alias: str, body: JsonObject) -> JsonObject:
    return {**body, "id": alias, "owned_by": OWNER, "root": body["id"]}


def _model_body(model: Model) -> JsonObject:
    """Returns a model in OpenAI's format, with its context under OpenRouter's name and under vLLM's."""
    body: JsonObject = {"id": model.name, "object": "model", "created": 0, "owned_by": model.engine}
    if model.base:
        body["parent"] = model.base
    if model.context:
        body |= {"context_length": model.context, "max_model_len": model.context}
    return body
