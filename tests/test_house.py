"""The house keeps its shape: arrows between the rooms, and our names against those of a user's project."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("mcp_server", "shim", "tools", "engines")
SCRIPT = Path(sys.executable).with_name("local-llm-agent")


def imports_of(file: Path) -> Iterator[str]:
    """The top-level packages a module imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_between_rooms_turns_back(room: str) -> None:
    above = set(ROOMS[: ROOMS.index(room)])
    for file in (ROOT / room).rglob("*.py"):
        assert not above & set(imports_of(file)), file


def test_only_the_composition_of_engines_names_a_concrete_one() -> None:
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            if "backends" in file.parts or file.name == "build.py":
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                module = node.module if isinstance(node, ast.ImportFrom) else ""
                assert not (module or "").startswith("engines.backends."), file


def test_no_other_distribution_claims_our_names() -> None:
    owners = packages_distributions()
    for room in ROOMS:
        assert set(owners.get(room, [])) <= {"local-llm-agent"}, room


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A user's project that owns modules of our names; importing one of them is the failure."""
    (tmp_path / "engines.py").write_text("raise RuntimeError('the engines of the user')")
    for room in ("tools", "shim"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(f"raise RuntimeError('the {room} of the user')")
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
