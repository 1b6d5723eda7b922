"""Tests of registrations: started as each client does, and only this installation is started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_server.clients import trial
from mcp_server.clients.catalogue import CLIENTS, NAME, Launch, http
from mcp_server.clients.registration import Registration, registration
from mcp_server.clients.trial import Trial, trials
from tests.test_transports_agree import serving

pytestmark = pytest.mark.anyio

SCRIPT = Path(sys.executable).with_name(NAME)
STDIO = Launch(str(SCRIPT), ("stdio",))


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    places = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "XDG_CACHE_HOME": str(home / "cache")}
    return {**os.environ, **places, "LOCAL_LLM_ENGINE": "scripted"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    return project


def put(root: Path, client: str, entry: Mapping[str, Any]) -> Registration:
    place = registration(CLIENTS[client], "project", root, {})
    place.add(dict(entry))
    return place


async def tried(root: Path, environ: Mapping[str, str]) -> list[Trial]:
    with anyio.fail_after(60):
        return [each async for each in trials(root, environ)]


async def test_every_client_finds_the_tools_as_it_was_registered(root: Path, environ: dict[str, str]) -> None:
    for name, client in CLIENTS.items():
        put(root, name, client.entry(STDIO, environ))
    found = await tried(root, environ)
    assert [each.where.client for each in found] == list(CLIENTS.values())
    assert all(each.ok and each.found.startswith("4 tools after ") for each in found), found


async def test_nothing_registered_is_nothing_tried(root: Path, environ: dict[str, str]) -> None:
    assert await tried(root, environ) == []


async def test_a_registration_of_the_user_is_tried_too(root: Path, environ: dict[str, str]) -> None:
    registration(CLIENTS["cursor"], "user", None, environ).add(CLIENTS["cursor"].entry(STDIO, environ))
    [found] = await tried(root, environ)
    assert (found.ok, found.where.scope) == (True, "user")


async def test_codex_passes_on_only_the_listed_variables(root: Path, environ: dict[str, str]) -> None:
    entry = CLIENTS["codex"].entry(STDIO, environ)
    assert "LOCAL_LLM_ENGINE" in entry["env_vars"]  # type: ignore[operator]
    broken = environ | {"LOCAL_LLM_ENGINE": "no such engine"}
    put(root, "codex", entry)
    [told] = await tried(root, broken)
    assert not told.ok
    assert "engine" in told.found
    put(root, "codex", {**entry, "env_vars": ["XDG_RUNTIME_DIR", "XDG_CACHE_HOME"]})
    [untold] = await tried(root, broken)
    assert untold.ok


async def test_a_server_that_fails_after_its_handshake_is_detected(
    root: Path, environ: dict[str, str]
) -> None:
    (root / "local-llm-agent.toml").write_text("[limits]\nconcurrency = 0\n")
    put(root, "claude-code", CLIENTS["claude-code"].entry(STDIO, environ))
    [found] = await tried(root, environ)
    assert not found.ok
    assert "exited with code 2" in found.found
    assert "concurrency" in found.found


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "/bin/sh", "args": ["-c", "touch run-by-doctor"]},
        {"command": "sh", "args": ["stdio"], "env": {}},
        {"command": str(SCRIPT), "args": ["models", "pull"]},
        {"command": str(SCRIPT), "args": ["stdio"], "env": {"PYTHONPATH": "."}},
        {"command": str(SCRIPT), "args": ["stdio"], "env": {"LD_PRELOAD": "./x.so"}},
        {"url": "http://192.0.2.1/mcp", "headers": {"Authorization": "Bearer ${HOME}"}},
    ],
)
async def test_what_a_repository_names_is_not_run_for_it(
    root: Path, environ: dict[str, str], entry: dict[str, Any]
) -> None:
    put(root, "claude-code", entry)
    [found] = await tried(root, environ)
    assert (found.ok, found.found[:11]) == (False, "not tested:")
    assert not (root / "run-by-doctor").exists()


async def test_a_missing_command_is_reported_with_a_hint(root: Path, environ: dict[str, str]) -> None:
    put(root, "gemini", {"command": "/gone/local-llm-agent", "args": ["stdio"]})
    [found] = await tried(root, environ)
    assert (found.ok, found.hint) == (False, "local-llm-agent register gemini")
    assert "/gone/local-llm-agent" in found.found


async def test_a_file_that_cannot_be_read_is_a_finding(root: Path, environ: dict[str, str]) -> None:
    (root / ".mcp.json").write_text("{")
    [found] = await tried(root, environ)
    assert not found.ok
    assert ".mcp.json" in found.found


async def test_a_server_that_says_nothing_is_given_up(
    root: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / NAME
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setattr(trial, "own_script", lambda: silent)
    monkeypatch.setattr(trial, "DEADLINE_S", 0.3)
    put(root, "trae", {"command": str(silent), "args": ["stdio"]})
    with anyio.fail_after(5):
        [found] = await tried(root, environ)
    assert (found.ok, found.found) == (False, "no answer within 0 s")


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_an_address_is_called_with_the_token_of_its_variable(
    root: Path, environ: dict[str, str], tmp_path: Path, path: str
) -> None:
    async with serving(environ | {"LOCAL_LLM_HTTP__TOKEN": "secret"}, tmp_path) as url:
        put(root, "claude-code", CLIENTS["claude-code"].entry(http(url + path, "SHOP_TOKEN"), environ))
        [right] = await tried(root, environ | {"SHOP_TOKEN": "secret"})
        [wrong] = await tried(root, environ | {"SHOP_TOKEN": "guessed"})
        [unset] = await tried(root, environ)
    assert (right.ok, right.found[:7]) == (True, "4 tools")
    assert (wrong.ok, unset.ok) == (False, False)
    assert wrong.found == f"{url}{path} answers 401"
    assert "SHOP_TOKEN is not set" in unset.found


async def test_codex_takes_the_token_from_the_named_variable(
    root: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    async with serving(environ | {"LOCAL_LLM_HTTP__TOKEN": "secret"}, tmp_path) as url:
        put(root, "codex", CLIENTS["codex"].entry(http(url, "SHOP_TOKEN"), environ))
        [right] = await tried(root, environ | {"SHOP_TOKEN": "secret"})
        [unset] = await tried(root, environ)
    assert right.ok
    assert "SHOP_TOKEN is not set" in unset.found


async def test_an_address_where_nobody_listens_is_reported(root: Path, environ: dict[str, str]) -> None:
    put(root, "cursor", {"url": "http://127.0.0.1:1/mcp"})
    [found] = await tried(root, environ)
    assert (found.ok, found.hint) == (False, "start it: local-llm-agent serve")


def test_doctor_shows_each_registration(root: Path, environ: dict[str, str]) -> None:
    def findings() -> dict[str, Any]:
        command = [str(SCRIPT), "doctor", "--json"]
        done = subprocess.run(
            command, cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=True
        )
        return {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}

    assert findings()["agents"]["hint"] == "run: local-llm-agent register claude-code"
    put(root, "claude-code", CLIENTS["claude-code"].entry(STDIO, environ))
    assert findings()["Claude Code, project"]["ok"]
