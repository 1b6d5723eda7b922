"""What every engine promises, kept by a real vLLM."""

import pytest

from engines.backends.vllm.engine import VllmEngine
from tests.engines.backends.test_contract import *  # noqa: F403

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]


@pytest.fixture
def engine(engine: VllmEngine) -> VllmEngine:
    """That of ``conftest.py`` instead of those the suite names itself."""
    return engine
