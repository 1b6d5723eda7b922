"""Registration from inside WSL with clients on the Windows side, which start the server with ``wsl.exe``."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mcp_server.clients.catalogue import CannotRegisterError, Environment, Launch, own_script

COMMAND = "wsl.exe"

RUN_S = 20.0
"""Limit of a program of Windows, which may have to start first."""

_MOVED = ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME")
"""Variables with which the user moves a client's settings."""


def run(command: Sequence[str]) -> bytes:
    """Runs a program of Windows, or of WSL, and returns its output."""
    return subprocess.run(command, capture_output=True, timeout=RUN_S, check=True).stdout


def launch(given: Launch, environ: Environment) -> Launch:
    """Returns ``given`` as a client on Windows starts it: in this distribution, without a shell.

    Raises:
        CannotRegisterError: this is not WSL.
    """
    args = ("-d", _distribution(environ), "--exec", str(own_script()), *given.args)
    return replace(given, command=COMMAND, args=args)


def environment(environ: Environment) -> dict[str, str]:
    """Returns variables that lead a program of Linux to the settings of the user of Windows.

    Raises:
        CannotRegisterError: this is not WSL, or programs of Windows cannot be run from here.
    """
    _distribution(environ)
    try:
        # /u: the output is UTF-16 in any language. /d: no commands of the user's registry are run.
        lines = run(("cmd.exe", "/u", "/d", "/c", "set")).decode("utf-16-le").split("\r\n")
        there = {name.upper(): value for name, _, value in (line.partition("=") for line in lines)}
        found = {
            "HOME": _path(there["USERPROFILE"]),
            "XDG_CONFIG_HOME": _path(there["APPDATA"]),
        }
        moved = {name: _path(there[name]) for name in _MOVED if there.get(name)}
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError, KeyError) as error:
        raise CannotRegisterError(
            f"Windows does not say where its user's folders are: {error!r}",
            hint="switch on [interop] in /etc/wsl.conf, or add what --print shows by hand",
        ) from None
    return found | moved


def _distribution(environ: Environment) -> str:
    if name := environ.get("WSL_DISTRO_NAME"):
        return name
    raise CannotRegisterError(
        "this is not WSL", hint="--windows registers a server in WSL with a client on Windows"
    )


def _path(windows: str) -> str:
    return str(Path(run(("wslpath", "-u", windows)).decode().rstrip("\n")))
