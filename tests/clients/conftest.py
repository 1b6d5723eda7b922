"""The real clients, installed when a test asks for them: ``make test-clients``."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.clients import packages, sandbox
from tests.clients.sandbox import Sandbox


@pytest.fixture(scope="session")
def clients(pytestconfig: pytest.Config) -> Path:
    if "clients" not in str(pytestconfig.getoption("markexpr")):
        pytest.skip("needs the real clients, 900 MB of them: make test-clients")
    return packages.install()


@pytest.fixture
async def box(clients: Path, tmp_path: Path) -> AsyncGenerator[Sandbox]:
    """A home and a project; afterwards nothing that was started in it may still run."""
    made = sandbox.make(tmp_path)
    yield made
    assert await made.survivors() == []
