"""Fixtures: one server and one engine process per capable model, shared by all tests."""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.errors import ModelNotPulledError
from engines.models import pull as models
from engines.settings import LlamaCppSettings
from tests.capable.asking import DEADLINE_S, FILES
from tests.engines import embedded
from tests.test_transports_agree import ServedProject, serving

IDLE_S = 60


@pytest.fixture(scope="session")
def pulled(model: str) -> Path:
    """The user's models folder; fails unless it has ``model`` and the embedding model."""
    for name in (model, embedded.MODELS[1]):
        try:
            models.path_of(models.find(name))
        except ModelNotPulledError as error:
            pytest.fail(f"{error.message}; {error.hint}, or: make test-capable")
    return models.models_folder()


@pytest.fixture(scope="session")
async def served(
    model: str, pulled: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[ServedProject, None]:
    """A project with the sample texts and a server for it that runs ``model``."""
    folder = tmp_path_factory.mktemp(model)
    project = folder / "shop"
    project.mkdir()
    for name, text in FILES.items():
        (project / name).write_text(text)
    config = folder / "config.toml"
    config.write_text(f"[projects.shop]\npaths = [{json.dumps(str(project))}]\n")
    environment = {
        **os.environ,
        "LOCAL_LLM_CONFIG": str(config),
        "LOCAL_LLM_ENGINE": "llamacpp",
        "LOCAL_LLM_LLAMACPP__MODEL": model,
        "LOCAL_LLM_LLAMACPP__IDLE_SECONDS": str(IDLE_S),
        "LOCAL_LLM_LIMITS__DEADLINE_S": str(DEADLINE_S),
        "LOCAL_LLM_CACHE": "false",
        "XDG_RUNTIME_DIR": str(folder),
    }
    async with serving(environment, folder) as url:
        yield ServedProject(project, url, environment)
    await embedded.stop(folder / "local-llm-agent")


@pytest.fixture
async def engine(model: str, pulled: Path, served: ServedProject) -> AsyncGenerator[LlamaCppEngine, None]:
    """The engine without a server, over the engine process that the server uses too."""
    settings = LlamaCppSettings(model=model, idle_seconds=IDLE_S)
    folder = served.root.parent / "local-llm-agent"
    async with LlamaCppEngine(settings, models_folder=pulled, runtime_folder=folder) as llamacpp:
        yield llamacpp
