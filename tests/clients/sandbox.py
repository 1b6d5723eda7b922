"""Sandbox for a client under test: its own home and project, no inherited environment, no network.

``local-llm-agent`` on the client's PATH is a wrapper that records the messages between the client and the
real server. Requests to other than loopback addresses go to a proxy that does not exist, and fail.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio

from tests.posix import kill_group

SCRIPT = Path(sys.executable).with_name("local-llm-agent")
NAME = "local-llm-agent"

WITHIN_S = 90
"""Time limit for one run of a client on a busy machine."""

DEAD_PROXY = "http://127.0.0.1:9"
"""The discard port: nothing listens."""

_WRAPPER = f"""\
#!/bin/sh
env > "$(dirname "$0")/../server-environment"
pwd > "$(dirname "$0")/../server-folder"
tee -a "$(dirname "$0")/../to-server" | {SCRIPT} "$@" | tee -a "$(dirname "$0")/../from-server"
"""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    root: Path
    written: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Settings files as ``write`` wrote them."""

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def project(self) -> Path:
        return self.root / "shop"

    def environment(self, **extra: str) -> dict[str, str]:
        """Returns the client's whole environment."""
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(self.root / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "HTTPS_PROXY": DEAD_PROXY,
            "NO_PROXY": "127.0.0.1,localhost",
            "LOCAL_LLM_ENGINE": "scripted",
            **extra,
        }

    def write(self, file: Path, text: str) -> None:
        """Writes a settings file of the client's user."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.written[str(file)] = text.encode()

    def read(self, file: str) -> bytes:
        return Path(file).read_bytes()

    def take_models(self, folder: Path) -> None:
        """Links the embedded engine's models to ``folder``."""
        ours = self.root / "cache" / NAME
        ours.mkdir(parents=True)
        (ours / "models").symlink_to(folder)

    async def register(self, *arguments: str, **extra: str) -> Any:
        """Runs ``local-llm-agent register`` as a user does; returns its report."""
        command = [str(SCRIPT), "register", *arguments, "--json"]
        ran = await self.run(command, {"PATH": self._user_path, **extra})
        assert ran.code == 0, ran.err + ran.out
        return json.loads(ran.out)

    @property
    def _user_path(self) -> str:
        """PATH on which the command is the installation itself, as after `uv tool install`."""
        return os.pathsep.join([str(self.root / "user-bin"), "/usr/bin", "/bin"])

    async def run(self, command: Sequence[str], extra: Mapping[str, str]) -> Ran:
        """Runs ``command`` until it ends or times out, then kills the processes it started."""
        process = await anyio.open_process(
            command,
            cwd=self.project,
            env={**self.environment(), **extra},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
        out, err = bytearray(), bytearray()
        try:
            with anyio.move_on_after(WITHIN_S) as limit:
                async with anyio.create_task_group() as group:
                    group.start_soon(_drain, process.stdout, out)
                    group.start_soon(_drain, process.stderr, err)
                await process.wait()
        finally:
            with suppress(ProcessLookupError):
                kill_group(process.pid)
            with anyio.CancelScope(shield=True):
                await process.aclose()
        if limit.cancelled_caught:
            err += b"\nstopped at the deadline"
        return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def survivors(self, within: float = 15) -> list[str]:
        """Returns the commands of processes that still run in this sandbox after ``within`` seconds."""
        left: list[str] = []
        with anyio.move_on_after(within):
            while left := self._running():  # noqa: ASYNC110 (no event crosses processes)
                await anyio.sleep(0.1)
        return left

    def _running(self) -> list[str]:
        mark = f"={self.home}".encode()
        found: list[str] = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def sent(self) -> list[dict[str, Any]]:
        """Returns the client's messages to the server, in order."""
        return _messages(self.root / "to-server")

    def answered(self) -> list[dict[str, Any]]:
        return _messages(self.root / "from-server")

    def server_environment(self) -> Mapping[str, str]:
        text = (self.root / "server-environment").read_text()
        return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    def server_folder(self) -> Path:
        return Path((self.root / "server-folder").read_text().strip())


async def _drain(stream: Any, into: bytearray) -> None:
    async for chunk in stream:
        into += chunk


def _messages(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def make(root: Path) -> Sandbox:
    """Makes a sandbox with an empty home and a project with one log file."""
    sandbox = Sandbox(root)
    for folder in (sandbox.home, sandbox.project / ".git", root / "bin", root / "user-bin", root / "run"):
        folder.mkdir(parents=True)
    (root / "user-bin" / NAME).symlink_to(SCRIPT)
    wrapper = root / "bin" / NAME
    wrapper.write_text(_WRAPPER)
    wrapper.chmod(0o755)
    (sandbox.project / "service.log").write_text(
        "the disk is full\nuser 12 signed in\ndisk space is running out\na user logged out\n"
    )
    return sandbox
