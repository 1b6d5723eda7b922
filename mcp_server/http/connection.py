"""One connection to the HTTP server: how much may arrive before a request is one, and how long that may take.

uvicorn's reader on httptools has no limit for either: a caller without a token could fill the memory with
one header, or hold connections open by saying nothing.
"""

import asyncio
import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Of a request's line and headers; nginx takes 32 KiB."""
ARRIVES_S = 60.0
"""From a connection's first moment, or a request's first byte, to the last byte of its body."""


class Connection(HttpToolsProtocol):
    """Refuses with 431 what begins too large, with 408 what does not arrive."""

    _head: int
    """Bytes since the request began, while its headers are not complete."""
    _in_head: bool
    _late: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head, self._in_head = 0, True
        self._late = self.loop.call_later(ARRIVES_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
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
        self._late.cancel()
        self._late = self.loop.call_later(ARRIVES_S, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._late.cancel()
        super().on_message_complete()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, unless an answer is under way, and close."""
        self._late.cancel()
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
