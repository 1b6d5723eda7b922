"""Pooled HTTP/1.1 connections on asyncio's protocols and httptools' parser.

Above: ``http_client``, which opens them.
"""

import asyncio
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD_BYTES = 64 << 10
"""Limit of what arrives between two pieces of a body, checked after each read of up to 256 KiB."""
UNREAD_BYTES = 256 << 10
"""Received data that waits to be read; with more, nothing is taken from the socket."""
BODY_BYTES = 256 << 20
"""Limit of a body that is read as a whole."""


class HttpError(Exception):
    """A request had no complete answer."""


class InvalidRequestError(HttpError):
    """The URL is not that of an HTTP server, or a header has a character that must not be sent."""


class CannotConnectError(HttpError):
    """No connection to the server: its name, address, TLS, or a timeout."""


class ConnectionBrokenError(HttpError):
    """The connection ended before the answer did, or the answer is not HTTP or too large."""


class Origin(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    tls: bool


class Pool:
    """All connections of a client; idle ones are taken again for a limited time."""

    def __init__(self, keepalive_s: float) -> None:
        self._keepalive_s = keepalive_s
        self._open: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, float]] = {}
        """Idle connections and when each is closed, the next to be closed first."""
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def add(self, connection: "Connection") -> None:
        self._open.add(connection)
        if self._closed:
            connection.close("the client is closed")

    def remove(self, connection: "Connection") -> None:
        self._open.discard(connection)
        self._idle.get(connection.origin, {}).pop(connection, None)

    def take(self, origin: "Origin") -> "Connection | None":
        """Returns the idle connection that was used last."""
        idle = self._idle.get(origin)
        return idle.popitem()[0] if idle else None

    def give_back(self, connection: "Connection") -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._keepalive_s
        self._idle.setdefault(connection.origin, {})[connection] = until
        if not self._timer:
            self._timer = loop.call_at(until, self._close_idle)

    def _close_idle(self) -> None:
        """Closes the connections whose time is over, and comes back for the next."""
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        times = [(until, connection) for idle in self._idle.values() for connection, until in idle.items()]
        for until, connection in times:
            if until <= now:
                connection.close("it was idle")
        if later := [until for until, _ in times if until > now]:
            self._timer = loop.call_at(min(later), self._close_idle)

    def close(self) -> None:
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for connection in list(self._open):
            connection.close("the client was closed")


class Connection(asyncio.Protocol):
    """One connection, as asyncio's protocol and as the parser's: one request and answer at a time."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self.origin = origin
        self.answering = False
        """A byte of the answer has arrived."""
        self._pool = pool
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: Response | None = None
        """The one that is arriving."""
        self._keep = False
        """The server keeps the connection open after this answer."""
        self._until_closed = False
        """Only the end of the connection ends this answer."""
        self._without_body = 0
        """Bytes received since the last piece of a body."""
        self._paused = False

    async def ask(self, data: bytes) -> "Response":
        self.answering = False
        if self._transport.is_closing():
            raise ConnectionBrokenError("the connection is closed")
        self._without_body = 0
        answer = self._answer = Response(self)
        self._transport.write(data)
        await answer.begin()
        return answer

    def close(self, reason: str) -> None:
        """Closes the connection at once, which tells the server that nobody waits for its answer."""
        self._ended(reason)
        self._transport.abort()

    def resume(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and self._until_closed and not exc:
            self._answer.complete = True
        self._ended(str(exc or "") or "the server closed the connection")

    def _ended(self, reason: str) -> None:
        self._pool.remove(self)
        if answer := self._answer:
            self._answer = None
            answer.failure = reason
            answer.wake()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if not answer:
            self.close("data without a request, which would be taken for the next answer")
            return
        self.answering = True
        self._without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._keep = False
            if not answer.complete:
                self.close(f"the answer is not HTTP: {error}")
                return
        if answer.complete:
            self._answer = None
            self._give_back()
        elif self._without_body > HEAD_BYTES:
            self.close("the head of the answer is too large")
        elif answer.unread > UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if answer.status:
            answer.wake()

    def _give_back(self) -> None:
        if self._keep and not self._transport.get_write_buffer_size():
            self._pool.give_back(self)
        else:
            self.close("the connection cannot be used again")

    def on_message_begin(self) -> None:
        if self._answer and self._answer.complete:
            raise ValueError("data after the answer")  # ends the parsing

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer and not self._answer.status:  # else it is a trailer
            self._answer.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._answer and status >= 200:
            headers = self._answer.headers
            coding = headers.get(b"transfer-encoding", b"")
            chunked = coding.rstrip().lower().endswith(b"chunked")
            self._until_closed = not (chunked or (b"content-length" in headers and not coding))
            self._answer.status = status

    def on_body(self, body: bytes) -> None:
        self._without_body = 0
        if self._answer:
            self._answer.add(body)

    def on_message_complete(self) -> None:
        if self._answer:
            self._answer.complete = self._answer.status > 0
            self._keep = self._parser.should_keep_alive()
            if not self._answer.complete:  # an interim answer, 1xx
                self._answer.headers.clear()


class Response:
    """The answer to one request, made when its head has arrived; read by one task.

    ``close`` it at the end: that closes the connection, unless all of the answer has arrived.
    """

    __slots__ = ("_connection", "_pieces", "_waiter", "complete", "failure", "headers", "status", "unread")

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """By lower-case name; of several with one name the last."""
        self.complete = False
        """All of it has arrived, and the connection is in the pool again or closed."""
        self.failure = ""
        """Why the rest does not arrive."""
        self.unread = 0
        """Bytes that have arrived and were not read."""
        self._connection = connection
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: str) -> str:
        return self.headers.get(name.lower().encode(), b"").decode("latin-1").strip()

    async def read(self) -> bytes:
        """Returns the whole body.

        Raises:
            ConnectionBrokenError: it did not arrive, or is too large.
        """
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read_some():
            pieces.append(piece)
            size += len(piece)
            if size > BODY_BYTES:
                self.close()
                raise ConnectionBrokenError("the answer is too large")
        return b"".join(pieces)

    async def read_some(self) -> bytes:
        """Returns the data that has arrived since the last call, waiting for some; empty at the end.

        Raises:
            ConnectionBrokenError: the connection ended before the answer, and all before it was read.
        """
        while not self._pieces:
            if self.complete:
                return b""
            await self._arrival()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.unread = 0
        if not self.complete:
            self._connection.resume()
        return data

    def close(self) -> None:
        if not self.complete:
            self._connection.close("the answer was closed")

    async def begin(self) -> None:
        """Waits for the head."""
        while not self.status:
            await self._arrival()

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.unread += len(piece)

    def wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def _arrival(self) -> None:
        """Waits until more has arrived; a caller that is cancelled closes the connection."""
        if self.failure:
            raise ConnectionBrokenError(self.failure)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
