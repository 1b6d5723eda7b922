"""The HTTP client, with a server on loopback that sends the given bytes, on both event loops."""

import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, Listener
from anyio.streams.tls import TLSListener

from engines import http_connection
from engines.http_client import HttpClient
from engines.http_connection import (
    UNREAD_BYTES,
    CannotConnectError,
    ConnectionBrokenError,
    InvalidRequestError,
)

pytestmark = pytest.mark.anyio

MIB = 1 << 20
ONE_READ = 256 << 10
"""Most bytes that an event loop reads at once."""
LOOPS = [False] if sys.platform == "win32" else [False, True]


@pytest.fixture(scope="module", params=LOOPS, ids=lambda uvloop: "uvloop" if uvloop else "asyncio")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def client() -> AsyncGenerator[HttpClient]:
    # Longer than any test waits, so that no connection is closed just for being idle.
    async with HttpClient(keepalive_s=60) as opened:
        yield opened


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: ByteStream, requests: list[bytes]) -> None:
        self._stream = stream
        self._requests = requests

    async def request(self) -> bytes:
        """Receives one request and returns its body."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._stream.receive()
        body = data.partition(b"\r\n\r\n")[2]
        if length := re.search(rb"Content-Length: (\d+)", data):
            while len(body) < int(length[1]):
                more = await self._stream.receive()
                data, body = data + more, body + more
        self._requests.append(data)
        return body

    async def head(self) -> None:
        """Receives the first data of a request."""
        await self._stream.receive()

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def left(self) -> None:
        """Waits until the client closes the connection."""
        with suppress(anyio.EndOfStream):
            await self._stream.receive()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Plays one script for each connection, in order, and the last again; then closes the connection."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = scripts
        self.url = ""
        self.connections = 0
        self.requests: list[bytes] = []
        self.left = anyio.Event()
        """A connection ended."""

    async def play(self, stream: ByteStream) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            async with stream:
                with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    await script(Peer(stream, self.requests))
        finally:
            self.left.set()


@asynccontextmanager
async def serving(
    *scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server]:
    server = Server(scripts)
    with anyio.fail_after(20):
        async with (
            await anyio.create_tcp_listener(local_host=host) as plain,
            anyio.create_task_group() as group,
        ):
            port = plain.extra(anyio.abc.SocketAttribute.local_port)
            name = f"[{host}]" if ":" in host else host
            server.url = f"{'https' if tls else 'http'}://{name}:{port}/v1"
            listener: Listener[Any] = TLSListener(plain, tls, standard_compatible=False) if tls else plain
            group.start_soon(listener.serve, server.play)
            yield server
            group.cancel_scope.cancel()


def answers(*data: bytes) -> Script:
    """Answers one request with each of ``data``."""

    async def script(peer: Peer) -> None:
        for each in data:
            await peer.request()
            await peer.send(each)

    return script


def keeps_open(script: Script) -> Script:
    async def then_waits(peer: Peer) -> None:
        await script(peer)
        await peer.left()

    return then_waits


async def echoes(peer: Peer) -> None:
    while True:
        await peer.send(ok(await peer.request()))


def ok(body: bytes = b"ok", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def ask(client: HttpClient, url: str, body: bytes | None = None, **headers: str) -> bytes:
    response = await client.request("GET" if body is None else "POST", url, headers=headers, body=body)
    with closing(response):
        return await response.read()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


async def test_a_connection_is_used_again(client: HttpClient):
    async with serving(echoes) as server:
        assert [await ask(client, server.url, word) for word in (b"a", b"", b"b")] == [b"a", b"", b"b"]
        assert server.connections == 1


async def test_the_request_is_written_as_http_has_it(client: HttpClient):
    async with serving(echoes) as server:
        port = server.url.removesuffix("/v1").rpartition(":")[2]
        await ask(client, f"http://me:p%40ss@LOCALHOST:{port}?q=ü b#part", None, Name="wörd")
        await ask(client, server.url, b"{}")
    assert server.requests == [
        f"GET /?q=%C3%BC%20b HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: local-llm-agent\r\n"
        "Authorization: Basic bWU6cEBzcw==\r\nAccept-Encoding: identity\r\nName: wörd\r\n\r\n".encode(),
        f"POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: local-llm-agent\r\n"
        "Accept-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}".encode(),
    ]


BODIES = {
    "length": ok(b"hello, world"),
    "no body": ok(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunked": CHUNKED + b"6;name=value;x\r\nhello,\r\n6\r\n world\r\n0\r\nRetry-After: 5\r\nX: y\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\nhello, world",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello, world",
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\n\r\n" + ok(b"hello, world"),
}


@pytest.mark.parametrize("size", [1, MIB])
@pytest.mark.parametrize("case", BODIES)
async def test_every_form_of_body_is_read(client: HttpClient, case: str, size: int):
    async def in_pieces(peer: Peer) -> None:
        await peer.request()
        for start in range(0, len(BODIES[case]), size):
            await peer.send(BODIES[case][start : start + size])

    async with serving(in_pieces) as server:
        response = await client.request("GET", server.url, headers={})
        assert await response.read() == (b"" if case.startswith("no ") else b"hello, world")
        assert await response.read_some() == b""
        assert response.header("Retry-After") == ""


async def test_headers_are_found_in_any_case(client: HttpClient):
    async with serving(answers(ok(b"", "RETRY-after:  7 "))) as server:
        response = await client.request("GET", server.url, headers={})
    assert (response.status, response.header("Retry-After"), response.header("X")) == (200, "7", "")


async def test_a_pooled_connection_that_the_server_drops_is_replaced(client: HttpClient):
    async def drops_the_second(peer: Peer) -> None:
        await answers(ok())(peer)
        await peer.request()

    async with serving(drops_the_second, echoes) as server:
        await ask(client, server.url)
        assert await ask(client, server.url, b"again") == b"again"
        assert len(server.requests) == 3


async def test_a_request_is_repeated_only_once(client: HttpClient):
    async def drops_the_second(peer: Peer) -> None:
        await answers(ok())(peer)
        await peer.request()

    async with serving(drops_the_second, answers(b"")) as server:
        await ask(client, server.url)
        with pytest.raises(ConnectionBrokenError):
            await ask(client, server.url)
        assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_request_is_not_repeated_when_the_answer_had_begun(client: HttpClient):
    async with serving(answers(ok(), b"HTTP/1.1 200 OK\r\n"), echoes) as server:
        await ask(client, server.url)
        with pytest.raises(ConnectionBrokenError):
            await ask(client, server.url)
        assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_pooled_connection_that_was_closed_meanwhile_is_not_tried(client: HttpClient):
    async with serving(answers(ok()), echoes) as server:
        await ask(client, server.url)
        await server.left.wait()
        assert await ask(client, server.url, b"again") == b"again"
        assert (server.connections, len(server.requests)) == (2, 2)


BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "half a body": ok(b"hello")[:-2],
    "half a chunk": CHUNKED + b"5\r\nhel",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "half the trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n",
    "another protocol": b"SSH-2.0-OpenSSH\r\n",
    "garbage": b"\x00\xff" * 1000,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "garbage for a chunk": CHUNKED + b"x\r\n",
    "an upgrade": b"HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "an endless line": b"HTTP/1.1 200 OK\r\nX: " + b"x" * MIB,
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MIB,
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * (MIB // 8),
    "endless trailers": CHUNKED + b"0\r\n" + b"X: y\r\n" * MIB,
    "an endless extension": CHUNKED + b"1;" + b"x" * MIB,
}


@pytest.mark.parametrize("case", BROKEN)
async def test_an_answer_that_breaks_is_an_error(client: HttpClient, case: str):
    script = answers(BROKEN[case])
    async with serving(keeps_open(script) if len(BROKEN[case]) > MIB // 2 else script) as server:
        with pytest.raises(ConnectionBrokenError):
            await ask(client, server.url)
        assert server.connections == 1
        await server.left.wait()


async def test_what_came_before_the_break_can_be_read(client: HttpClient):
    async with serving(answers(CHUNKED + b"5\r\nhello\r\n")) as server:
        response = await client.request("GET", server.url, headers={})
        await server.left.wait()
        assert await response.read_some() == b"hello"
        for _ in range(2):
            with pytest.raises(ConnectionBrokenError, match="closed the connection"):
                await response.read_some()


async def test_a_stream_is_read_as_it_comes(client: HttpClient):
    more = anyio.Event()

    async def script(peer: Peer) -> None:
        nonlocal more
        await peer.request()
        await peer.send(CHUNKED)
        for word in (b"one", b"two"):
            await more.wait()
            more = anyio.Event()
            await peer.send(b"3\r\n" + word + b"\r\n")
        await more.wait()
        await peer.send(b"0\r\n\r\n")
        await peer.left()

    async with serving(script) as server:
        response = await client.request("GET", server.url, headers={})
        seen: list[bytes] = []
        while not seen or seen[-1]:
            more.set()
            seen.append(await response.read_some())
        assert seen == [b"one", b"two", b""]


@pytest.mark.parametrize("rest", [b"", b"0\r\n\r\n"])
async def test_little_is_held_for_a_reader_that_stops(client: HttpClient, rest: bytes):
    size = 32 * MIB

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"%x\r\n" % size)
        for _ in range(size // MIB):
            await peer.send(b"x" * MIB)
        await peer.send(b"\r\n" + rest)

    async with serving(script) as server:
        response = await client.request("GET", server.url, headers={})
        await until(lambda: response.unread > UNREAD_BYTES)
        for _ in range(500):
            await anyio.lowlevel.checkpoint()
        assert response.unread <= UNREAD_BYTES + ONE_READ
        assert not server.left.is_set()
        if rest:
            assert len(await response.read()) == size
        response.close()
        await server.left.wait()


async def test_a_body_that_is_too_large_is_not_read(client: HttpClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_connection, "BODY_BYTES", 9)
    async with serving(keeps_open(answers(ok(b"x" * 10)))) as server:
        with pytest.raises(ConnectionBrokenError, match="too large"):
            await ask(client, server.url)


@pytest.mark.parametrize("sent", [b"", CHUNKED, CHUNKED + b"1\r\nx\r\n"])
async def test_a_caller_that_is_cancelled_closes_the_connection(client: HttpClient, sent: bytes):
    arrived = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        arrived.set()
        await peer.left()

    async with serving(script) as server, anyio.create_task_group() as group:
        group.start_soon(ask, client, server.url)
        await arrived.wait()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await server.left.wait()


async def test_an_answer_that_is_closed_early_closes_the_connection(client: HttpClient):
    async with serving(keeps_open(answers(CHUNKED))) as server:
        response = await client.request("GET", server.url, headers={})
        response.close()
        await server.left.wait()
        with pytest.raises(ConnectionBrokenError):
            await response.read()


async def test_an_answer_that_arrived_is_closed_without_its_connection(client: HttpClient):
    async with serving(echoes) as server:
        for _ in range(2):
            (await client.request("POST", server.url, headers={}, body=b"x")).close()
        assert server.connections == 1


async def test_a_connection_that_is_idle_too_long_is_closed():
    async with serving(echoes) as server, HttpClient(keepalive_s=0) as client:
        await ask(client, server.url)
        await server.left.wait()
        await ask(client, server.url)
        assert server.connections == 2


async def test_the_clients_end_is_the_end_of_all_connections():
    async with serving(keeps_open(answers(ok(), CHUNKED))) as server:
        async with HttpClient() as client:
            first, second = [await client.request("GET", server.url, headers={}) for _ in range(2)]
        assert await first.read() == b"ok"
        with pytest.raises(ConnectionBrokenError, match="client was closed"):
            await second.read()
        await server.left.wait()
        with pytest.raises(ConnectionBrokenError, match="is closed"):
            await ask(client, server.url)


@pytest.mark.parametrize("unasked", [b"H", b"x", ok(b"another's"), b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_data_after_an_answer_is_not_the_next_answer(
    client: HttpClient, unasked: bytes, *, at_once: bool
):
    async def script(peer: Peer) -> None:
        await peer.request()
        for data in (ok() + unasked,) if at_once else (ok(), unasked):
            await peer.send(data)
        await peer.left()

    async with serving(script, echoes) as server:
        assert await ask(client, server.url) == b"ok"
        await server.left.wait()
        assert await ask(client, server.url, b"ours") == b"ours"
        assert server.connections == 2


async def test_a_server_that_closes_after_its_answer_is_believed(client: HttpClient):
    async with serving(keeps_open(answers(ok(b"ok", "Connection: close")))) as server:
        assert await ask(client, server.url) == b"ok"
        await server.left.wait()
        assert await ask(client, server.url) == b"ok"
        assert server.connections == 2


async def test_a_connection_with_half_a_request_is_not_used_again(client: HttpClient):
    async def refuses(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await anyio.sleep_forever()

    async with serving(refuses, echoes) as server:
        response = await client.request("POST", server.url, headers={}, body=b"x" * 32 * MIB)
        assert response.status == 413
        assert await ask(client, server.url, b"next") == b"next"


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://127.0.0.1:1/\r\nX: y", ""),
        ("http://127.0.0.1:1/\nX: y", ""),
        ("http://a\r\nX: y@127.0.0.1:1/", ""),
        ("http://127.0.0.1:1/\0", ""),
        ("http://127.0.0.1:1/", "key\r\nX: y"),
        ("http://127.0.0.1:1/", "key\n"),
        ("http://127.0.0.1:1/", "\x7f"),
        ("http://127.0.0.1:1/", "\udcff"),
        ("ftp://127.0.0.1:1/", ""),
        ("127.0.0.1:1", ""),
        ("http://", ""),
        ("http://127.0.0.1:port/", ""),
    ],
)
async def test_what_could_add_a_header_is_refused(client: HttpClient, url: str, value: str):
    with pytest.raises(InvalidRequestError) as caught:
        await ask(client, url, Authorization=value)
    assert "key" not in str(caught.value)


async def test_a_percent_encoded_line_break_stays_encoded(client: HttpClient):
    async with serving(echoes) as server:
        await ask(client, f"{server.url}%0d%0aX:%20y".replace("//", "//a%0d%0aX:b@"))
    assert b"\r\nX:" not in server.requests[0]
    assert server.requests[0].startswith(b"GET /v1%0d%0aX:%20y HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://[::1]:1"])
async def test_nothing_there_is_an_error(client: HttpClient, url: str):
    with pytest.raises(CannotConnectError, match=r"1:1: "):
        await ask(client, url)


async def test_the_next_address_is_tried(client: HttpClient, monkeypatch: pytest.MonkeyPatch):
    def two(*_: object, flags: int = 0, **_options: object) -> list[tuple[Any, ...]]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 0)) for host in ("127.0.0.2", "127.0.0.1")]

    async with serving(echoes) as server:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", two)
            assert await ask(client, server.url.replace("127.0.0.1", "gpu.lan"), b"found") == b"found"
        assert b"\r\nHost: gpu.lan:" in server.requests[0]


async def test_ipv6_has_its_brackets(client: HttpClient):
    try:
        async with serving(echoes, host="::1") as server:
            assert await ask(client, server.url, b"six") == b"six"
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address to listen on")
    assert b"\r\nHost: [::1]:" in server.requests[0]


async def test_requests_at_the_same_time_have_their_own_answers(client: HttpClient):
    async with serving(echoes) as server:
        for _ in range(3):
            found: dict[int, bytes] = {}

            async def one(number: int, found: dict[int, bytes] = found) -> None:
                found[number] = await ask(client, server.url, str(number).encode() * 9999)

            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(one, number)
            assert found == {number: str(number).encode() * 9999 for number in range(20)}
        assert server.connections == 20


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a file with a key and a certificate for 127.0.0.1."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl command to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=here", "-keyout", "-"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def test_https_is_read_and_its_connection_used_again(
    client: HttpClient, certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(echoes, tls=tls) as server:
        for size in (9, 3 * MIB):
            assert await ask(client, server.url, b"x" * size) == b"x" * size
        assert server.connections == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(client: HttpClient, tls: ssl.SSLContext):
    async with serving(echoes, tls=tls) as server:
        with pytest.raises(CannotConnectError, match="certificate"):
            await ask(client, server.url)
        assert not server.requests


async def test_a_server_without_tls_is_an_error_for_https(client: HttpClient):
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(ok())

    async with serving(script) as server:
        with pytest.raises(CannotConnectError):
            await ask(client, server.url.replace("http", "https"))
