"""Installs the real clients into a folder of their own: ``python -m tests.clients.packages``.

``.venv-clients`` at the repository's root, or the folder named by ``LOCAL_LLM_TEST_CLIENTS``; about 900 MB,
from the user's own npm and PyPI registries. No scripts of packages are run during installation.
Built once: a stamp file holds the requirements.
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


# Read at import: our variables are removed from a test's environment.
FOLDER = Path(os.environ.get("LOCAL_LLM_TEST_CLIENTS", ROOT / ".venv-clients"))


def install() -> Path:
    """Installs the clients unless they exist; returns their folder.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; the output has the cause.
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
    """Installs exactly ``packages`` into the ``node_modules`` of ``folder`` without running scripts.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; npm's output has the cause.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    subprocess.run([*npm, *packages], cwd=folder, check=True)


def module(*parts: str) -> str:
    """Returns the path of a file of an npm package."""
    return str(FOLDER.joinpath("node_modules", *parts))


# The packages' launchers for installations without post-install scripts.
CLAUDE = ("node", module("@anthropic-ai", "claude-code", "cli-wrapper.cjs"))
GEMINI = ("node", module("@google", "gemini-cli", "bundle", "gemini.js"))
CODEX = ("node", module("@openai", "codex", "bin", "codex.js"))


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{install()} in {time.monotonic() - began:.0f} s")
