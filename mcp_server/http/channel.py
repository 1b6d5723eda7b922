"""Messages between the parent process and a worker, over a socket pair.

A message is a line: its kind, and JSON for some kinds. The end of the stream tells each side that the
other has ended, also when it was killed.

| from | kind | meaning |
|---|---|---|
| parent | `start` | the worker's `Config`; the first message |
| parent | `publish` | send your metrics as `asked` |
| parent | `total` | the metrics of all workers |
| parent | `stop`, `force` | end; do not wait for open calls |
| worker | `ready` | it accepts connections |
| worker | `snapshot`, `asked` | its metrics |
| worker | `total` | send the metrics of all workers |
"""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from functools import cache
from typing import Literal, Self, cast

import anyio
from anyio.abc import SocketStream, UNIXSocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, TypeAdapter

from engines.middleware.metrics import Snapshot
from mcp_server.settings import Settings

Kind = Literal["start", "publish", "total", "stop", "force", "ready", "snapshot", "asked"]

PENDING = 100
"""Messages waiting to be sent; a side that does not read them misses further ones."""
LONGEST = 2**26
"""Largest message in bytes."""


class Config(BaseModel):
    """What a worker needs to start."""

    settings: Settings
    index: int
    """The worker's number, from 0."""
    ports: tuple[int, ...]
    """Loopback port of each worker, at which the others reach it."""
    connections: int
    """File descriptor of the socket over which the parent hands connections over."""
    own: int
    """File descriptor of the socket at the worker's own port."""


class Channel(anyio.AsyncContextManagerMixin):
    """One end of the socket pair; ``async with`` writes what was posted, also on exit."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._posted, self._outgoing = anyio.create_memory_object_stream[bytes](PENDING)

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        stream = await UNIXSocketStream.from_socket(self._end)
        self._incoming = BufferedByteReceiveStream(stream)
        async with stream, self._outgoing, anyio.create_task_group() as group:
            group.start_soon(self._write, stream)
            with self._posted:
                yield self

    def post(self, kind: Kind, body: str = "") -> None:
        """Sends a message without waiting for it to be read."""
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._posted.send_nowait(f"{kind} {body}\n".encode())

    async def receive(self) -> tuple[Kind, bytes] | None:
        """Returns the next message; ``None`` once the other side has ended."""
        try:
            line = await self._incoming.receive_until(b"\n", LONGEST)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            return None
        kind, _, body = line.partition(b" ")
        return cast("Kind", kind.decode()), body

    async def _write(self, stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError):
            async for message in self._outgoing:
                await stream.send(message)


def packed(snapshot: Snapshot) -> str:
    # The duration of a failed call is infinite, which pydantic would write as null.
    return json.dumps(asdict(snapshot))


def unpacked(body: bytes) -> Snapshot:
    return _adapter().validate_json(body)


@cache
def _adapter() -> TypeAdapter[Snapshot]:
    return TypeAdapter(Snapshot)
