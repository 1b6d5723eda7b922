"""A user's home, in which versions of local-llm-agent run one after another, or at once."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("recorded")
LIMIT_S = 60.0
"""Each command must end by then: nothing waits for a process of another version."""


@dataclass(frozen=True, slots=True)
class User:
    home: Path
    config: Path

    @property
    def data(self) -> Path:
        return self.home / "local-llm-agent"

    @property
    def runtime(self) -> Path:
        return self.home / "run" / "local-llm-agent"

    def start(self, code: Path, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command of the version whose source is at ``code``, with today's packages."""
        folders = {name: str(self.home) for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
        environment = {
            "PATH": os.environ["PATH"],
            "LOCAL_LLM_CONFIG": str(self.config),
            "PYTHONPATH": str(code),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            **folders,
        }
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "mcp_server", *arguments, "--json"],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: Path, *arguments: str) -> Any:
        """Returns the JSON that a command prints."""
        return ended(self.start(code, *arguments))

    def calls(self, code: Path) -> int:
        """Returns the number of calls in the ledger, as a version reads it."""
        return int(self.run(code, "stats")["periods"]["all"]["calls"])


def ended(process: subprocess.Popen[str]) -> Any:
    """Waits for a command and returns the JSON that it printed."""
    with process:
        try:
            output, errors = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, errors
    return json.loads(output)
