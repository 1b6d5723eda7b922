"""ASGI endpoint for one request and its response, cancelled when the client disconnects.

Raw ASGI instead of ``Request``/``Response``: generation must stop when the client disconnects, and an
error can occur after the first byte of a stream.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import cast

import anyio
from pydantic_core import from_json
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from engines.base import JsonObject
from engines.errors import AgentError, InvalidArgumentsError
from shim.encoding import json_bytes, sse
from shim.errors import ErrorBody, RawHeaders, headers_of, status_of

log = logging.getLogger(__name__)

JSON_TYPE = (b"content-type", b"application/json")
EVENT_HEADERS: RawHeaders = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # without it nginx buffers the stream
    (b"x-accel-buffering", b"no"),
)
STALLED_AFTER_S = 60.0
"""A client that reads nothing for this long is disconnected, which frees its slot at the engine."""


class Exchange:
    """A request and its response; names of headers are in lower case."""

    __slots__ = ("_headers", "_scope", "_send", "_write_timeout", "body", "started")

    def __init__(self, scope: Scope, send: Send, write_timeout: anyio.CancelScope) -> None:
        self.body = b""
        self.started = False
        """Whether a stream's status line was sent; then an error can only be another event."""
        self._scope = scope
        self._send = send
        self._write_timeout = write_timeout
        self._headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))

    def header(self, name: bytes) -> str:
        """Returns the header; empty if missing."""
        return self._headers.get(name, b"").decode("latin-1").strip()

    def path(self, name: str) -> str:
        """Returns the path parameter ``name``."""
        return cast("dict[str, str]", self._scope["path_params"])[name]

    def json(self) -> JsonObject:
        """Parses the body.

        Raises:
            InvalidArgumentsError: it is not a JSON object.
        """
        try:
            value: object = from_json(self.body, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidArgumentsError(
                f"the request body is not JSON: {error}", hint="send a JSON object as the body"
            ) from None
        if not isinstance(value, dict):
            raise InvalidArgumentsError(
                "the request body is not a JSON object", hint="send {...}, not a list or a bare value"
            )
        return cast("JsonObject", value)

    async def reply(self, body: bytes, status: int = 200, headers: RawHeaders = ()) -> None:
        """Sends a complete JSON response."""
        start = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": start})
        await self._send({"type": "http.response.body", "body": body})

    async def event(self, data: bytes) -> None:
        """Sends one or more server-sent events; the first call sends the status line."""
        await self._send_event(data, more=True)

    async def last_event(self, data: bytes) -> None:
        """Sends the last event and ends the response.

        The server reports a disconnect right after it, which cancels the request: close every context
        that must not be cancelled before.
        """
        await self._send_event(data, more=False)

    async def _send_event(self, data: bytes, *, more: bool) -> None:
        self._write_timeout.deadline = anyio.current_time() + STALLED_AFTER_S
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": EVENT_HEADERS})
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._write_timeout.deadline = math.inf


Answer = Callable[[Exchange], Awaitable[None]]


class Endpoint:
    """ASGI app of a route: runs ``answer``, sends errors as ``error_body``, cancels on disconnect."""

    def __init__(self, answer: Answer, error_body: ErrorBody) -> None:
        self._answer = answer
        self._error_body = error_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # asyncio's task group costs 7 us a request, anyio's 53.
        async with asyncio.TaskGroup() as group:
            with anyio.CancelScope() as scope_of_client:
                exchange = Exchange(scope, send, scope_of_client)
                try:
                    exchange.body = await _read(receive)
                    await self._answer_until_disconnect(
                        exchange, group.create_task(_cancel_on_disconnect(receive, scope_of_client))
                    )
                except ClientDisconnect:
                    pass
                except AgentError as error:
                    await self._fail(exchange, error)
                except Exception:
                    log.exception("a request failed")
                    fault = AgentError("internal error", hint="the server's log has the details")
                    await self._fail(exchange, fault)

    async def _answer_until_disconnect(self, exchange: Exchange, watcher: asyncio.Task[None]) -> None:
        try:
            await self._answer(exchange)
        finally:
            watcher.cancel()

    async def _fail(self, exchange: Exchange, error: AgentError) -> None:
        body = self._error_body(error)
        if exchange.started:
            await exchange.last_event(sse(body))
        else:
            await exchange.reply(json_bytes(body), status_of(error), headers_of(error))


async def _read(receive: Receive) -> bytes:
    """Returns the whole body.

    Raises:
        ClientDisconnect: the client disconnected while sending it.
        AgentError: a middleware refuses the body as too large.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _cancel_on_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancels ``scope`` when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
