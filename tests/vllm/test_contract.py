"""Runs the engine contract with a real vLLM."""

import pytest

from engines.backends.vllm.engine import VllmEngine
from tests.engines.backends.test_contract import *  # noqa: F403 (pytest collects the suite)

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]


@pytest.fixture
def engine(engine: VllmEngine) -> VllmEngine:
    """Replaces the suite's engines with that of ``conftest.py``."""
    return engine
