"""Other gateways for comparison: LiteLLM's proxy and Portkey's gateway, in their own environments.

``install`` installs the versions below into ``.venv-peers`` and ``node_modules`` next to this file.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.callers import Target
from benchmarks.processes import clean_environment, free_port, running
from benchmarks.upstream import MODEL, SLOW

HERE = Path(__file__).parent
PYTHON = HERE / ".venv-peers"
NODE = HERE / "node_modules"
LITELLM, PORTKEY, NODE_JS = "litellm[proxy]==1.106.2", "@portkey-ai/gateway@1.15.2", "node@22"

Started = tuple[Target, int]


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    started: Callable[[Path, int], AbstractAsyncContextManager[Started]]
    streams: bool = True


def install() -> None:
    """Installs both unless they exist."""
    if not (PYTHON / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PYTHON)], check=True)
        subprocess.run([str(PYTHON / "bin" / "pip"), "install", "--quiet", LITELLM], check=True)
    if not (NODE / "@portkey-ai").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(HERE)]
        subprocess.run([*command, NODE_JS, PORTKEY], check=True)


def peers() -> Sequence[Peer]:
    install()
    # 1.15.2 answers every stream over a custom host with 500 ("immutable headers"), on Node 20 and 22.
    return [Peer("LiteLLM", _litellm), Peer("Portkey", _portkey, streams=False)]


@asynccontextmanager
async def _litellm(folder: Path, upstream: int) -> AsyncGenerator[Started]:
    """Runs LiteLLM with one worker, no database, the packaged cost map and no telemetry."""
    port = free_port()
    config = _litellm_config(folder, upstream)
    environment = clean_environment(
        folder,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true",
    )
    command = [str(PYTHON / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    async with running(command, port, "/health/liveliness", folder=folder, environment=environment) as pid:
        yield Target(port), pid


def _litellm_config(folder: Path, upstream: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    models = "".join(
        f"  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: none\n"
        for name in (MODEL, SLOW)
    )
    config = folder / "config.yaml"
    config.write_text(f"model_list:\n{models}")
    return config


@asynccontextmanager
async def _portkey(folder: Path, upstream: int) -> AsyncGenerator[Started]:
    port = free_port()
    node = NODE / "node" / "bin" / "node"
    server = NODE / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    headers = {
        "authorization": "Bearer none",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
    }
    # Loopback addresses are refused unless they are listed.
    environment = clean_environment(folder, NODE_ENV="production", TRUSTED_CUSTOM_HOSTS="127.0.0.1,localhost")
    command = [str(node), str(server), f"--port={port}", "--headless"]
    async with running(command, port, "/", folder=folder, environment=environment) as pid:
        yield Target(port, headers=headers), pid
