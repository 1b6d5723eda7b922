"""The stdio server with pipes and signals as on Windows, whose event loop can poll neither."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from mcp_server.stdio.pipes import CHUNK, ThreadedInput, ThreadedOutput
from tests.mcp_server.stdio.test_stdio import CHAT, INITIALIZE, Host

pytestmark = pytest.mark.anyio

AS_ON_WINDOWS = """
import signal
from engines import system

system.PIPES_ARE_POLLABLE = False
system.stop_signals = lambda: system.handled_signals(signal.SIGINT, signal.SIGTERM)
from mcp_server.__main__ import main
main()
"""


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[Host]:
    environment = {**os.environ, "LOCAL_LLM_ENGINE": "scripted"}
    command = [sys.executable, "-P", "-c", AS_ON_WINDOWS, "stdio"]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, cwd=folder, env=environment) as process:
            host = Host(process)
            assert (await host.ask(INITIALIZE))["result"]["serverInfo"]["name"] == "local-llm-agent"
            await host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            yield host


async def test_calls_are_answered_and_the_end_of_input_ends_the_server(tmp_path: Path) -> None:
    async with started(tmp_path) as host:
        for number in (2, 3):
            answer = await host.ask({**CHAT, "id": number})
            assert (answer["id"], answer["result"]["content"][0]["text"]) == (number, "hello")
        await host.hang_up()
        assert await host.process.wait() == 0


async def test_a_message_longer_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    prompt = "word " * 50_000
    async with started(tmp_path) as host:
        params = {"name": "chat", "arguments": {"prompt": prompt}}
        answer = await host.ask({**CHAT, "params": params})
    assert answer["id"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_though_input_stays_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with started(tmp_path) as host:
        assert (await host.ask(CHAT))["id"] == 2
        host.process.send_signal(number)
        with anyio.fail_after(5):
            assert await host.process.wait() == 0


async def test_input_is_read_only_as_fast_as_it_is_used() -> None:
    source, sink = os.pipe()
    reader = asyncio.StreamReader()
    incoming = ThreadedInput(source, reader)
    reader.set_transport(incoming)
    with anyio.fail_after(5):
        incoming.pause_reading()
        os.write(sink, b"first")
        assert await reader.read(CHUNK) == b"first"
        os.write(sink, b"waits in the pipe")
        assert os.read(source, CHUNK) == b"waits in the pipe"
        incoming.resume_reading()
        os.write(sink, b"second")
        assert await reader.read(CHUNK) == b"second"
        os.close(sink)
        assert await reader.read(CHUNK) == b""
    os.close(source)


async def test_a_host_that_reads_no_more_is_a_broken_pipe() -> None:
    source, sink = os.pipe()
    os.close(source)
    out = ThreadedOutput(sink)
    out.write(b"to nobody")
    with pytest.raises(BrokenPipeError):
        await out.drain()
    os.close(sink)
