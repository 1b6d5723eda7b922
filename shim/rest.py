"""REST routes: the tools, ``/health``, ``/ready`` and ``/openapi.json``."""

from collections.abc import Sequence

from starlette.routing import Route

from engines.base import JsonObject, JsonValue
from engines.errors import UnknownToolError
from shim.caller import caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes
from shim.errors import rest_body
from shim.exchange import Endpoint, Exchange
from tools.base import Call
from tools.catalog import ToolDefinition


def routes(dispatcher: Dispatcher, project_of: ProjectOf, version: str) -> list[Route]:
    """Returns the REST routes."""
    tools = Tools(dispatcher, project_of)
    state = State(dispatcher, version)
    return [
        Route("/mcp/tools", Endpoint(tools.index, rest_body), methods=["GET"]),
        Route("/mcp/tools/{name}", Endpoint(tools.call, rest_body), methods=["POST"]),
        Route("/health", Endpoint(state.health, rest_body), methods=["GET"]),
        Route("/ready", Endpoint(state.ready, rest_body), methods=["GET"]),
        Route("/openapi.json", Endpoint(state.openapi, rest_body), methods=["GET"]),
    ]


class Tools:
    """``GET /mcp/tools`` and ``POST /mcp/tools/{name}``."""

    def __init__(self, dispatcher: Dispatcher, project_of: ProjectOf) -> None:
        self._dispatcher = dispatcher
        self._project_of = project_of
        self._names = [tool.name for tool in dispatcher.catalogue]

    async def index(self, exchange: Exchange) -> None:
        await exchange.reply(json_bytes({"tools": definitions(self._dispatcher.catalogue)}))

    async def call(self, exchange: Exchange) -> None:
        """Runs the tool; returns its fields and the receipt."""
        name = exchange.path("name")
        if name not in self._names:
            raise UnknownToolError(f"no tool {name!r}", hint=f"one of {', '.join(self._names)}")
        arguments = exchange.json()
        caller = caller_of(exchange, self._project_of, arguments)
        result = await self._dispatcher.run(
            Call(name, arguments, project=caller.project, agent=caller.agent, tier=caller.tier)
        )
        answer: JsonObject = {**result.fields, "receipt": result.receipt.as_json()}
        await exchange.reply(json_bytes(answer))


class State:
    """``GET /health``, ``/ready`` and ``/openapi.json``."""

    def __init__(self, dispatcher: Dispatcher, version: str) -> None:
        self._dispatcher = dispatcher
        self._version = version
        self._document = b""

    async def health(self, exchange: Exchange) -> None:
        """Reports that the process runs, whatever the state of the engines."""
        await exchange.reply(json_bytes({"status": "ok", "version": self._version}))

    async def ready(self, exchange: Exchange) -> None:
        """Returns the engine and model that would answer; an ``unavailable`` error if there is none."""
        profile = await self._dispatcher.ready()
        await exchange.reply(
            json_bytes({"status": "ready", "engine": profile.engine, "model": profile.model})
        )

    async def openapi(self, exchange: Exchange) -> None:
        if not self._document:
            from shim.openapi import document

            self._document = json_bytes(document(self._dispatcher.catalogue, self._version))
        await exchange.reply(self._document)


def definitions(catalogue: Sequence[ToolDefinition]) -> list[JsonValue]:
    """Returns the tools in MCP's ``tools/list`` format."""
    listed: list[JsonValue] = []
    for tool in catalogue:
        schemas: dict[str, JsonValue] = {"inputSchema": tool.input_schema}
        if tool.output_schema is not None:
            schemas["outputSchema"] = tool.output_schema
        listed.append({"name": tool.name, "description": tool.description, **schemas})
    return listed
