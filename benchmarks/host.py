"""Minimal MCP host for a stdio server."""

import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

WITHIN_S = 300
LARGEST = 2**26
"""Largest answer in bytes."""

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "0"},
}


class Host:
    """Sends one request at a time; ``begun`` is when the process was started."""

    def __init__(self, process: Process, begun: float) -> None:
        assert process.stdin
        assert process.stdout
        self.pid = process.pid
        self.begun = begun
        self._in = process.stdin
        self._out = BufferedByteReceiveStream(process.stdout)
        self._number = 0

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Returns the result of a request.

        Raises:
            RuntimeError: the result is a protocol or tool error.
        """
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        await self._in.send(json.dumps(message).encode() + b"\n")
        while True:
            answer = json.loads(await self._out.receive_until(b"\n", LARGEST))
            if answer.get("id") == self._number:
                break
        if "error" in answer or answer["result"].get("isError"):
            raise RuntimeError(json.dumps(answer)[:500])
        return answer["result"]

    async def open(self) -> None:
        await self.ask("initialize", **INITIALIZE)
        await self._in.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """Calls a tool and returns the seconds it took."""
        begun = time.perf_counter()
        await self.ask("tools/call", name=tool, arguments=arguments)
        return time.perf_counter() - begun


@asynccontextmanager
async def hosted(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> AsyncGenerator[Host]:
    """Starts a stdio server; closes its input and waits for its exit at the end."""
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with anyio.fail_after(WITHIN_S):
        async with await anyio.open_process(
            list(command), cwd=folder, env=dict(environment), stderr=DEVNULL
        ) as process:
            yield Host(process, begun)
            assert process.stdin
            await process.stdin.aclose()
            await process.wait()
