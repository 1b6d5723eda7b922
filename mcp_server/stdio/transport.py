"""The stdio transport: serves the host that started this process.

Pipes and sockets are read without a thread that the process waits for, so that a signal stops it at once: a
thread blocked in ``readline`` would hold it until the next message.
"""

import asyncio
import json
import logging
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
from anyio import AsyncFile
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPDeprecationWarning

from engines import system
from engines.middleware.background import background
from mcp_server.app import App
from mcp_server.project import Configured, of_paths, of_roots
from mcp_server.protocol.server import Context, build_server
from mcp_server.stdio.handshake import Backlog, pollable
from mcp_server.stdio.pipes import Writer, connected
from mcp_server.usage import Usage
from tools.base import Project

log = logging.getLogger(__name__)

MAX_LINE = 32 * 2**20
"""Largest message in bytes; a longer line ends the session, as framing is lost."""

ROOTS_TIMEOUT_S = 2.0


async def serve_stdio(app: App, project: Project, backlog: Backlog) -> None:
    """Serves until the host closes a pipe, SIGINT or SIGTERM; first replays the backlog of the handshake."""
    session = _SessionProject(app.settings.projects, project)
    server = build_server(app.dispatcher, session.project_of, Usage(app.ledger, app.targets))
    try:
        with anyio.CancelScope() as serving:
            async with (
                background(partial(system.cancel_on_signal, serving)),
                _wire(backlog) as (stdin, stdout),
                stdio_server(stdin, stdout) as (incoming, outgoing),
            ):
                await server.run(incoming, outgoing, server.create_initialization_options())
    except* ConnectionError:
        log.debug("the host does not read any more: the session ends")


class _SessionProject:
    """The project of a stdio session; MCP roots are requested at the first call that needs them."""

    def __init__(self, configured: Configured, project: Project) -> None:
        self._configured = configured
        self._project = project
        self._asked_roots = False

    async def project_of(self, context: Context, arguments: Mapping[str, Any]) -> Project:
        if self._project.root is None and not self._asked_roots:
            self._asked_roots = True
            self._project = of_roots(self._configured, await _roots(context)) or self._project
        if self._project.root is None:
            return of_paths(self._configured, arguments) or self._project
        return self._project


async def _roots(context: Context) -> list[str]:
    """Returns the MCP roots of the client; newer clients have none."""
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return []
    # Hosts show the warning to users, who cannot act on it.
    warnings.filterwarnings("ignore", category=MCPDeprecationWarning, module=__name__)
    with anyio.move_on_after(ROOTS_TIMEOUT_S):
        listed = await context.session.list_roots()  # pyright: ignore[reportDeprecated]  (for old clients)
        return [str(root.uri) for root in listed.roots]
    return []


@asynccontextmanager
async def _wire(backlog: Backlog) -> AsyncGenerator[tuple[AsyncFile[str] | None, AsyncFile[str] | None]]:
    """Yields standard input and output for the SDK; ``None`` (the SDK's threads) unless both are pipes."""
    if not (pollable(0) and pollable(1)):
        yield None, None
        return
    reader = asyncio.StreamReader(limit=MAX_LINE)
    reader.feed_data(backlog.read)
    async with connected(reader) as writer:
        yield (
            cast("AsyncFile[str]", _Lines(reader)),
            cast("AsyncFile[str]", _Writer(writer, backlog.answered)),
        )


class _Lines:
    """Iterates over lines of UTF-8 text with the interface of the SDK's file."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            line = await self._reader.readline()
        except ValueError:
            log.error("a message is over %d MiB: the session ends", MAX_LINE >> 20)
            line = b""
        if not line:
            raise StopAsyncIteration
        return line.decode(errors="replace")


class _Writer:
    """Writes for the SDK; drops answers to requests that the handshake answered."""

    def __init__(self, writer: Writer, answered: set[str | int]) -> None:
        self._writer = writer
        self._answered = answered

    async def write(self, text: str) -> None:
        if not (self._answered and self._was_answered(text)):
            self._writer.write(text.encode(errors="replace"))

    def _was_answered(self, text: str) -> bool:
        message = json.loads(text)
        if "method" in message or message.get("id") not in self._answered:
            return False
        self._answered.remove(message["id"])
        return True

    async def flush(self) -> None:
        await self._writer.drain()
