"""Starts, for each engine, an HTTP server, a stdio server and an upstream that can break."""

import json
import os
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from engines.models import pull as models
from tests.faults import upstream
from tests.faults.entry_points import Servers
from tests.faults.upstream import Upstream
from tests.mcp_server.stdio.test_stdio import INITIALIZE, SCRIPT, Host
from tests.serving import answering

ENGINES = ("llamacpp", "ollama", "vllm")


@dataclass
class BreakableServers(Servers):
    """Servers whose engine, disk and files can be broken."""

    deadline_s: float
    """Deadline of every call."""
    upstream: Upstream
    folder: Path
    server: Process

    @property
    def processes(self) -> tuple[int, int]:
        return self.server.pid, self.host.process.pid

    @property
    def files(self) -> tuple[Path, Path]:
        """The cache and the ledger."""
        home = self.folder / "local-llm-agent"
        return home / "answers-1.sqlite3", home / "ledger.sqlite3"

    def logs(self) -> str:
        """The logs of both servers."""
        return "".join((self.folder / f"{name}.log").read_text() for name in ("serve", "stdio"))


@asynccontextmanager
async def opened(engine: str, folder: Path, deadline_s: float) -> AsyncGenerator[BreakableServers]:
    async with upstream.upstream(engine) as served:
        environment = _environment(engine, served.url, folder, deadline_s)
        runtime = folder / "run" / "local-llm-agent"
        with upstream.playing_the_child(served.url, runtime, folder / "local-llm-agent" / "models"):
            async with (
                _started("stdio", folder, environment) as stdio,
                _serving(folder, environment) as (server, url),
            ):
                host = Host(stdio)
                await host.ask(INITIALIZE)
                await host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
                yield BreakableServers(environment, url, host, (), deadline_s, served, folder, server)


def _environment(engine: str, url: str, folder: Path, deadline_s: float) -> dict[str, str]:
    (folder / "local-llm-agent").mkdir(parents=True)
    (folder / "local-llm-agent" / "models").symlink_to(models.models_folder())
    # One slot, so that a slot that is not released is noticed at once.
    settings = {"engine": json.dumps(engine), "limits": f"{{concurrency = 1, deadline_s = {deadline_s}}}"}
    if engine == "ollama":
        settings["ollama"] = f'{{url = "{url}", model = "gpt-oss:20b"}}'
    if engine == "vllm":
        settings["vllm"] = f'{{url = "{url}/v1"}}'
    config = folder / "config.toml"
    config.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    homes = {"XDG_CACHE_HOME": folder, "XDG_DATA_HOME": folder, "XDG_RUNTIME_DIR": folder / "run"}
    (folder / "run").mkdir(mode=0o700)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        # A full disk would leave a truncated .pyc, which Python would load.
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOCAL_LLM_CONFIG": str(config),
        "LOCAL_LLM_LLAMACPP__MODEL": upstream.SETTINGS.model,
        **{name: str(path) for name, path in homes.items()},
    }


@asynccontextmanager
async def _started(
    name: str, folder: Path, environment: Mapping[str, str], *more: str
) -> AsyncGenerator[Process]:
    with (folder / f"{name}.log").open("wb") as log:
        async with await anyio.open_process(
            [SCRIPT, name, *more], cwd=folder, env=environment, stderr=log
        ) as process:
            try:
                yield process
            finally:
                process.terminate()


@asynccontextmanager
async def _serving(folder: Path, environment: Mapping[str, str]) -> AsyncGenerator[tuple[Process, str]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with _started("serve", folder, environment, "--port", str(port)) as process:
        await answering(url)
        yield process, url
