"""Import contracts between our packages, and their names against those of a user's project."""

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mcp_server", "shim", "tools", "engines")
SCRIPT = Path(sys.executable).with_name("local-llm-agent")


def test_the_import_contracts_of_pyproject_are_kept() -> None:
    done = subprocess.run(
        [str(SCRIPT.with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_other_distribution_claims_our_names() -> None:
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"local-llm-agent"}, package


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A user's project whose modules have our package names and raise when imported."""
    (tmp_path / "engines.py").write_text("raise RuntimeError('the engines of the user')")
    for package in ("tools", "shim"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"raise RuntimeError('the {package} of the user')")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ([str(SCRIPT)], {}),
        ([str(SCRIPT)], {"PYTHONPATH": "."}),
        ([sys.executable, "-P", "-m", "mcp_server"], {}),
        ([sys.executable, "-m", "mcp_server"], {}),
    ],
    ids=["script", "script under PYTHONPATH=.", "-P -m", "-m"],
)
def test_a_project_with_modules_of_our_names_does_not_break_us(
    hostile: Path, command: list[str], extra: dict[str, str]
) -> None:
    arguments = ["classify", "--engine", "scripted", "--labels", "bug,feature", "--json", "It crashes"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=hostile,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in {"bug", "feature"}
