"""The real clients, in a folder of their own: ``python -m tests.clients.packages``.

``.venv-clients`` at the repository's root, or the folder named by ``LOCAL_LLM_TEST_CLIENTS``; about 900 MB,
from the user's own npm and PyPI registries. Nothing a package brings is run while it is installed.
Built once: a stamp file holds what was asked for.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NPM = (
    "@anthropic-ai/claude-code@2.1.328",
    "@google/gemini-cli@0.61.0",
    "@openai/codex@0.169.0",
    "openai@6.49.0",
)
PYPI = ("llm==0.36",)


# Read now: a test's environment has nothing of ours.
FOLDER = Path(os.environ.get("LOCAL_LLM_TEST_CLIENTS", ROOT / ".venv-clients"))


def install() -> Path:
    """Install the clients unless they are there already; their folder.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; npm or pip has said why.
    """
    stamp, wanted = FOLDER / "built-for", "\n".join((*NPM, *PYPI))
    if stamp.is_file() and stamp.read_text() == wanted:
        return FOLDER
    install_npm(FOLDER, NPM)
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "python")], check=True)
    pip = [str(FOLDER / "python" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *PYPI], check=True)
    stamp.write_text(wanted)
    return FOLDER


def install_npm(folder: Path, packages: Sequence[str]) -> None:
    """``packages`` and nothing else in the ``node_modules`` of ``folder``; none of their scripts is run.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; npm has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    subprocess.run([*npm, *packages], cwd=folder, check=True)


def module(*parts: str) -> str:
    """A file of an npm package."""
    return str(FOLDER.joinpath("node_modules", *parts))


# The launchers the packages bring for where their post-install scripts did not run.
CLAUDE = ("node", module("@anthropic-ai", "claude-code", "cli-wrapper.cjs"))
GEMINI = ("node", module("@google", "gemini-cli", "bundle", "gemini.js"))
CODEX = ("node", module("@openai", "codex", "bin", "codex.js"))


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{install()} in {time.monotonic() - began:.0f} s")
