"""A machine without models, engines and settings, on which tests run the command line."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

SCRIPT = str(Path(sys.executable).with_name("local-llm-agent"))
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Machine:
    home: Path
    project: Path

    def environment(self, **variables: str) -> dict[str, str]:
        folders = {
            f"XDG_{kind}_HOME": str(self.home / f".{kind.lower()}") for kind in ("CACHE", "CONFIG", "DATA")
        }
        dropped = ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "GEMINI_CLI_HOME", "LOCAL_LLM_LLAMACPP__MODEL")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {
            **kept,
            **folders,
            # No client of the machine that runs the tests is found.
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "COLUMNS": "80",
            "XDG_RUNTIME_DIR": str(self.home / ".run"),
            "LOCAL_LLM_OLLAMA__URL": NOWHERE,
            "LOCAL_LLM_VLLM__URL": f"{NOWHERE}/v1",
            **variables,
        }

    async def run(self, *arguments: str, **variables: str) -> Done:
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [SCRIPT, *arguments],
                cwd=self.project,
                env=self.environment(**variables),
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home, project = tmp_path / "home", tmp_path / "shop"
    home.mkdir()
    (project / ".git").mkdir(parents=True)
    return Machine(home, project)
