"""HTTP connection with limits on header size and on the time a request takes to arrive.

uvicorn's httptools protocol has neither limit: a caller without a token could fill the memory with
one header, or hold idle connections open.
"""

import asyncio
import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Largest request line and headers; nginx allows 32 KiB."""
RECEIVE_TIMEOUT_S = 60.0
"""From the connection's start, or a request's first byte, to the last byte of its body."""


class Connection(HttpToolsProtocol):
    """Answers 431 to headers that are too large and 408 to requests that do not arrive in time."""

    _head: int
    """Bytes received of a request whose headers are not complete."""
    _in_head: bool
    _receive_timeout: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head, self._in_head = 0, True
        self._receive_timeout = self.loop.call_later(
            RECEIVE_TIMEOUT_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._receive_timeout.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._in_head = 0, True
        self._receive_timeout.cancel()
        self._receive_timeout = self.loop.call_later(
            RECEIVE_TIMEOUT_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT
        )

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receive_timeout.cancel()
        super().on_message_complete()

    def _refuse(self, status: HTTPStatus) -> None:
        """Sends the refusal, unless a response is under way, and closes the connection."""
        self._receive_timeout.cancel()
        if self.transport.is_closing():
            return
        if not self.cycle or self.cycle.response_complete:
            self.transport.write(_refusal(status))
        self.transport.close()


def _refusal(status: HTTPStatus) -> bytes:
    error = {"message": status.phrase, "type": "invalid_request_error", "param": None, "code": "not_read"}
    body = json.dumps({"error": error}).encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
