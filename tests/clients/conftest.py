"""Fixtures: the real clients, installed for ``make test-clients`` only."""

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
    """A sandbox; fails if a process started in it still runs afterwards."""
    made = sandbox.make(tmp_path)
    yield made
    assert await made.survivors() == []
