"""Sends requests of an MCP session to the worker process that holds it.

A session of Streamable HTTP or SSE is the memory of one process, and the next connection of its client may
reach another. The session id, or the path of the SSE messages, therefore begins with the number of the
worker, and any other worker passes the request on to it. Requests without a session (2026-07-28, ``/v1``,
REST) are answered where they arrive.
"""

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines.http_client import HttpClient
from engines.http_connection import HttpError

SESSION = b"mcp-session-id"
MESSAGES = re.compile(r"/messages/(\d{1,2})/")
ROUTES = ("/mcp", "/messages/")

Headers = list[tuple[bytes, bytes]]

# Of the connection, or already checked or set by this worker.
_NOT_PASSED_ON = frozenset(
    (
        b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"host", b"origin", b"date",
        b"server", b"expect",
    )
)  # fmt: skip


class Place(anyio.AsyncContextManagerMixin):
    """Place of this process among the workers, and its client for requests to the others."""

    def __init__(self, index: int, ports: Sequence[int]) -> None:
        self.index = index
        self._ports = ports

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with HttpClient() as self._client:
            yield self

    @property
    def messages(self) -> str:
        """Path of the messages of this worker's SSE sessions."""
        return f"/messages/{self.index}/"

    def owner(self, scope: Scope) -> int:
        """Returns the worker that must answer."""
        found = MESSAGES.match(scope["path"])
        number = found[1] if found else next((_owner(v) for n, v in scope["headers"] if n == SESSION), "")
        index = int(number) if number else self.index
        return index if index < len(self._ports) else self.index

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Has the owner answer; a session whose worker ended is not found, so that its client begins anew."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, receive, group.cancel_scope)
            await self._relay(self.owner(scope), request, body, send)
            group.cancel_scope.cancel()

    async def _relay(self, owner: int, request: Request, body: bytes, send: Send) -> None:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        url = f"http://127.0.0.1:{self._ports[owner]}{request.url.path}{f'?{query}' if query else ''}"
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in _passed_on(scope["headers"])}
        try:
            answer = await self._client.request(request.method, url, headers=headers, body=body or None)
        except HttpError:
            await _not_found(scope, request.receive, send)
            return
        try:
            start = {"type": "http.response.start", "status": answer.status}
            await send({**start, "headers": _passed_on(answer.headers.items())})
            # If the worker ends within its answer, uvicorn closes the connection of the unfinished one.
            with suppress(HttpError):
                while piece := await answer.read_some():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            answer.close()


class SessionRouter:
    """ASGI middleware: answers requests of own sessions with ``app``, passes those of others on."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(ROUTES):
            await self._app(scope, receive, send)
        elif self._place.owner(scope) != self._place.index:
            await self._place.pass_on(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Removes the worker's number from the id for the SDK, and adds it for the client."""
        own = f"{self._place.index}-".encode()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [_named(n, v, own) for n, v in message["headers"]]}
            await send(message)

        bare = [(n, v.removeprefix(own) if n == SESSION else v) for n, v in scope["headers"]]
        await self._app({**scope, "headers": bare}, receive, named)


def _named(name: bytes, value: bytes, own: bytes) -> tuple[bytes, bytes]:
    return (name, own + value) if name.lower() == SESSION else (name, value)


def _owner(session: bytes) -> str:
    number, dash, _ = session.decode("latin-1").partition("-")
    return number if dash and number.isdecimal() and number.isascii() and len(number) <= 2 else ""


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if name not in _NOT_PASSED_ON]


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    error = {"code": -32600, "message": "Session not found"}
    await JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 404)(scope, receive, send)
