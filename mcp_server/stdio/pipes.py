"""Standard input and output as asyncio streams: polled by the event loop, or on Windows in threads."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO, Protocol

import anyio.to_thread

from engines import system

CHUNK = 65536


class Writer(Protocol):
    """The part of ``asyncio.StreamWriter`` that is used here."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


@asynccontextmanager
async def connected(reader: asyncio.StreamReader) -> AsyncGenerator[Writer]:
    """Connects ``reader`` to standard input and yields a writer to standard output.

    Meanwhile descriptor 1 is standard error, so that a stray ``print`` cannot break the protocol.
    """
    out = _private_stdout()
    if not system.PIPES_ARE_POLLABLE:
        with out:
            reader.set_transport(ThreadedInput(0, reader))
            yield ThreadedOutput(out.fileno())
        return
    loop = asyncio.get_running_loop()
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    outgoing, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, out)
    try:
        yield asyncio.StreamWriter(outgoing, flow, reader, loop)
    finally:
        incoming.close()
        outgoing.close()


def _private_stdout() -> BinaryIO:
    """Returns a duplicate of standard output and redirects the original to standard error."""
    wire = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return wire


class ThreadedInput(asyncio.ReadTransport):
    """Feeds a reader from a descriptor in a thread.

    Nothing interrupts the thread while it waits for input, so it is a daemon: the process exits without it.
    """

    def __init__(self, descriptor: int, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Event()
        self._wanted.set()
        threading.Thread(target=self._run, name="standard input", daemon=True).start()

    def pause_reading(self) -> None:
        self._wanted.clear()

    def resume_reading(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            while data := self._read():
                self._loop.call_soon_threadsafe(self._reader.feed_data, data)
                self._wanted.wait()
            self._loop.call_soon_threadsafe(self._reader.feed_eof)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, CHUNK)
        except OSError:  # the host has closed its end
            return b""


class ThreadedOutput:
    """Writes to a descriptor in worker threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        self._waiting += data

    async def drain(self) -> None:
        """Writes what ``write`` was given.

        Raises:
            BrokenPipeError: the host does not read any more; Windows says that the argument is invalid.
        """
        data, self._waiting = self._waiting, bytearray()
        try:
            await anyio.to_thread.run_sync(self._write, bytes(data), abandon_on_cancel=True)
        except OSError as error:
            raise BrokenPipeError(error.errno, error.strerror) from error

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]
