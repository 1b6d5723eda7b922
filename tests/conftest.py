"""Shared fixtures: a clean environment, a network limited to loopback, and engines."""

import ipaddress
import os
import socket
from collections.abc import AsyncGenerator, Generator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.scripted.engine import ScriptedEngine
from engines.errors import ModelNotPulledError
from engines.models import pull as models
from tests.apart import apart
from tests.engines import embedded

OURS = ("LOCAL_LLM_", "CLAUDE_PROJECT_DIR", "HF_ENDPOINT", "HF_TOKEN", "OLLAMA_HOST")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        # The capable models have a marker of their own; all other tests use the fast one.
        patch.setenv("LOCAL_LLM_LLAMACPP__MODEL", embedded.MODELS[0])
        # Tests must not write to the user's own ledger.
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def only_loopback(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails any connection to another machine and names its address."""
    if request.node.get_closest_marker("live"):
        return
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _local(getattr(socket.socket, name)))


def _local(connect: Any) -> Any:
    def checked(self: socket.socket, address: Any) -> Any:
        if not isinstance(address, str | bytes) and not _is_loopback(address[0]):  # those are Unix sockets
            raise AssertionError(f"a test wanted to connect to {address}")
        return connect(self, address)

    return checked


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the test models only; pulls those that are missing."""
    folder, all_models = tmp_path_factory.mktemp("models"), models.models_folder()
    for name in embedded.MODELS:
        card = models.find(name)
        try:
            models.path_of(card, all_models)
        except ModelNotPulledError:
            apart(partial(anyio.run, partial(models.pull, name, folder=all_models)))
        (folder / card.file).symlink_to(all_models / card.file)
    return folder


@pytest.fixture
async def scripted() -> AsyncGenerator[ScriptedEngine, None]:
    async with ScriptedEngine(pace=0.001) as engine:
        yield engine


@pytest.fixture(scope="session")
def llamacpp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("llamacpp")


@pytest.fixture(scope="session")
async def llamacpp(models_folder: Path, llamacpp_folder: Path) -> AsyncGenerator[LlamaCppEngine, None]:
    """The embedded engine over the real model, with one process that all tests share."""
    async with LlamaCppEngine(
        embedded.settings(), models_folder=models_folder, runtime_folder=llamacpp_folder
    ) as engine:
        yield engine
    await embedded.stop(llamacpp_folder)
