"""File locks between the processes of one user; the kernel releases them when the holder ends."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from engines.errors import EngineUnavailableError

POLL_S = 0.05


@asynccontextmanager
async def held(path: Path) -> AsyncGenerator[None, None]:
    """Waits for the lock on ``path`` and holds it during the body; the empty file remains.

    It polls, because a thread blocked in ``flock`` could not be cancelled and might get the lock
    after its caller had given up.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(file, shared=False):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(POLL_S)
        yield
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether any process holds the lock on ``path`` now."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(file, shared=True)
    finally:
        os.close(file)


def _try_lock(file: int, *, shared: bool) -> bool:
    if sys.platform == "win32":
        raise EngineUnavailableError("the embedded engine needs POSIX file locks", hint="use WSL, or Ollama")
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
