"""Registration from WSL with clients on Windows, with the answers of Windows' programs injected."""

import json
import os
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from mcp_server.cli import parser as cli
from mcp_server.cli.register import register
from mcp_server.clients import catalogue, wsl
from mcp_server.clients.catalogue import CLIENTS, NAME, CannotRegisterError, Launch
from mcp_server.clients.registration import registration

IN_WSL = {"WSL_DISTRO_NAME": "Ubuntu-24.04", "HOME": "/home/me"}

pytestmark = pytest.mark.anyio


class Windows:
    """Programs of Windows with the user's folders below ``mount``."""

    def __init__(self, mount: Path, **variables: str) -> None:
        self.mount = mount
        self.variables = {
            "ALLUSERSPROFILE": r"C:\ProgramData",
            "AppData": r"C:\Users\Jürgen Groß\AppData\Roaming",
            "UserProfile": r"C:\Users\Jürgen Groß",
            "Path": r"C:\Windows;C:\x=y",
            **variables,
        }

    def run(self, command: Sequence[str]) -> bytes:
        match command:
            case ("cmd.exe", "/u", "/d", "/c", "set"):
                return "".join(f"{name}={value}\r\n" for name, value in self.variables.items()).encode(
                    "utf-16-le"
                )
            case ("wslpath", "-u", path):
                drive, _, rest = path.partition(":\\")
                return f"{self.mount}/{drive.lower()}/{rest}\n".replace("\\", "/").encode()
            case _:
                raise AssertionError(command)

    @property
    def home(self) -> Path:
        return self.mount / "c" / "Users" / "Jürgen Groß"


def test_the_settings_of_each_client_are_those_of_the_user_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(tmp_path)
    monkeypatch.setattr(wsl, "run", windows.run)
    environ = wsl.environment(IN_WSL)
    found = {name: registration(client, "user", None, environ).file for name, client in CLIENTS.items()}
    assert {name: path.relative_to(windows.home).as_posix() for name, path in found.items()} == {
        "claude-code": ".claude.json",
        "gemini": ".gemini/settings.json",
        "trae": "AppData/Roaming/Trae/User/mcp.json",
        "codex": ".codex/config.toml",
        "cursor": ".cursor/mcp.json",
    }


def test_a_client_whose_settings_were_moved_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsl, "run", Windows(tmp_path, Codex_Home=r"D:\codex").run)
    environ = wsl.environment(IN_WSL)
    assert CLIENTS["codex"].user_file(environ) == tmp_path / "d" / "codex" / "config.toml"


def no_interop(command: Sequence[str]) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", command[0])


def interop_hangs(command: Sequence[str]) -> bytes:
    raise subprocess.TimeoutExpired(command, 1)


def no_profile(command: Sequence[str]) -> bytes:
    return "Path=x\r\n".encode("utf-16-le")


@pytest.mark.parametrize("run", [no_interop, interop_hangs, no_profile])
def test_without_windows_programs_nothing_is_registered(run: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsl, "run", run)
    with pytest.raises(CannotRegisterError, match="Windows does not say"):
        wsl.environment(IN_WSL)


def test_elsewhere_than_in_wsl_it_is_refused() -> None:
    with pytest.raises(CannotRegisterError, match="not WSL"):
        wsl.environment({"HOME": "/home/me"})
    with pytest.raises(CannotRegisterError, match="not WSL"):
        wsl.launch(Launch(NAME, ("stdio",)), {})


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_command_starts_this_installation_in_this_distribution(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = Windows(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ | IN_WSL | {"LOCAL_LLM_OPENAI__API_KEY": "k"})
    monkeypatch.setattr(wsl, "run", windows.run)
    options = cli.parser().parse_args(
        ["register", client, "--windows", "--scope", "user", "--engine", "ollama"]
    )
    assert await register(options) == 0
    assert "variables set on Windows do not reach it" in capsys.readouterr().out
    (file,) = (path for path in windows.home.rglob("*") if path.is_file())
    text = file.read_text("utf-8")
    settings = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    entry = settings[CLIENTS[client].table][NAME]
    script = str(catalogue.own_script())
    assert entry["command"] == "wsl.exe"
    assert entry["args"] == ["-d", "Ubuntu-24.04", "--exec", script, "stdio", "--engine=ollama"]
    assert not {"env", "env_vars"} & set(entry)
    options.remove = True
    assert await register(options) == 0
    assert not file.exists()
