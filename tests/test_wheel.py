"""Tests the built wheel, installed into an environment of its own."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"mcp_server", "shim", "tools", "engines"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120)
    return next(folder.glob("local_llm_agent-*.whl"))


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == PACKAGES
    files = {file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()}
    shipped = {ROOT / name for name in names if ".dist-info/" not in name}
    assert shipped == {file for file in files if file.parent.name != "__pycache__"}
    data = {"manifest.json", "calibrations.json", "calibration_rows.jsonl", "index.html"}
    assert data <= {file.name for file in shipped}


def test_every_tool_works_from_the_wheel_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    venv.create(home, with_pip=False)
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    zipfile.ZipFile(wheel).extractall(site_packages)
    # Adds the dependencies of this environment without its editable install of the project.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "project"
    elsewhere.mkdir()
    (elsewhere / "notes.txt").write_text("Release 2.3.0 came today.")
    for arguments in (
        ["classify", "--labels", "news,weather", "--paths", "notes.txt"],
        ["extract", "--fields", '{"version": "the release"}', "--paths", "notes.txt"],
        ["summarize", "--paths", "notes.txt"],
        ["chat", "hello"],
    ):
        done = subprocess.run(
            [str(home / "bin" / "python"), "-P", "-m", "mcp_server", *arguments, "--json"],
            cwd=elsewhere,
            env={**os.environ, "LOCAL_LLM_ENGINE": "scripted"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["receipt"]["project"] == "project"
    imported = subprocess.run(
        [str(home / "bin" / "python"), "-P", "-c", "import tools; print(tools.__file__)"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout.startswith(str(site_packages))
