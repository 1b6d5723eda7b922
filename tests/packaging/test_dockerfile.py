"""The Dockerfile's steps, as far as they can be run without Docker."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mcp_server.cli.parser import parser
from tests.packaging.dockerfile import ROOT, instructions, only

SCRIPT = str(Path(sys.executable).with_name("local-llm-agent"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of the image, with its folders below a scratch folder."""
    given = dict(pair.split("=", 1) for pair in only("ENV").split())
    folders = {name: f"{tmp_path}{folder}" for name, folder in given.items() if name.startswith("XDG_")}
    return {**os.environ, **folders, "LOCAL_LLM_ENGINE": "scripted"}


def command(*more: str) -> list[str]:
    """Returns what a container runs, on a free port."""
    [program], arguments = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))
    assert program == "local-llm-agent"
    return [SCRIPT, *arguments, "--port", "0", *more]


@contextmanager
def running(environment: dict[str, str]) -> Generator[str]:
    """Runs the container's command; yields its port."""
    with subprocess.Popen(command(), env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            told = re.search(r"http://0\.0\.0\.0:(\d+)", server.stderr.readline())
            assert told, "no address"
            yield told[1]
        finally:
            server.terminate()


def healthy(port: str) -> bool:
    check = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert "127.0.0.1:3160" in check[-1]
    probe = [sys.executable, *check[1:-1], check[-1].replace(":3160", f":{port}")]
    return subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0


def test_without_a_token_it_does_not_start(environment: dict[str, str]) -> None:
    done = subprocess.run(command(), env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "LOCAL_LLM_HTTP__TOKEN" in done.stderr


def test_its_health_check_needs_no_token_and_fails_without_a_server(environment: dict[str, str]) -> None:
    with running({**environment, "LOCAL_LLM_HTTP__TOKEN": "secret"}) as port:
        assert healthy(port)
    assert not healthy(port)


def test_it_runs_as_a_user_without_rights() -> None:
    names = [name for name, _ in instructions()]
    assert int(only("USER")) >= 1000
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_its_command_is_ours_and_its_port_the_default() -> None:
    assert parser().parse_args(json.loads(only("CMD"))).command == "serve.serve"
    assert only("EXPOSE") == "3160"


def test_models_outlive_a_container_and_addresses_do_not(environment: dict[str, str]) -> None:
    volume = only("VOLUME")
    for name in ("CACHE", "DATA", "CONFIG"):
        assert f"{volume}/" in environment[f"XDG_{name}_HOME"]
    assert volume not in environment["XDG_RUNTIME_DIR"]


def test_it_installs_the_versions_of_the_lock() -> None:
    [extract] = [found for _, rest in instructions() for found in re.findall(r"sed -n '.*?'", rest)]
    shown = subprocess.run(
        f"{extract} requirements.lock", shell=True, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [Requirement(line) for line in shown.stdout.splitlines()]
    locked = re.findall(
        r"^([\w.-]+)(?:\[.*?\])?(==\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert [(each.name, str(each.specifier)) for each in found] == locked
    assert not [each for each in found if each.extras], "pip refuses constraints with extras"


def test_the_build_gets_what_the_wheel_needs_and_nothing_else() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = {project["project"]["readme"], *project["project"]["license-files"]}
    assert let_in == {"pyproject.toml", "requirements.lock", *packages, *files}
    assert "*" in rules
