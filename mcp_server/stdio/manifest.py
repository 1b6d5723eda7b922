"""Generates ``manifest.json``: the MCP server's answers to the handshake and to list requests.

    python -P -m mcp_server.stdio.manifest

Run it after a change to the definitions, the instructions, the version or the SDK; a test fails if it is
out of date.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCNotification, JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from engines.tokens import LazyEstimator
from mcp_server.folders import folders
from mcp_server.protocol.server import Context, build_server
from mcp_server.stdio.handshake import MANIFEST, MODERN
from mcp_server.usage import Usage
from tools.base import Project
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.structured import compact

CLIENT = {"name": "manifest", "version": "0"}

LISTS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("tools/list", {}),
)
"""Requests that hosts send after the handshake, in any order."""

Outcomes = dict[str, Any]


class _NoDispatcher(Dispatcher):
    """A dispatcher without engines: listing needs none."""

    def __init__(self) -> None:
        pass


async def generate() -> dict[str, Outcomes]:
    """Returns the MCP server's answers by version and method, and the token count of the definitions."""
    manifest: dict[str, Outcomes] = {"unopened": await _answers([("server/discover", {})])}
    for version in HANDSHAKE_PROTOCOL_VERSIONS:
        opening = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
        manifest[version] = await _answers([("initialize", opening), ("ping", {}), *LISTS])
    for version in MODERN_PROTOCOL_VERSIONS:
        envelope = {
            MODERN: version,
            "io.modelcontextprotocol/clientInfo": CLIENT,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        requests = [(method, {"_meta": envelope}) for method in ("server/discover", *dict(LISTS))]
        manifest[version] = await _answers(requests)
    manifest["definitions"] = {"tokens": await _tokens(manifest[HANDSHAKE_PROTOCOL_VERSIONS[-1]])}
    return manifest


async def _tokens(outcomes: Outcomes) -> int:
    """Returns the tokens of the tool definitions and the instructions."""
    instructions = str(outcomes["initialize"]["result"]["instructions"])
    estimator = await LazyEstimator(folders().cache / "tokens").get()
    return estimator.count(instructions + compact(outcomes["tools/list"]["result"]["tools"]))


async def _answers(requests: Sequence[tuple[str, Mapping[str, Any]]]) -> Outcomes:
    """Returns the answers of one connection to these requests."""

    async def nobody(context: Context, arguments: Mapping[str, Any]) -> Project:
        return Project()

    server = build_server(_NoDispatcher(), nobody, Usage())
    outcomes: Outcomes = {}
    async with create_client_server_memory_streams() as (client, ours), anyio.create_task_group() as group:
        group.start_soon(server.run, *ours, server.create_initialization_options())
        incoming, outgoing = client
        for number, (method, params) in enumerate(requests):
            request = JSONRPCRequest(jsonrpc="2.0", id=number, method=method, params=dict(params))
            await outgoing.send(SessionMessage(request))
            answer = await incoming.receive()
            assert isinstance(answer, SessionMessage)
            body = answer.message.model_dump(by_alias=True, exclude_unset=True, mode="json")
            outcomes[method] = {key: body[key] for key in ("result", "error") if key in body}
            if method == "initialize":
                done = JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
                await outgoing.send(SessionMessage(done))
        group.cancel_scope.cancel()
    return outcomes


if __name__ == "__main__":
    MANIFEST.write_text(json.dumps(anyio.run(generate), ensure_ascii=False, indent=1) + "\n")
