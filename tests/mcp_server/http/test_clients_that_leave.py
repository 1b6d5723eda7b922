"""A client that leaves, at whatever stage, leaves no traceback in the log and a server that answers."""

import json
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mcp_server.cli.test_pipes import environment
from tests.mcp_server.stdio.test_stdio import INITIALIZE, SCRIPT

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
CALL = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {
        "name": "classify",
        "arguments": {"labels": ["a", "b"], "items": [f"text {n}" for n in range(2_000)]},
        "_meta": {"progressToken": 1},
    },
}
CHAT = {"messages": [{"role": "user", "content": "word " * 5_000}]}


class Client:
    """Opens connections to a server and drops them."""

    def __init__(self, port: int, *, reset: bool) -> None:
        self._port = port
        self._reset = reset

    def send(self, method: str, path: str, body: object = None, session: str = "", cut: int = 0) -> "Dropped":
        """Sends a request but its last ``cut`` bytes."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            "Accept: application/json, text/event-stream",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *([f"Mcp-Session-Id: {session}"] if session else []),
        ]
        sent = "\r\n".join([*head, "", ""]).encode() + content
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        connection.sendall(sent[: len(sent) - cut])
        return Dropped(connection, reset=self._reset)

    def session(self) -> str:
        with self.send("POST", "/mcp", INITIALIZE) as answer:
            return answer.until(b"mcp-session-id: ", b"\r\n")

    def stream(self) -> "tuple[Dropped, str]":
        """Opens an SSE stream; returns it and the path of its messages."""
        opened = self.send("GET", "/sse")
        return opened, opened.until(b"data: ", b"\r\n")


class Dropped:
    """A connection that ends without a word, or with a reset."""

    def __init__(self, connection: socket.socket, *, reset: bool) -> None:
        self._connection = connection
        self._reset = reset

    def __enter__(self) -> "Dropped":
        return self

    def __exit__(self, *_: object) -> None:
        if self._reset:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def until(self, start: bytes, end: bytes) -> str:
        """Returns what stands between ``start`` and ``end``; reads no further."""
        read = b""
        while end not in read.partition(start)[2]:
            part = self._connection.recv(4096)
            assert part, read
            read += part
        return read.partition(start)[2].partition(end)[0].decode()


def initialized(client: Client, path: str) -> None:
    for message in (INITIALIZE, INITIALIZED):
        with client.send("POST", path, message) as answer:
            answer.until(b"HTTP/1.1 ", b"\r\n")


def _streamable(client: Client) -> None:
    for cut in (1, 20, 100, 300):
        client.send("POST", "/mcp", INITIALIZE, cut=cut).__exit__()
    session = client.session()
    client.send("POST", "/mcp", INITIALIZED, session).__exit__()
    client.send("POST", "/mcp", CALL, session).__exit__()
    with client.send("POST", "/mcp", CALL, session) as call:
        call.until(b"HTTP/1.1 ", b"\r\n")
    with client.send("GET", "/mcp", None, session) as stream:
        stream.until(b"HTTP/1.1 ", b"\r\n")


def _ended_session(client: Client) -> None:
    session = client.session()
    with (
        client.send("POST", "/mcp", CALL, session),
        client.send("DELETE", "/mcp", None, session) as ended,
    ):
        ended.until(b"HTTP/1.1 ", b"\r\n")


def _sse(client: Client) -> None:
    client.send("GET", "/sse").__exit__()
    stream, path = client.stream()
    with stream:
        pass
    stream, path = client.stream()
    with stream:
        initialized(client, path)
        client.send("POST", path, CALL).__exit__()


def _sse_during_a_call(client: Client) -> None:
    stream, path = client.stream()
    with stream:
        initialized(client, path)
        with client.send("POST", path, CALL) as call:
            call.until(b"HTTP/1.1 ", b"\r\n")


def _sse_before_its_message(client: Client) -> None:
    for _ in range(5):
        stream, path = client.stream()
        with client.send("POST", path, INITIALIZE), stream:
            pass


def _half_a_message(client: Client) -> None:
    stream, path = client.stream()
    with stream:
        client.send("POST", path, INITIALIZE, cut=10).__exit__()


def _no_message(client: Client) -> None:
    stream, path = client.stream()
    with stream:
        for body in (b"{nonsense", b"\xff\xfe", b"[]", b"{}"):
            for where in (path, "/mcp"):
                with client.send("POST", where, body) as answer:
                    answer.until(b"HTTP/1.1 ", b"\r\n")


def _openai(client: Client) -> None:
    for path, body in (
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT | {"stream": True}),
        ("/v1/responses", {"input": "word " * 5_000, "stream": True}),
        ("/mcp/tools/summarize", {"text": "word " * 5_000}),
    ):
        client.send("POST", path, body, cut=50).__exit__()
        client.send("POST", path, body).__exit__()
        with client.send("POST", path, body) as answer:
            answer.until(b"HTTP/1.1 ", b"\r\n")


STAGES: list[Callable[[Client], None]] = [
    _streamable, _ended_session, _sse, _sse_during_a_call, _sse_before_its_message, _half_a_message,
    _no_message, _openai,
]  # fmt: skip


@contextmanager
def serving(home: Path) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    with subprocess.Popen(
        [SCRIPT, "serve", "--port", "0"], stderr=subprocess.PIPE, env=environment(home), cwd=home
    ) as process:
        try:
            assert process.stderr is not None
            yield process, int(process.stderr.readline().partition(b"127.0.0.1:")[2].split()[0])
        finally:
            process.kill()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__.lstrip("_"))
def test_a_client_that_leaves_leaves_no_traceback(
    stage: Callable[[Client], None], reset: bool, tmp_path: Path
) -> None:
    with serving(tmp_path) as (process, port):
        client = Client(port, reset=reset)
        for _ in range(3):
            stage(client)
        with client.send("GET", "/health") as answer:
            assert answer.until(b"HTTP/1.1 ", b"\r\n") == "200 OK"
        # With an open stream, as hosts have one whenever the server is stopped.
        with client.stream()[0]:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
