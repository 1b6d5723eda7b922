"""The key by which ``serve`` recognizes processes of its own user on this machine.

``serve`` writes a new key at each start to a file that only its user can read. A caller that has it could
read the user's files itself, so it may name the folder it works in, as a process started there could
(``http/local.py``). ``stdio --through`` sends it, to loopback addresses only. It replaces no token.

This module imports no settings and no web server, because a process that only forwards stays small.
"""

import logging
import os
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from engines.system import make_own_folder, remove
from mcp_server.folders import folders

log = logging.getLogger(__name__)

Announce = Callable[[str, int], None]
"""Is told host and port once a server listens."""

KEY = "x-local-key"
FOLDER = "x-working-folder"
"""The folder of the caller's process, percent-encoded."""
PROJECT_FOLDER = "x-project-folder"
"""The project that a client named by ``CLAUDE_PROJECT_DIR``, percent-encoded."""


def key_file(port: int) -> Path:
    """Returns the path of the key of the server at ``port``."""
    return folders().runtime / f"serve-{port}.key"


def read_key(port: int) -> str:
    """Returns the key of the server at ``port``; empty if there is none, or it is another user's."""
    try:
        return key_file(port).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def announced(announce: Announce) -> Generator[Announce]:
    """Yields ``announce``, which also writes a new key for the server; removes the key at the end."""
    written: list[int] = []

    def publishing(host: str, port: int) -> None:
        try:
            _write(key_file(port))
            written.append(port)
        except OSError as error:
            log.warning("stdio --through reads only configured projects, as there is no key: %s", error)
        announce(host, port)

    try:
        yield publishing
    finally:
        for port in written:
            remove(key_file(port))


def _write(file: Path) -> None:
    make_own_folder(file.parent)
    remove(file)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(secrets.token_urlsafe(32))
