"""Fixtures: real vLLM servers, started once and only for ``pytest -m vllm``."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from engines.backends.vllm.engine import VllmEngine
from engines.settings import VllmSettings
from tests.vllm import server
from tests.vllm.server import Server
from tests.vllm.weights import prepare


def engine_at(at: Server, *, max_loras: int = 4, **adapters: Path) -> VllmEngine:
    """Returns our engine for a server; ``adapters`` are those it may load."""
    paths = {name: str(path) for name, path in adapters.items()}
    return VllmEngine(VllmSettings(url=at.url, max_loras=max_loras, adapters=paths))


@pytest.fixture(scope="session")
def weights(pytestconfig: pytest.Config) -> Path:
    if "vllm" not in str(pytestconfig.getoption("markexpr")):
        pytest.skip("needs a real vLLM, which takes minutes and gigabytes: python -m tests.vllm")
    return prepare()


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="session")
def adapted(weights: Path, logs: Path) -> Generator[Server, None, None]:
    """A server with both adapters that also loads and unloads at run time."""
    modules = ["--lora-modules", *(f"{name}={weights / name}" for name in ("alpha", "beta"))]
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    cached = "--enable-prompt-tokens-details"
    with server.vllm(weights, logs / "adapted.log", *modules, *tools, cached) as running:
        yield running


@pytest.fixture(scope="session")
def plain(weights: Path, logs: Path) -> Generator[Server, None, None]:
    """A server without LoRA that answers one request at a time, by priority."""
    one = ["--max-num-seqs", "1", "--scheduling-policy", "priority"]
    with server.vllm(weights, logs / "plain.log", *one, lora=False) as running:
        yield running


@pytest.fixture(scope="session")
def exact(weights: Path, logs: Path) -> Generator[Server, None, None]:
    """A server in single precision, which rounds batches and single requests alike."""
    with server.vllm(weights, logs / "exact.log", "--dtype", "float32", lora=False) as running:
        yield running


@pytest.fixture
async def engine(adapted: Server) -> AsyncGenerator[VllmEngine]:
    async with engine_at(adapted) as vllm:
        yield vllm
