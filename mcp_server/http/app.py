"""The HTTP transport: one Starlette app with MCP over Streamable HTTP and SSE, ``/v1`` and REST."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from mcp.server import lowlevel
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines import system
from engines.middleware.background import background
from mcp_server.app import App
from mcp_server.http import metrics
from mcp_server.http.connection import Connection
from mcp_server.http.listening import listening
from mcp_server.http.local import project_of_process
from mcp_server.http.metrics import Collect
from mcp_server.http.security import Guard, check_listening
from mcp_server.http.sessions import Place, SessionRouter
from mcp_server.project import named, of_paths
from mcp_server.protocol.server import Context, build_server
from mcp_server.settings import HttpSettings
from mcp_server.usage import Usage
from mcp_server.version import VERSION
from shim import rest
from shim.openai import completions, embeddings
from shim.openai import routes as openai
from shim.responses import routes as responses
from shim.unrouted import unrouted
from tools.base import Project

# ``Guard`` checks Host and Origin on every route, so the SDK's own check is off.
_GUARDED = TransportSecuritySettings(enable_dns_rebinding_protection=False)

GRACE_S = 2.0
"""Time for running calls to end after a signal; then their connections are closed."""
SHUTDOWN_S = 3
"""After this time uvicorn cancels remaining requests and logs an error."""


def build_http(app: App, place: Place | None = None, collect: Collect | None = None) -> ASGIApp:
    """Returns the ASGI app with all routes of ``app``, behind the ``Guard``.

    ``place`` and ``collect`` are a worker's: its place among the others, and the metrics of all.
    """
    settings = app.settings

    def project_by_header(header: str, arguments: Mapping[str, Any]) -> Project:
        found = None if header else of_paths(settings.projects, arguments)
        return found or named(settings.projects, header)

    async def project_of(context: Context, arguments: Mapping[str, Any]) -> Project:
        headers = cast("Mapping[str, str]", getattr(context.request, "headers", {}))
        if found := await project_of_process(settings.projects, settings.http.port, headers):
            return found
        return project_by_header(headers.get("x-project", ""), arguments)

    server = build_server(app.dispatcher, project_of, Usage(app.ledger, app.targets))
    others: list[BaseRoute] = [
        *openai.routes(app.dispatcher, project_by_header, settings.aliases),
        *responses.routes(app.dispatcher, project_by_header, settings.aliases),
        *completions.routes(app.dispatcher, project_by_header, settings.aliases),
        *embeddings.routes(app.dispatcher, project_by_header, settings.aliases),
        *rest.routes(app.dispatcher, project_by_header, VERSION),
        *metrics.routes(app, collect),
    ]
    return mounted(server, settings.http, others, place)


def mounted(
    server: lowlevel.Server[Any],
    http: HttpSettings,
    others: Sequence[BaseRoute] = (),
    place: Place | None = None,
) -> ASGIApp:
    """Returns the app of ``server`` over Streamable HTTP and SSE and of ``others``, behind a ``Guard``."""
    max_body = http.max_body_mib * 2**20
    streamable = server.streamable_http_app(transport_security=_GUARDED, max_request_body_size=max_body)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with server.session_manager.run():
            yield

    for route in streamable.routes:
        if isinstance(route, Route):
            route.app = Completed(route.app)
    messages = place.messages if place else "/messages/"
    # Starlette matches routes in order: the most requested come first.
    routes = [*others, *streamable.routes, *_sse_routes(server, messages, max_body)]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: unrouted})
    return Guard(SessionRouter(app, place) if place else app, http)


class Completed:
    """ASGI middleware: ends the answers that the SDK leaves open when their session is ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        last: Message = {}

        async def noted(message: Message) -> None:
            nonlocal last
            last = message
            await send(message)

        await self._app(scope, receive, noted)
        if not last:
            await JSONResponse({"error": "the session has ended"}, 404)(scope, receive, send)
        elif last["type"] == "http.response.start" or last.get("more_body"):
            await send({"type": "http.response.body", "body": b""})


def _sse_routes(server: lowlevel.Server[Any], messages: str, max_body: int) -> list[BaseRoute]:
    """Returns the routes of the SSE transport: the stream at ``/sse``, and the path of its messages."""
    transport = SseServerTransport(messages, security_settings=_GUARDED, max_request_body_size=max_body)

    class Stream:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async with transport.connect_sse(scope, receive, send) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())

    return [
        Route("/sse", endpoint=Stream(), methods=["GET"]),
        Mount(messages, app=transport.handle_post_message),
    ]


async def serve_http(app: App, announce: Callable[[str, int], None]) -> None:
    """Serves until SIGINT or SIGTERM; calls ``announce`` with host and port once it listens.

    Raises:
        SettingsError: the address needs a token and there is none.
        PortTakenError: another process listens there.
    """
    check_listening(app.settings.http)
    await serve_at(build_http(app), app.settings.http, announce)


async def serve_at(
    asgi: ASGIApp, http: HttpSettings, announce: Callable[[str, int], None] | None = None
) -> None:
    """Serves ``asgi`` at the address of ``http`` until SIGINT or SIGTERM.

    Raises:
        PortTakenError: another process listens there.
    """
    with listening(http.host, http.port) as listener:

        def started() -> None:
            if announce:
                announce(http.host, listener.getsockname()[1])

        await Server(configured(asgi), started).serve_until_signal([listener])


def configured(asgi: ASGIApp) -> uvicorn.Config:
    """Returns the uvicorn configuration for ``asgi``."""
    return uvicorn.Config(
        asgi,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers, which raise the signal again after a clean stop."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def serve_until_signal(self, listeners: list[socket.socket]) -> None:
        """Serves until ``stop``, SIGINT or SIGTERM; a second signal does not wait for open calls."""
        with system.stop_signals() as signals:
            async with background(partial(self._stop_on, signals)):
                await self.serve(sockets=listeners)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def stop(self) -> None:
        """Accepts no more connections; closes the open ones after ``GRACE_S``."""
        self.should_exit = True
        asyncio.get_running_loop().call_later(GRACE_S, self._close_connections)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def _stop_on(self, signals: AsyncIterator[signal.Signals]) -> None:
        await anext(signals)
        self.stop()
        async for _ in signals:
            self.force_exit = True

    def _close_connections(self) -> None:
        """Cancels the calls that still run."""
        for connection in self.server_state.connections:
            if connection.transport:
                connection.transport.close()
