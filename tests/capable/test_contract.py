"""Runs the engine contract with the capable models."""

import pytest

from engines.backends.llamacpp.engine import LlamaCppEngine
from tests.capable.asking import BOTH
from tests.engines.backends.test_contract import *  # noqa: F403 (pytest collects the suite)

pytestmark = [pytest.mark.anyio, pytest.mark.capable, BOTH]


@pytest.fixture
def engine(engine: LlamaCppEngine) -> LlamaCppEngine:
    """Replaces the suite's engines with that of ``conftest.py``."""
    return engine
