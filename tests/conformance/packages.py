"""Installs the conformance suites and the inspector into a folder of their own.

``.venv-conformance`` at the repository's root, or the folder named by ``LOCAL_LLM_TEST_CONFORMANCE``; about
250 MB with Node, from the user's own npm registry. Built once: a stamp file holds the requirements.
"""

import os
import platform
import sys
from pathlib import Path

from tests.clients.packages import ROOT, install_npm

FOLDER = Path(os.environ.get("LOCAL_LLM_TEST_CONFORMANCE", ROOT / ".venv-conformance"))

ARCHITECTURE = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
# The package `node` fetches one of these by an install script, and scripts are not run here.
NODE = f"node-{sys.platform}-{ARCHITECTURE.get(platform.machine().lower(), platform.machine())}"
"""The inspector needs 22.19 or newer; the system's Node is often older."""

CONFORMANCE = "npm:@modelcontextprotocol/conformance"
NPM = (
    f"{NODE}@22.23.3",
    f"conformance-handshake@{CONFORMANCE}@0.1.16",
    f"conformance-stateless@{CONFORMANCE}@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
)


def install() -> None:
    """Installs the packages unless they exist.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; npm's output has the cause.
    """
    stamp, wanted = FOLDER / "built-for", "\n".join(NPM)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        install_npm(FOLDER, NPM)
        stamp.write_text(wanted)


def _script(*parts: str) -> tuple[str, ...]:
    return (
        str(FOLDER / "node_modules" / NODE / "bin" / "node"),
        str(FOLDER.joinpath("node_modules", *parts)),
    )


HANDSHAKE = _script("conformance-handshake", "dist", "index.js")
STATELESS = _script("conformance-stateless", "dist", "index.js")
INSPECTOR = _script("@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
