"""Supervisor of ``serve --workers``: starts worker processes, restarts those that end, adds up metrics.

The parent accepts connections and hands them to the workers in turn: where all accept from one socket, the
kernel gives most connections of a burst to one of them. Workers are new interpreters, not forks. Settings
and orders come over a socket pair (``channel.py``), whose end tells a worker that its parent has ended.
uvicorn's supervisor is not used: it shares the socket, restarts without a pause, cannot pass settings on,
and its workers outlive a killed parent.
"""

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL
from typing import Literal

import anyio
import anyio.abc

from engines import system
from engines.middleware.background import background
from engines.middleware.metrics import Snapshot, merged
from mcp_server.http.channel import Channel, Config, packed, unpacked
from mcp_server.http.listening import listening
from mcp_server.http.security import check_listening
from mcp_server.settings import Settings, SettingsError

log = logging.getLogger(__name__)

MAIN = Path(__file__).parents[1] / "__main__.py"

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
"""Before a restart; each worker that ends early doubles the pause."""
STEADY_S = 60.0
"""A worker that lived this long did not end early."""
RETRY_S = 0.05
"""Between two attempts to hand a connection over while no worker takes it."""
STOP_S = 6.0
"""Time for workers to end; then they are killed. More than a worker gives its calls."""
ANSWER_S = 1.0
"""How long the sum of all metrics waits for a worker; then its last ones count."""


async def serve_workers(settings: Settings, announce: Callable[[str, int], None], *, verbose: bool) -> int:
    """Serves with ``[http] workers`` processes until SIGINT or SIGTERM; returns the exit code.

    Raises:
        SettingsError: the address needs a token and there is none, or this is Windows.
        PortTakenError: another process listens there.
    """
    http = settings.http
    check_listening(http)
    if system.WINDOWS:
        raise SettingsError("http.workers: Windows has one worker only", hint="start it without --workers")
    with ExitStack() as sockets:
        listener = sockets.enter_context(listening(http.host, http.port))
        own = [sockets.enter_context(listening("127.0.0.1", 0)) for _ in range(http.workers)]
        supervisor = Supervisor(settings, listener, own, verbose=verbose)
        async with background(supervisor.stop_on_signal):
            return await supervisor.run(lambda: announce(http.host, listener.getsockname()[1]))


class Worker:
    """A running worker process."""

    def __init__(
        self, process: anyio.abc.Process, channel: Channel, connections: socket.socket, turn: int
    ) -> None:
        self.process = process
        self.channel = channel
        self.turn = turn
        self.is_ready = False
        self._connections = connections
        self.snapshot = Snapshot()
        self._asked = anyio.Event()

    async def follow(self, on_ready: Callable[[], None], on_total: Callable[[], None]) -> None:
        """Reads messages until the worker ends."""
        while message := await self.channel.receive():
            match message:
                case "ready", _:
                    self.is_ready = True
                    on_ready()
                case "total", _:
                    on_total()
                case kind, body:
                    self.snapshot = unpacked(body)
                    if kind == "asked":
                        self._asked.set()
        self.is_ready = False
        # The answer of a worker that has ended is its last one.
        self._asked.set()

    def take(self, connection: socket.socket) -> bool:
        """Hands ``connection`` over; returns whether the worker takes connections."""
        try:
            system.hand_over(self._connections, connection)
        except OSError:  # it has ended, stops, or hangs
            return False
        return True

    async def publish(self) -> None:
        """Has the worker send its metrics and waits for them."""
        self._asked = anyio.Event()
        self.channel.post("publish")
        await self._asked.wait()


class Supervisor:
    """Keeps one process running for each socket in ``own``."""

    def __init__(
        self, settings: Settings, listener: socket.socket, own: list[socket.socket], *, verbose: bool
    ) -> None:
        """``own``: a listening socket for each worker, at which the others reach it."""
        self._settings = settings
        self._listener = listener
        self._own = own
        self._command = [sys.executable, "-P", str(MAIN), "serve", *(["--verbose"] if verbose else [])]
        self._workers: dict[int, Worker] = {}
        self._ended = Snapshot()
        """Counters of processes that have ended."""
        self._adding = anyio.Lock()
        self._stopping = anyio.Event()
        self._started = anyio.Event()
        self._exit_code = 0
        self._turns = 0
        self._accepting = anyio.CancelScope()

    async def run(self, announce: Callable[[], None]) -> int:
        """Runs the workers until ``stop``; returns the exit code.

        The first one starts alone, so that an error all of them would have is reported once, and ends this.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep, 0, group)
            await self._started.wait()
            if not self._stopping.is_set():
                announce()
                group.start_soon(self._distribute)
                for index in range(1, len(self._own)):
                    group.start_soon(self._keep, index, group)
        return self._exit_code

    async def _distribute(self) -> None:
        """Accepts connections and hands them over."""
        self._listener.setblocking(False)
        with self._accepting:
            while True:
                await anyio.wait_readable(self._listener)
                try:
                    connection, _ = self._listener.accept()
                except OSError:  # the client has left, or this machine has no more descriptors
                    await anyio.sleep(RETRY_S)
                    continue
                with connection:
                    while not self._hand_over(connection):  # noqa: ASYNC110 (no event crosses processes)
                        await anyio.sleep(RETRY_S)

    def _hand_over(self, connection: socket.socket) -> bool:
        """Hands ``connection`` to the worker that has waited longest for one."""
        for worker in sorted(self._workers.values(), key=lambda worker: worker.turn):
            if worker.is_ready and worker.take(connection):
                self._turns += 1
                worker.turn = self._turns
                return True
        return False

    async def stop_on_signal(self) -> None:
        """Stops the workers at the first signal; at the second they do not wait for open calls."""
        with system.stop_signals() as signals:
            await anext(signals)
            self._stop("stop")
            async with anyio.create_task_group() as group:
                group.start_soon(self._kill_late)
                async for _ in signals:
                    self._stop("force")

    def _stop(self, order: Literal["stop", "force"]) -> None:
        self._stopping.set()
        self._started.set()
        self._accepting.cancel()
        for worker in self._workers.values():
            worker.channel.post(order)

    async def _kill_late(self) -> None:
        await anyio.sleep(STOP_S)
        for worker in self._workers.values():
            worker.process.kill()

    async def _keep(self, index: int, group: anyio.abc.TaskGroup) -> None:
        """Runs the worker ``index``, and again whenever it ends, until the supervisor stops."""
        pause = FIRST_PAUSE_S
        while True:
            begun = anyio.current_time()
            code = await self._run(index, group)
            if self._stopping.is_set():
                return
            if not self._started.is_set():
                self._exit_code = code or 1
                self._stop("stop")
                return
            if anyio.current_time() - begun >= STEADY_S:
                pause = FIRST_PAUSE_S
            log.error("worker %d ended with exit code %d; it is started again", index, code)
            with anyio.move_on_after(pause):
                await self._stopping.wait()
                return
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _run(self, index: int, group: anyio.abc.TaskGroup) -> int:
        """Runs a process until it ends; returns its exit code."""
        (ours, theirs), (giving, taking) = socket.socketpair(), socket.socketpair()
        giving.setblocking(False)
        with ours, giving:
            passed = theirs.fileno(), taking.fileno(), self._own[index].fileno()
            try:
                with theirs, taking:
                    process = await self._start(passed)
            except OSError as error:  # no memory or process left
                log.error("worker %d cannot be started: %s", index, error)
                return 1
            async with process, Channel(ours) as channel:
                worker = self._workers[index] = Worker(process, channel, giving, self._turns)
                channel.post("start", self._config(index, *passed[1:]))
                if self._stopping.is_set():
                    channel.post("stop")

                def on_total() -> None:
                    group.start_soon(self._send_total, worker)

                try:
                    await worker.follow(self._started.set, on_total)
                    return await process.wait()
                finally:
                    del self._workers[index]
                    self._ended = merged((self._ended, worker.snapshot.counters()))

    async def _start(self, passed: Sequence[int]) -> anyio.abc.Process:
        """Starts an interpreter with the descriptors ``passed``, the first of which is its channel."""
        return await anyio.open_process(
            [*self._command, "--channel", str(passed[0])],
            pass_fds=passed,
            stdin=DEVNULL,
            stdout=None,
            stderr=None,
            # A terminal's Ctrl-C is the parent's, which then stops the workers.
            start_new_session=True,
        )

    def _config(self, index: int, connections: int, own: int) -> str:
        ports = tuple(each.getsockname()[1] for each in self._own)
        config = Config(settings=self._settings, index=index, ports=ports, connections=connections, own=own)
        return config.model_dump_json()

    async def _send_total(self, worker: Worker) -> None:
        """Sends ``worker`` the metrics of all as of now, so that no scrape shows less than one before."""
        async with self._adding:
            with anyio.move_on_after(ANSWER_S):
                async with anyio.create_task_group() as group:
                    for each in self._workers.values():
                        group.start_soon(each.publish)
            total = merged((self._ended, *(each.snapshot for each in self._workers.values())))
        worker.channel.post("total", packed(total))
