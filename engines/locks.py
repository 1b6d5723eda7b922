"""Locks between the processes of one user, kept by the kernel: they end with their holder."""

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
    """Wait for the lock file ``path``, then hold it; the file stays behind, empty.

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
    """Whether some process holds the lock file ``path`` now."""
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
