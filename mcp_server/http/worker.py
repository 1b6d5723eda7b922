"""A worker: one of several processes that serve the same port. ``workers.py`` starts and stops it."""

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
from anyio.abc import UNIXSocketStream

from engines.middleware.background import background
from engines.middleware.metrics import Metrics, Snapshot
from mcp_server.app import build
from mcp_server.folders import folders
from mcp_server.http.app import Server, build_http, configured
from mcp_server.http.channel import Channel, Config, packed, unpacked
from mcp_server.http.connection import Connection
from mcp_server.http.sessions import Place

PUBLISH_S = 1.0
"""A killed worker loses the counts of about this time."""
TOTAL_S = 2.0
"""How long a request for the metrics of all workers waits for the parent."""


async def work(descriptor: int) -> None:
    """Serves as the parent at the other end of the socket ``descriptor`` says, until it stops or ends.

    Raises:
        AgentError: the engines or the ledger cannot be opened.
    """
    async with Channel(socket.socket(fileno=descriptor)) as channel:
        if (first := await channel.receive()) is None:
            return
        config = Config.model_validate_json(first[1])
        async with build(config.settings, folders()) as app, Place(config.index, config.ports) as place:
            gc.freeze()
            member = Member(channel, app.engines.metrics)
            http = configured(build_http(app, place, member.total))
            server = WorkerServer(http, partial(channel.post, "ready"))
            async with member.listening(server), background(partial(server.accept_from, config.connections)):
                await server.serve_until_signal([socket.socket(fileno=config.own)])


class WorkerServer(Server):
    """Serves the connections that the parent accepts, and those of the other workers."""

    _accepting: anyio.CancelScope | None = None

    async def accept_from(self, descriptor: int) -> None:
        """Takes connections over until ``stop``."""
        loop = asyncio.get_running_loop()
        async with await UNIXSocketStream.from_socket(socket.socket(fileno=descriptor)) as handed:
            with suppress(anyio.EndOfStream), anyio.CancelScope() as self._accepting:
                while not self.should_exit:
                    _, (connection,) = await handed.receive_fds(1, 1)
                    with suppress(OSError):  # the client has left
                        await loop.connect_accepted_socket(self._protocol, socket.socket(fileno=connection))

    def stop(self) -> None:
        super().stop()
        if self._accepting:
            self._accepting.cancel()

    def _protocol(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self.lifespan.state)


class Member:
    """The worker's side of the channel: its metrics go to the parent, which knows those of all."""

    def __init__(self, channel: Channel, metrics: Metrics) -> None:
        self._channel = channel
        self._metrics = metrics
        self._total = Snapshot()
        self._answered = anyio.Event()
        self._asking = anyio.Lock()

    @asynccontextmanager
    async def listening(self, server: Server) -> AsyncGenerator[None]:
        """Follows the parent during the body, and publishes the last metrics after it."""
        async with background(partial(self._listen, server)), background(self._publish):
            yield
        self._channel.post("snapshot", packed(self._metrics.snapshot()))

    async def total(self) -> Snapshot:
        """Returns the metrics of all workers; if the parent does not answer, those it sent last."""
        async with self._asking:
            self._answered = anyio.Event()
            self._channel.post("total")
            with anyio.move_on_after(TOTAL_S):
                await self._answered.wait()
            return self._total

    async def _listen(self, server: Server) -> None:
        while message := await self._channel.receive():
            match message:
                case "publish", _:
                    self._channel.post("asked", packed(self._metrics.snapshot()))
                case "total", body:
                    self._total = unpacked(body)
                    self._answered.set()
                case "force", _:
                    server.force_exit = True
                case _:
                    server.stop()
        server.stop()

    async def _publish(self) -> None:
        """Publishes the metrics that have changed, so that they outlive a killed worker."""
        published = Snapshot()
        while True:
            await anyio.sleep(PUBLISH_S)
            if (current := self._metrics.snapshot()) != published:
                published = current
                self._channel.post("snapshot", packed(current))
