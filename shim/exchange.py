"""One HTTP request and its way back: read whole, answered once, dropped when the client goes.

Raw ASGI and not ``Request``/``Response`` because an answer that is still being generated must
stop when nobody waits for it, and because an error can come after the first byte of a stream.
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
    # nginx holds a stream back without it
    (b"x-accel-buffering", b"no"),
)
STALLED_AFTER_S = 60.0
"""A reader that takes nothing for so long is gone; its place at the engine goes to somebody else."""


class Exchange:
    """What an endpoint works with. Names of headers are given in lower case."""

    __slots__ = ("_headers", "_patience", "_scope", "_send", "body", "started")

    def __init__(self, scope: Scope, send: Send, patience: anyio.CancelScope) -> None:
        self.body = b""
        self.started = False
        """The status line of a stream has been sent: an error can only be another event."""
        self._scope = scope
        self._send = send
        self._patience = patience
        self._headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))

    def header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode("latin-1").strip()

    def path(self, name: str) -> str:
        """The parameter ``name`` of the route's path."""
        return cast("dict[str, str]", self._scope["path_params"])[name]

    def json(self) -> JsonObject:
        """The body.

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
        """The whole answer, as JSON."""
        start = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": start})
        await self._send({"type": "http.response.body", "body": body})

    async def event(self, data: bytes) -> None:
        """One or more server-sent events; the first of them sends the status line."""
        await self._send_event(data, more=True)

    async def last_event(self, data: bytes) -> None:
        """As ``event``, then close.

        The server reports the client as gone right after it, and that cancels: leave every context
        that must end in peace before.
        """
        await self._send_event(data, more=False)

    async def _send_event(self, data: bytes, *, more: bool) -> None:
        self._patience.deadline = anyio.current_time() + STALLED_AFTER_S
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": EVENT_HEADERS})
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._patience.deadline = math.inf


Answer = Callable[[Exchange], Awaitable[None]]


class Endpoint:
    """A route's ASGI application: ``answer``, errors in the body of this door, stopped when alone."""

    def __init__(self, answer: Answer, error_body: ErrorBody) -> None:
        self._answer = answer
        self._error_body = error_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # asyncio's group and not anyio's, for one watcher: 7 us a request where anyio takes 53.
        async with asyncio.TaskGroup() as group:
            with anyio.CancelScope() as alone:
                exchange = Exchange(scope, send, alone)
                try:
                    exchange.body = await _read(receive)
                    await self._answer_while_there(exchange, group.create_task(_gone(receive, alone)))
                except ClientDisconnect:
                    pass
                except AgentError as error:
                    await self._fail(exchange, error)
                except Exception:
                    log.exception("a request failed")
                    fault = AgentError("internal error", hint="the server's log has the details")
                    await self._fail(exchange, fault)

    async def _answer_while_there(self, exchange: Exchange, watcher: asyncio.Task[None]) -> None:
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
    """The whole body.

    Raises:
        ClientDisconnect: the client left while sending it.
        AgentError: what a wrapper around us raises, of a body that grows too large.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel ``scope`` when the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
