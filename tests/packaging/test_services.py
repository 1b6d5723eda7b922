"""The examples of services: each starts a command of ours."""

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mcp_server.cli.parser import parser

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "examples" / "services"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    script = tmp_path / ".local" / "bin" / "local-llm-agent"
    script.parent.mkdir(parents=True)
    script.symlink_to(Path(sys.executable).with_name("local-llm-agent"))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(SERVICES / "local-llm-agent.service")],
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_launchd_starts_it_and_not_again_after_it_was_stopped() -> None:
    job = plistlib.loads((SERVICES / "local-llm-agent.plist").read_bytes())
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    shell, option, script = job["ProgramArguments"]
    assert (shell, option) == ("/bin/sh", "-c")
    exec_, program, *arguments, _redirection = shlex.split(script)
    assert (exec_, program) == ("exec", "$HOME/.local/bin/local-llm-agent")
    parser().parse_args(arguments)


def test_the_shell_of_the_launchd_job_starts_the_program(tmp_path: Path) -> None:
    job = plistlib.loads((SERVICES / "local-llm-agent.plist").read_bytes())
    program = tmp_path / ".local" / "bin" / "local-llm-agent"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >&2\n')
    program.chmod(0o755)
    (tmp_path / "Library" / "Logs").mkdir(parents=True)
    subprocess.run(job["ProgramArguments"], env={"HOME": str(tmp_path)}, timeout=30, check=True)
    assert (tmp_path / "Library" / "Logs" / "local-llm-agent.log").read_text() == "serve\n"


def test_the_task_of_windows_runs_for_as_long_as_the_user_is_logged_on() -> None:
    task = ElementTree.fromstring((SERVICES / "local-llm-agent.xml").read_text())
    assert task.find(f"{TASK}Triggers/{TASK}LogonTrigger") is not None
    assert task.findtext(f"{TASK}Settings/{TASK}ExecutionTimeLimit") == "PT0S"
    command = task.findtext(f"{TASK}Actions/{TASK}Exec/{TASK}Command") or ""
    assert command.endswith("\\local-llm-agent.exe")
    parser().parse_args((task.findtext(f"{TASK}Actions/{TASK}Exec/{TASK}Arguments") or "").split())
