"""Runs the engine contract with the generic OpenAI engine at llama.cpp's server and a capable model."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.openai.engine import OpenAiEngine
from engines.settings import OpenAiSettings
from tests.capable.asking import SMALLER
from tests.engines import embedded
from tests.engines.backends.test_contract import *  # noqa: F403 (pytest collects the suite)
from tests.engines.backends.test_contract import answer
from tests.engines.sample_requests import ask
from tests.test_transports_agree import ServedProject

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.capable,
    pytest.mark.parametrize("model", [SMALLER], scope="session"),
]


@pytest.fixture
async def engine(engine: LlamaCppEngine, served: ServedProject) -> AsyncGenerator[OpenAiEngine, None]:
    """Replaces the suite's engines: the process of ``conftest.py``'s engine, as any server."""
    await answer(engine, ask(max_tokens=1))
    (state,) = embedded.states(served.root.parent / "local-llm-agent")
    async with OpenAiEngine(OpenAiSettings(url=state["url"], api_key=SecretStr(state["key"]))) as openai:
        yield openai


async def test_its_features_are_found(engine: OpenAiEngine):
    profile = await engine.profile()
    can = profile.capabilities
    # Qwen2.5-Coder writes calls as text, which llama.cpp does not read: no tools.
    assert (can.json_schema, can.choice, can.logprobs, can.tools) == (True, True, True, False)
    assert (profile.parameters, can.max_context) == (0.5, 16384)
