"""Earlier versions, from the history of this repository, and this one share a user's files and engine.

They run with today's packages. Skipped where the history is not there, as in a shallow clone.
"""

import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engines import embedded
from tests.upgrade.user import LIMIT_S, RECORDED, ROOT, User, ended

VERSIONS = {
    "first release": "d071f25dd1d5f85b508bbecdec53fe28f8716de1",
    "second release": "fe1625f80f05810f5abad21dfc311f14cff7662d",
}
TURNS = 3


@pytest.fixture(scope="module", params=VERSIONS.values(), ids=list(VERSIONS))
def earlier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source of an earlier version."""
    folder = tmp_path_factory.mktemp("earlier")
    archive = folder / "source.tar"
    command = ["git", "-C", str(ROOT), "archive", "--output", str(archive), request.param]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode:
        pytest.skip(f"the history has no commit {request.param[:7]}: {done.stderr.strip()}")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    return folder


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path, RECORDED / "config.toml")


def test_versions_share_ledger_cache_and_settings_in_turns(earlier: Path, user: User) -> None:
    for turn, code in enumerate([earlier, ROOT] * TURNS):
        assert user.run(code, "chat", f"Say {turn}")["text"] == f"Say {turn}"
        assert user.run(code, "chat", "Say hello")["text"] == "Say hello"
    assert user.calls(earlier) == user.calls(ROOT) == 4 * TURNS


def test_versions_share_ledger_cache_and_slots_at_once(earlier: Path, user: User) -> None:
    processes = [user.start(code, "chat", f"Say {n}") for n in range(TURNS) for code in (earlier, ROOT)]
    assert {ended(process)["text"] for process in processes} == {f"Say {n}" for n in range(TURNS)}
    assert user.calls(earlier) == user.calls(ROOT) == 2 * TURNS


@pytest.fixture
def owner(user: User, models_folder: Path) -> Generator[User]:
    """A user of the embedded engine; its processes are stopped at the end."""
    config = user.home / "config.toml"
    config.write_text(
        f'engine = "llamacpp"\nllamacpp.model = "{embedded.MODELS[0]}"\nllamacpp.context = 2048\n'
    )
    user.data.mkdir()
    (user.data / "models").symlink_to(models_folder)
    yield User(user.home, config)
    for state in embedded.states(user.runtime):
        with suppress(ProcessLookupError):
            os.kill(int(state["pid"]), signal.SIGTERM)


@pytest.mark.model
def test_each_version_finds_or_starts_its_engine_whoever_came_first(earlier: Path, owner: User) -> None:
    for number, code in enumerate([earlier, ROOT, earlier, ROOT]):
        began = time.monotonic()
        answer = owner.run(code, "classify", "--labels", "bug,feature", f"It crashes on save, case {number}")
        assert answer["label"] in {"bug", "feature"}
        assert time.monotonic() - began < LIMIT_S
    # One process, or one for each version, but none for each call.
    assert 1 <= len(embedded.states(owner.runtime)) <= 2
