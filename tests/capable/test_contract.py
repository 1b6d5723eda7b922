"""What every engine promises, kept with the capable models."""

import pytest

from engines.backends.llamacpp.engine import LlamaCppEngine
from tests.capable.asking import BOTH
from tests.engines.backends.test_contract import *  # noqa: F403

pytestmark = [pytest.mark.anyio, pytest.mark.capable, BOTH]


@pytest.fixture
def engine(engine: LlamaCppEngine) -> LlamaCppEngine:
    """That of ``conftest.py`` instead of those the suite names itself."""
    return engine
