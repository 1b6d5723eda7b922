"""The routes ``/v1/chat/completions`` and ``/v1/models``."""

from collections.abc import Iterable

from starlette.routing import Route

from engines.base import Completion, Done, JsonObject, JsonValue, Model, collect
from engines.errors import EngineInterruptedError, UnknownModelError
from shim.caller import caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes
from shim.errors import openai_body
from shim.exchange import Endpoint, Exchange
from shim.openai.translate import TIER_TARGETS, Chunks, Target, chat_call, chat_completion, completion_of
from shim.openai.wire import OWNER, parse_chat
from tools.base import Call, Receipt


def routes(dispatcher: Dispatcher, project_of: ProjectOf) -> list[Route]:
    """Returns the routes of chat completions and models."""
    chat = ChatCompletions(dispatcher, project_of)
    models = Models(dispatcher)
    return [
        Route("/v1/chat/completions", Endpoint(chat, openai_body), methods=["POST"]),
        Route("/v1/models", Endpoint(models.index, openai_body), methods=["GET"]),
        # :path because model names contain slashes
        Route("/v1/models/{name:path}", Endpoint(models.retrieve, openai_body), methods=["GET"]),
    ]


class ModelNames:
    """Resolves ``model`` to a tier, model or adapter; queries the engines only for unknown names."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._targets: dict[str, Target] = dict(TIER_TARGETS)

    async def target(self, name: str) -> Target:
        """Returns the target of ``name``; the first engine that has it wins.

        Raises:
            UnknownModelError: no engine has it.
        """
        if name not in self._targets:
            found = await self._dispatcher.models()
            self._targets = {model.name: _target(model) for model in reversed(found)} | TIER_TARGETS
        if name not in self._targets:
            raise unknown_model(name, self._targets)
        return self._targets[name]


class ChatCompletions:
    """``POST /v1/chat/completions``, whole or streamed."""

    def __init__(self, dispatcher: Dispatcher, project_of: ProjectOf) -> None:
        self._dispatcher = dispatcher
        self._project_of = project_of
        self._names = ModelNames(dispatcher)

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

        The tool validates and repairs an answer under a schema. Other answers are collected from the
        engine's events, which contain the finish reason, tool calls and logprobs.
        """
        sampling = call.sampling
        if "schema" in call.arguments and not sampling.tools and sampling.logprobs is None:
            result = await self._dispatcher.run(call)
            return completion_of(result), result.receipt
        async with self._dispatcher.stream(call) as stream:
            events = stream.events
            completion = await collect(events)
            await anext(events, None)  # exhaust it
            return completion, stream.receipt

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

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def index(self, exchange: Exchange) -> None:
        offered = await self._offered()
        await exchange.reply(json_bytes({"object": "list", "data": list(offered.values())}))

    async def retrieve(self, exchange: Exchange) -> None:
        name = exchange.path("name")
        offered = await self._offered()
        if name not in offered:
            raise unknown_model(name, offered)
        await exchange.reply(json_bytes(offered[name]))

    async def _offered(self) -> dict[str, JsonValue]:
        bodies: dict[str, JsonValue] = {name: _model_body(Model(name, OWNER)) for name in TIER_TARGETS}
        for model in await self._dispatcher.models():
            bodies.setdefault(model.name, _model_body(model))
        return bodies


def unknown_model(name: str, known: Iterable[str]) -> UnknownModelError:
    """Returns the error for a name that no engine has, with the known names as its hint."""
    return UnknownModelError(f"no model {name!r}", hint=f"one of {', '.join(known)}")


def _target(model: Model) -> Target:
    return Target(adapter=model.name) if model.base else Target(model=model.name)


def _model_body(model: Model) -> JsonObject:
    body: JsonObject = {"id": model.name, "object": "model", "created": 0, "owned_by": model.engine}
    return body | {"parent": model.base} if model.base else body
