"""HTTP/1.1 client with a pool of connections, for the servers of engines.

On asyncio's protocols and httptools' parser, because a general client costs more than all else on a
request's path. Follows no redirects and uses no proxies, cookies or compression.
"""

import asyncio
import re
import socket
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

import anyio
from anyio import AsyncContextManagerMixin

from engines.http_connection import (
    CannotConnectError,
    Connection,
    ConnectionBrokenError,
    InvalidRequestError,
    Origin,
    Pool,
    Response,
)

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_S = 10.0
KEEPALIVE_S = 4.0
"""Idle time after which a connection is closed: vLLM and llama.cpp close theirs after five seconds."""

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
NOT_QUOTED = "!#$%&'()*+,/:;=?@[]~"


class HttpClient(AsyncContextManagerMixin):
    """Sends requests over pooled connections, which all end with ``async with``."""

    def __init__(self, *, keepalive_s: float = KEEPALIVE_S) -> None:
        self._pool = Pool(keepalive_s)
        self._tls: SSLContext | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            yield self
        finally:
            self._pool.close()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Response:
        """Returns the answer when its head has arrived. Not for HEAD.

        If a pooled connection fails before any byte of the answer, the server was most likely closing
        it: the request is sent once more, over a new connection.

        Raises:
            InvalidRequestError, CannotConnectError, ConnectionBrokenError
        """
        try:
            origin, head = _prepared(method, url, tuple(headers.items()))
        except ValueError as error:
            raise InvalidRequestError(str(error)) from None
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        data = b"%b%b\r\n%b" % (head, length, body or b"")
        if connection := self._pool.take(origin):
            try:
                return await connection.ask(data)
            except ConnectionBrokenError:
                if connection.answering:
                    raise
        return await (await self._connected(origin)).ask(data)

    async def _connected(self, origin: Origin) -> Connection:
        try:
            with anyio.fail_after(CONNECT_S):
                return await self._connect(origin)
        except OSError as error:
            reason = str(error) or f"no answer within {CONNECT_S:.0f} s"
            raise CannotConnectError(f"cannot connect to {origin.host}:{origin.port}: {reason}") from error

    async def _connect(self, origin: Origin) -> Connection:
        """Tries the server's addresses one after the other, as uvloop has no Happy Eyeballs."""
        tls = await self._context() if origin.tls else None
        addresses = await _addresses(origin.host)
        connect = partial(
            asyncio.get_running_loop().create_connection,
            partial(Connection, self._pool, origin),
            port=origin.port,
            ssl=tls,
            server_hostname=origin.host if tls else None,
        )
        for address in addresses[:-1]:
            try:
                with anyio.fail_after(CONNECT_S / len(addresses)):
                    return (await connect(host=address))[1]
            except OSError:
                continue
        return (await connect(host=addresses[-1]))[1]

    async def _context(self) -> "SSLContext":
        import ssl

        if not self._tls:
            self._tls = await anyio.to_thread.run_sync(ssl.create_default_context)
        return self._tls


async def _addresses(host: str) -> Sequence[str]:
    resolve = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        found = resolve(flags=socket.AI_NUMERICHOST)  # without a thread
    except socket.gaierror:
        found = await anyio.to_thread.run_sync(resolve, abandon_on_cancel=True)
    return [str(address[0]) for *_, address in found]


@lru_cache(maxsize=256)
def _prepared(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> tuple[Origin, bytes]:
    """Returns where a request goes, and its head without the length of its body."""
    parts = urlsplit(url)
    if CONTROL.search(url) or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the URL is not that of an HTTP server")
    host = parts.hostname.encode("idna").decode()
    sent = {"Host": f"[{host}]" if ":" in host else host, "User-Agent": "local-llm-agent"}
    if parts.port:
        sent["Host"] += f":{parts.port}"
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
    sent |= {"Accept-Encoding": "identity", **dict(headers)}
    for name, value in sent.items():
        if CONTROL.search(name) or CONTROL.search(value):
            raise ValueError(f"the value of the header {name!r} has a control character")
    path = quote(parts.path or "/", NOT_QUOTED) + (
        f"?{quote(parts.query, NOT_QUOTED)}" if parts.query else ""
    )
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), ""]
    tls = parts.scheme == "https"
    return Origin(host, parts.port or (443 if tls else 80), tls), "\r\n".join(lines).encode()
