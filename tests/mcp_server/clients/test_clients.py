"""The ``register`` command: adds and removes one entry in each client's file; other bytes stay."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engines import system
from engines.base import JsonObject
from mcp_server.cli import parser as cli
from mcp_server.clients import catalogue as clients
from mcp_server.clients.catalogue import CLIENTS, NAME, CannotRegisterError, Client, Launch
from mcp_server.clients.registration import Registration, registration

SCRIPT = Path(sys.executable).with_name(NAME)

LAUNCH = Launch("/opt/local-llm-agent", ("stdio",))

JSON_FILES = {
    "other servers": '{\n  "mcpServers": {\n    "files": {"command": "npx"}\n  }\n}\n',
    "comments": '{\n  // mine\n  "mcpServers": {\n    "files": {} // note\n    /* end */\n  } // after\n}\n',
    "trailing commas": '{\n  "a": [1, 2,],\n  "mcpServers": {\n    "files": {},\n  },\n}\n',
    "odd indentation": '{ "theme" : "dark",\n\t   "mcpServers":{\n "files":{}\n\t\t}}',
    "tabs": '{\n\t"theme": "dark"\n}\n',
    "windows": '{\r\n    "theme": "dark"\r\n}\r\n',
    "byte order mark": '\ufeff{\n  "theme": "dark"\n}\n',
    "no final newline": '{\n  "theme": "dark"\n}',
    "one line": '{"theme":"dark","mcpServers":{"files":{}}}',
    "empty object": "{}",
    "empty object on lines": "{\n}\n",
    "empty table": '{\n  "mcpServers": {}\n}\n',
    "empty table in one line": '{"mcpServers": { } }',
    "empty table with a comment": '{"mcpServers": {\n  // none yet\n}}\n',
    "empty": "",
    "blank": "\n\n",
    "byte order mark alone": "\ufeff",
    "another language": '{\n  "größe": "naïve ☃ \\u00e9"\n}\n',
}
TOML_FILES = {
    "other servers": '[mcp_servers.files]\ncommand = "npx" # note\n\n[mcp_servers.files.env]\nA = "1"\n',
    "comments": '# mine\nmodel = "x"   # odd    spaces\n\n\n# the end\n',
    "windows": 'model = "x"\r\n',
    "byte order mark": '\ufeffmodel = "x"\n',
    "no final newline": 'model = "x"',
    "blank lines at the end": 'model = "x"\n\n\n',
    "a bare table": "[mcp_servers]\n",
    "empty": "",
    "blank": "\n",
}
FILES = [
    *(
        (client, name, text)
        for client in ("claude-code", "gemini", "trae", "cursor")
        for name, text in JSON_FILES.items()
    ),
    *(("codex", name, text) for name, text in TOML_FILES.items()),
]


def at(folder: Path, client: str = "claude-code") -> Registration:
    return registration(CLIENTS[client], "project", folder, {})


def entry_of(client: str, launch: Launch = LAUNCH, environ: Mapping[str, str] | None = None) -> JsonObject:
    return CLIENTS[client].entry(launch, environ or {})


def read(place: Registration) -> Any:
    """Returns the file as the client parses it."""
    text = place.file.read_text("utf-8-sig")
    return tomllib.loads(text) if place.file.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize(("client", "name", "text"), FILES, ids=[f"{c}: {n}" for c, n, _ in FILES])
def test_adding_and_removing_leaves_every_byte(tmp_path: Path, client: str, name: str, text: str) -> None:
    place = at(tmp_path, client)
    place.file.parent.mkdir(exist_ok=True)
    place.file.write_bytes(text.encode())
    assert place.add(entry_of(client)) == "added"
    assert place.backup.read_bytes() == text.encode()
    assert place.entry() == entry_of(client)
    assert place.add(entry_of(client)) == "unchanged"
    assert place.remove() == "removed"
    assert place.file.read_bytes() == text.encode()
    assert place.remove() == "absent"
    assert sorted(path.name for path in place.file.parent.iterdir()) == [place.file.name]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_made_for_the_entry_goes_with_it(tmp_path: Path, client: str) -> None:
    place = at(tmp_path, client)
    assert place.add(entry_of(client)) == "added"
    assert not place.backup.exists()
    assert read(place) == {place.client.table: {NAME: entry_of(client)}}
    assert place.remove() == "removed"
    assert not place.file.exists()


def test_changing_between_forms_does_not_lose_the_way_back(tmp_path: Path) -> None:
    place = at(tmp_path)
    place.file.write_text(JSON_FILES["empty table"])
    place.add(entry_of("claude-code"))
    assert place.add(entry_of("claude-code", clients.http("http://127.0.0.1:3160"))) == "updated"
    assert "command" not in (place.entry() or {})
    place.remove()
    assert place.file.read_text() == JSON_FILES["empty table"]


def test_what_its_user_added_to_the_entry_stays(tmp_path: Path) -> None:
    place = at(tmp_path, "gemini")
    place.add(entry_of("gemini"))
    settings = read(place)
    settings["mcpServers"][NAME] |= {"trust": True, "env": {"LOCAL_LLM_ENGINE": "ollama"}}
    place.file.write_text(json.dumps(settings))
    assert place.add(entry_of("gemini", Launch(NAME, ("stdio",)))) == "updated"
    entry = place.entry() or {}
    assert (entry["command"], entry["trust"], entry["env"]) == (NAME, True, {"LOCAL_LLM_ENGINE": "ollama"})


def test_what_others_changed_in_the_meantime_stays(tmp_path: Path) -> None:
    place = at(tmp_path)
    place.file.write_text('{\n  "a": 1 // one\n}\n')
    place.add(entry_of("claude-code"))
    place.file.write_text(place.file.read_text().replace("// one", "// two"))
    place.remove()
    assert place.file.read_text() == '{\n  "a": 1 // two\n}\n'


@pytest.mark.parametrize(
    ("client", "content"),
    [
        *(("claude-code", content) for content in (b"{ = ,", b"\xff\xfe{\x00}\x00", b"[1]", b"mcpServers")),
        *(
            ("codex", content)
            for content in (b"{ = ,", b"\xff\xfe[\x00]\x00", b"a = 1\na = 2", b"mcp_servers = 1")
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_left_alone(
    tmp_path: Path, client: str, content: bytes
) -> None:
    place = at(tmp_path, client)
    place.file.parent.mkdir(exist_ok=True)
    place.file.write_bytes(content)
    with pytest.raises(CannotRegisterError, match="cannot be used") as refused:
        place.add(entry_of(client))
    assert "--print" in refused.value.hint
    assert place.file.read_bytes() == content
    assert [path.name for path in place.file.parent.iterdir()] == [place.file.name]


def test_a_symbolic_link_and_permissions_stay(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text("{}\n")
    real.chmod(0o600)
    place = at(tmp_path)
    place.file.symlink_to(real)
    place.add(entry_of("claude-code"))
    assert place.file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.backup.stat().st_mode) == 0o600
    assert NAME in real.read_text()


def test_a_failed_write_leaves_the_file_and_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = at(tmp_path)
    place.file.write_text("{}")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CannotRegisterError, match="No space left"):
        place.add(entry_of("claude-code"))
    assert place.file.read_text() == "{}"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mcp.json", place.backup.name]


REMOTE = clients.http("https://box:3160/mcp", "BOX_TOKEN", "shop")


def test_claude_code_reads_a_process_and_an_address() -> None:
    assert entry_of("claude-code") == {
        "type": "stdio", "command": LAUNCH.command, "args": ["stdio"], "alwaysLoad": True,
    }  # fmt: skip
    assert entry_of("claude-code", REMOTE) == {
        "type": "http",
        "url": "https://box:3160/mcp",
        "headers": {"Authorization": "Bearer ${BOX_TOKEN}", "X-Project": "shop"},
        "alwaysLoad": True,
    }
    assert entry_of("claude-code", clients.http("http://127.0.0.1:3160/sse"))["type"] == "sse"


def test_the_entry_of_gemini_lists_the_variables_it_hides() -> None:
    environ = {"LOCAL_LLM_VLLM__API_KEY": "very secret", "LOCAL_LLM_ENGINE": "vllm", "OTHER_KEY": "x"}
    assert entry_of("gemini", environ=environ) == {
        "command": LAUNCH.command,
        "args": ["stdio"],
        "env": {"LOCAL_LLM_VLLM__API_KEY": "${LOCAL_LLM_VLLM__API_KEY:-}"},
    }
    assert entry_of("gemini", REMOTE)["headers"] == {
        "Authorization": "Bearer ${BOX_TOKEN}", "X-Project": "shop",
    }  # fmt: skip


def test_the_entry_of_codex_lists_the_variables_it_does_not_pass_on() -> None:
    environ = {"LOCAL_LLM_VLLM__API_KEY": "very secret", "XDG_RUNTIME_DIR": "/run/user/1", "HOME": "/h"}
    assert entry_of("codex", environ=environ) == {
        "command": LAUNCH.command,
        "args": ["stdio"],
        "env_vars": ["LOCAL_LLM_VLLM__API_KEY", "XDG_RUNTIME_DIR"],
        "tool_timeout_sec": 330,
    }
    remote = entry_of("codex", REMOTE)
    assert remote["bearer_token_env_var"] == "BOX_TOKEN"
    assert remote["http_headers"] == {"X-Project": "shop"}
    with pytest.raises(CannotRegisterError, match="does not support SSE"):
        entry_of("codex", clients.http("http://127.0.0.1:3160/sse"))


def test_cursor_has_its_own_form_of_references() -> None:
    assert entry_of("cursor", REMOTE) == {
        "url": "https://box:3160/mcp",
        "headers": {"Authorization": "Bearer ${env:BOX_TOKEN}", "X-Project": "shop"},
    }


def test_trae_gets_no_token_and_no_spaces() -> None:
    assert entry_of("trae", clients.http("http://127.0.0.1:3160/mcp")) == {"url": "http://127.0.0.1:3160/mcp"}
    with pytest.raises(CannotRegisterError, match="token"):
        entry_of("trae", REMOTE)
    with pytest.raises(CannotRegisterError, match="space"):
        entry_of("trae", Launch("/Users/jo doe/bin/local-llm-agent", ("stdio",)))


@pytest.mark.parametrize("client", CLIENTS)
def test_no_secret_is_written_down(client: str) -> None:
    environ = {"LOCAL_LLM_VLLM__API_KEY": "very secret", "LOCAL_LLM_HTTP__TOKEN": "very secret"}
    assert "very secret" not in json.dumps(entry_of(client, environ=environ))


@pytest.mark.parametrize(
    "url", ["box:3160", "ftp://box/", "http://", "https://me:pass@box/mcp", "http://b/mcp?key=1"]
)
def test_an_address_must_be_one_and_hold_no_secret(url: str) -> None:
    with pytest.raises(CannotRegisterError):
        clients.http(url)


def test_a_token_in_place_of_its_variable_is_refused() -> None:
    with pytest.raises(CannotRegisterError, match="not the token"):
        clients.http("http://box/mcp", "sk-123")


def test_the_root_of_a_server_stands_for_its_mcp_route() -> None:
    assert clients.http("http://127.0.0.1:3160/").url == "http://127.0.0.1:3160/mcp"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder on PATH with a link to this installation, as ``uv tool install`` creates it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / NAME).symlink_to(SCRIPT)
    return tmp_path / "bin"


def test_the_bare_name_is_written_where_it_leads_here(linked: Path) -> None:
    assert clients.command({"PATH": f"/nowhere:{linked}"}) == NAME


def test_a_script_in_a_cache_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "is_temporary", lambda: True)
    with pytest.raises(CannotRegisterError, match="cache"):
        clients.command({"PATH": ""})


def test_a_virtual_environment_that_is_active_here_is_not_active_there() -> None:
    folder = str(SCRIPT.parent)
    assert clients.command({"PATH": folder, "VIRTUAL_ENV": str(SCRIPT.parents[1])}) == str(SCRIPT)
    assert clients.command({"PATH": folder}) == NAME


def test_a_name_that_leads_to_another_installation_is_not_written(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("#!/bin/sh\n")
    (tmp_path / NAME).chmod(0o755)
    assert clients.command({"PATH": str(tmp_path)}) == str(SCRIPT)
    assert clients.command({"PATH": "bin:."}) == str(SCRIPT)


@pytest.mark.parametrize(
    ("fact", "environ", "trae"),
    [
        (None, {"HOME": "{}"}, ".config/Trae"),
        (None, {"HOME": "{}", "XDG_CONFIG_HOME": "{}/xdg"}, "xdg/Trae"),
        ("MACOS", {"HOME": "{}", "XDG_CONFIG_HOME": "{}/xdg"}, "Library/Application Support/Trae"),
        ("WINDOWS", {"HOME": "/of/a/shell", "USERPROFILE": "{}"}, "AppData/Roaming/Trae"),
        ("WINDOWS", {"USERPROFILE": "{}", "APPDATA": "{}/Roaming"}, "Roaming/Trae"),
    ],
)
def test_files_of_the_user_are_where_each_client_looks(
    fact: str | None, environ: dict[str, str], trae: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fact:
        monkeypatch.setattr(system, fact, True)
    environ = {name: value.format(tmp_path) for name, value in environ.items()}
    found = {name: registration(client, "user", None, environ).file for name, client in CLIENTS.items()}
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        "claude-code": ".claude.json",
        "gemini": ".gemini/settings.json",
        "trae": f"{trae}/User/mcp.json",
        "codex": ".codex/config.toml",
        "cursor": ".cursor/mcp.json",
    }
    moved = {"CLAUDE_CONFIG_DIR": "/c", "CODEX_HOME": "/x", "GEMINI_CLI_HOME": "/g", **environ}
    assert CLIENTS["claude-code"].user_file(moved) == Path("/c/.claude.json")
    assert CLIENTS["codex"].user_file(moved) == Path("/x/config.toml")
    assert CLIENTS["gemini"].user_file(moved) == Path("/g/.gemini/settings.json")


def test_the_command_line_knows_every_client() -> None:
    for name in CLIENTS:
        assert cli.parser().parse_args(["register", name]).client == name


def test_gemini_reads_underscores_as_the_end_of_a_server_name() -> None:
    assert "_" not in NAME


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HOME": str(folder / "home"), "PATH": str(SCRIPT.parent), "VIRTUAL_ENV": ""}
    command = [str(SCRIPT), "register", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "src"
    below.mkdir()
    shown = run(below, "claude-code", "--print", "--engine", "ollama")
    assert json.loads(shown.stdout)["mcpServers"][NAME]["args"] == ["stdio", "--engine=ollama"]
    assert not (tmp_path / ".mcp.json").exists()
    assert "added" in run(below, "claude-code").stdout
    assert json.loads((tmp_path / ".mcp.json").read_text())["mcpServers"][NAME]["command"] == NAME
    told = json.loads(run(below, "claude-code", "--json").stdout)
    assert (told["outcome"], told["file"]) == ("unchanged", str(tmp_path / ".mcp.json"))
    assert "removed" in run(below, "claude-code", "--remove").stdout
    assert not (tmp_path / ".mcp.json").exists()


def test_a_project_registration_needs_a_project(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    refused = run_at_home(tmp_path)
    assert refused.returncode == 2
    assert "--scope user" in refused.stderr


def run_at_home(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HOME": str(folder / "home")}
    command = [str(SCRIPT), "register", "cursor"]
    return subprocess.run(
        command, cwd=folder / "home", env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_token_variable_that_is_not_set_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    told = run(tmp_path, "cursor", "--http", "https://box:3160", "--token-env", "NO_SUCH_TOKEN")
    assert "NO_SUCH_TOKEN is not set here" in told.stdout


def test_a_client_is_what_the_table_says() -> None:
    client: Client = CLIENTS["codex"]
    assert client.table == "mcp_servers"
    assert client.inherits({"PATH": "p", "LOCAL_LLM_ENGINE": "x"}) == {"PATH": "p"}
    assert CLIENTS["gemini"].inherits({"A_KEY": "k", "B": "b"}) == {"B": "b"}


def test_codex_passes_on_other_variables_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    environ = {"USERPROFILE": "u", "LOCALAPPDATA": "l", "PATH": "p", "HOME": "h", "LOCAL_LLM_ENGINE": "x"}
    assert CLIENTS["codex"].inherits(environ) == {"USERPROFILE": "u", "LOCALAPPDATA": "l", "PATH": "p"}


def test_the_script_of_windows_is_found_though_it_hides_its_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / f"{NAME}.exe"
    script.write_text("")
    monkeypatch.setattr(system, "WINDOWS", True)
    for name in (NAME, script.name):
        monkeypatch.setattr(sys, "argv", [str(tmp_path / name)])
        assert clients.own_script() == script
    assert CLIENTS["claude-code"].expand("${A:-x} ${B} ${C}", {"B": "b"}) == "x b ${C}"
    assert CLIENTS["gemini"].expand("$B ${A:-x}", {"B": "b"}) == "b x"
    assert CLIENTS["cursor"].expand("${env:B} $B", {"B": "b"}) == "b $B"
