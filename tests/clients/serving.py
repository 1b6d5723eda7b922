"""Runs ``local-llm-agent serve`` for HTTP clients."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio

from tests.clients.sandbox import SCRIPT, Sandbox

TOKEN = "a token for this test"


@asynccontextmanager
async def serving(box: Sandbox, **extra: str) -> AsyncGenerator[str]:
    """Yields the server's URL; it requires ``TOKEN`` and serves the sandbox's project as ``shop``."""
    config = box.root / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(box.project))}]\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = box.environment(LOCAL_LLM_CONFIG=str(config), LOCAL_LLM_HTTP__TOKEN=TOKEN, **extra)
    command = [str(SCRIPT), "serve", "--port", str(port)]
    async with await anyio.open_process(command, env=environment, cwd=box.root, stderr=None) as process:
        try:
            await _until_alive(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            with anyio.fail_after(10):
                assert await process.wait() == 0


async def _until_alive(url: str) -> None:
    with anyio.fail_after(30):
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/health") as answer:
                        assert answer.status == 200
                        return
                except aiohttp.ClientConnectionError:
                    await anyio.sleep(0.05)
