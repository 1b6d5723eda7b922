"""Runs ``local-llm-agent serve`` for HTTP clients."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests import serving as server
from tests.clients.sandbox import Sandbox

TOKEN = "a token for this test"


@asynccontextmanager
async def serving(box: Sandbox, **extra: str) -> AsyncGenerator[str]:
    """Yields the server's URL; it requires ``TOKEN`` and serves the sandbox's project as ``shop``."""
    config = box.root / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(box.project))}]\n")
    environment = box.environment(LOCAL_LLM_CONFIG=str(config), LOCAL_LLM_HTTP__TOKEN=TOKEN, **extra)
    async with server.serving(environment, box.root) as url:
        yield url
