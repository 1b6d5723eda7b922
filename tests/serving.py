"""Runs ``local-llm-agent serve`` for the tests."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio

from tests.mcp_server.stdio.test_stdio import SCRIPT

STARTED_S = 90
"""Start-up limit: a dozen processes start at once."""


@asynccontextmanager
async def serving(environment: dict[str, str], folder: Path, port: int = 0) -> AsyncGenerator[str]:
    """Yields the URL of a server on ``port`` or a free one; stops it as a service manager does."""
    port = port or free_port()
    url, command = f"http://127.0.0.1:{port}", [SCRIPT, "serve", "--port", str(port)]
    async with await anyio.open_process(command, env=environment, cwd=folder, stderr=None) as process:
        try:
            await answering(url)
            yield url
        finally:
            process.terminate()
            with anyio.fail_after(10):
                assert await process.wait() == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def answering(url: str) -> None:
    """Waits until a server at ``url`` answers ``/health``."""
    with anyio.fail_after(STARTED_S):
        async with aiohttp.ClientSession() as session:
            while not await _answers(session, url):  # noqa: ASYNC110 (no event crosses processes)
                await anyio.sleep(0.05)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False
