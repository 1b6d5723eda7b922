"""The conformance suites and the inspector, in a folder of their own.

``.venv-conformance`` at the repository's root, or the folder named by ``LOCAL_LLM_TEST_CONFORMANCE``; about
250 MB, Node among them, from the user's own npm registry. Built once: a stamp file holds what was asked for.
"""

import os
import platform
import sys
from pathlib import Path

from tests.clients.packages import ROOT, install_npm

FOLDER = Path(os.environ.get("LOCAL_LLM_TEST_CONFORMANCE", ROOT / ".venv-conformance"))

ARCHITECTURE = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
# The package `node` fetches one of these by a script of its own, and none is run here.
NODE = f"node-{sys.platform}-{ARCHITECTURE.get(platform.machine().lower(), platform.machine())}"
"""The inspector wants 22.19 or newer; what a system brings is often older."""

CONFORMANCE = "npm:@modelcontextprotocol/conformance"
NPM = (
    f"{NODE}@22.23.3",
    f"conformance-handshake@{CONFORMANCE}@0.1.16",
    f"conformance-stateless@{CONFORMANCE}@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
)


def install() -> None:
    """Install the packages unless they are there already.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; npm has said why.
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
