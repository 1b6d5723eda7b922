"""Runs vLLM's OpenAI server and vllm-router as child processes on loopback, one context each."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.posix import kill_group
from tests.vllm import environment
from tests.vllm.weights import BASE

READY_WITHIN = 300
"""Seconds; start-up takes about 35 on two idle cores, two minutes when they are shared."""

CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "auto",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
ADAPTERS = "16"
"""Adapter slots, more than are ever loaded. On a CPU vLLM applies the last slot to the base model's answers
when adapters are in the same batch (its pull request 48421, open in 0.32), so it must stay empty."""

RUNTIME_LORA = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}


@dataclass(slots=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    ready_after: float = field(default=0.0)
    """Seconds from the start of the process to its first answer."""

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.root + path, timeout=10) as answer:
            return answer.read().decode()

    def kill(self) -> None:
        """Kills the process and its children, as orphaned workers would keep running."""
        kill_group(self.process.pid)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def vllm(
    weights: Path, log: Path, *options: str, lora: bool = True, settings: Mapping[str, str] = RUNTIME_LORA
) -> Generator[Server, None, None]:
    """Runs a server of the base model, with adapter slots if ``lora``.

    ``settings`` are environment variables; run-time loading is on unless they turn it off.
    """
    module = [str(environment.python()), "-m", "vllm.entrypoints.openai.api_server"]
    model = ["--model", str(weights / "base"), "--served-model-name", BASE, "--max-model-len", "4096"]
    cpu = ["--dtype", "bfloat16", "--enforce-eager"]
    adapters = ["--enable-lora", "--max-loras", ADAPTERS, "--max-lora-rank", "8"] if lora else []
    with running([*module, *model, *cpu, *adapters, *options], log, CPU | dict(settings)) as server:
        yield server


@contextmanager
def router(log: Path, *workers: Server) -> Generator[Server, None, None]:
    """Runs vllm-router over ``workers``, round robin."""
    command = [str(environment.folder() / "bin" / "vllm-router"), "--policy", "round_robin"]
    metrics = ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    urls = ["--worker-urls", *(worker.root for worker in workers)]
    with running([*command, *metrics, *urls], log) as server:
        yield server


@contextmanager
def running(
    command: list[str], log: Path, settings: Mapping[str, str] | None = None
) -> Generator[Server, None, None]:
    """Runs ``command`` on a free loopback port; yields once its ``/health`` answers.

    Raises:
        RuntimeError: it exited, or was not ready in time; the message has the end of its log.
    """
    port = free_port()
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(settings or {}),
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        _await_ready(server, began + READY_WITHIN)
        server.ready_after = time.monotonic() - began
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _await_ready(server: Server, until: float) -> None:
    while time.monotonic() < until and server.process.poll() is None:
        try:
            server.get("/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"not ready: {server.log.read_text(errors='replace')[-2000:]}")
