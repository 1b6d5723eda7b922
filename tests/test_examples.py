"""Runs the commands, settings and examples of the guides as written."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from mcp_server.__main__ import PACKAGES
from mcp_server.cli.parser import parser
from mcp_server.clients.catalogue import CLIENTS, NAME, Launch
from mcp_server.clients.registration import Registration
from mcp_server.settings import Settings
from tests.clients.packages import NPM, PYPI
from tests.test_transports_agree import serving

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent
GUIDED = ("clients", "install", "remote", "service", "settings", "troubleshooting")
GUIDES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in GUIDED)]


def commands() -> Iterator[str]:
    """Yields the ``local-llm-agent`` commands in the shell blocks of the guides."""
    for guide in GUIDES:
        for block in re.findall(r"^ *```sh\n(.*?)```", guide.read_text(), re.DOTALL | re.MULTILINE):
            yield from re.findall(rf"^ *({NAME} .*)$", block, re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_of_the_guides_is_one_of_ours(line: str) -> None:
    _, *arguments = shlex.split(line, comments=True)
    parser().parse_args(arguments)


def test_the_guides_have_commands() -> None:
    assert len(set(commands())) > 8


def test_the_errors_of_the_troubleshooting_page_exist() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    named = {
        code
        for cell in re.findall(r"^\|([^|]*)\|", page, re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", cell)
    }
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    codes = {
        code for file in files for code in re.findall(r'^    code = "(\w+)"', file.read_text(), re.MULTILINE)
    }
    assert len(named) > 10
    assert named - codes == {"abstained", "confidence", "stats"}


def test_the_page_of_settings_matches_the_settings() -> None:
    script = ROOT / "docs" / "reference.py"
    page = runpy.run_path(str(script))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text() == page, "run: python -P docs/reference.py"
    assert "| None |" not in page, "a setting has no description"


def test_the_example_in_the_page_of_settings_holds() -> None:
    [example] = re.findall(
        r"^```toml\n(.*?)```", (ROOT / "docs" / "settings.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert Settings.model_validate(tomllib.loads(example)).tiers["main"].model == "gpt-oss:20b"


@pytest.mark.parametrize("name", CLIENTS)
def test_the_example_for_a_client_is_what_register_prints(name: str) -> None:
    client = CLIENTS[name]
    [example] = (ROOT / "examples" / "clients").glob(f"{name}.*")
    registration = Registration(client, "project", Path(client.project_file))
    assert example.read_text() == registration.snippet(client.entry(Launch(NAME, ("stdio",)), {}))


def test_the_example_for_uvx_runs_a_command_of_ours_from_the_place_it_names() -> None:
    example = json.loads((ROOT / "examples" / "clients" / "uvx.json").read_text())
    entry = example["mcpServers"][NAME]
    option, _place, program, *arguments = entry["args"]
    assert (entry["command"], option, program) == ("uvx", "--from", NAME)
    assert parser().parse_args(arguments).command == "serve.stdio"
    ours = json.loads((ROOT / "mcp.json").read_text())["mcpServers"][NAME]
    assert {**entry, "command": NAME, "args": arguments} == ours


def test_the_versions_of_the_guide_are_those_that_are_run() -> None:
    guide = (ROOT / "docs" / "clients.md").read_text()
    for package in (*NPM, *PYPI):
        assert package.rpartition("@" if "@" in package else "=")[2] in guide, package


def test_the_example_settings_are_settings() -> None:
    settings = Settings.model_validate(tomllib.loads((ROOT / "examples" / "config.toml").read_text()))
    assert settings.http.host == "0.0.0.0"
    assert "shop" in settings.projects


def test_the_unit_starts_a_command_of_ours() -> None:
    unit = (ROOT / "examples" / "services" / "local-llm-agent.service").read_text()
    [start] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = shlex.split(start)
    assert program == f"%h/.local/bin/{NAME}"
    parser().parse_args(arguments)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    variables = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_RUNTIME_DIR": str(tmp_path / "run"),
              "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_STATE_HOME": str(tmp_path / "state")}  # fmt: skip
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    return {**os.environ, **variables, "PATH": path, "LOCAL_LLM_ENGINE": "scripted"}


def test_the_shell_example_counts_lines(environment: dict[str, str]) -> None:
    command = [str(ROOT / "examples" / "triage.sh"), "docs/samples/service.log"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    counted = [line.split() for line in done.stdout.splitlines()]
    assert sum(int(count) for count, _ in counted) == 12
    assert {label for _, label in counted} <= {"login", "payment", "database", "resources", "start"}


def test_the_shell_example_reports_why_it_cannot_count(environment: dict[str, str]) -> None:
    command = [str(ROOT / "examples" / "triage.sh"), "no-such.log"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "no-such.log does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.anyio
async def test_the_python_example_gets_what_its_schema_promises(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with serving(environment, tmp_path) as url:
        done = await anyio.run_process(
            [sys.executable, str(ROOT / "examples" / "ask.py")],
            env={**environment, "LOCAL_LLM_URL": f"{url}/v1"},
        )
    said, receipt = done.stdout.decode().splitlines()
    assert '"severity"' in said
    assert "'engine': 'scripted'" in receipt
