"""Locks between the processes of one user, kept by the kernel: they end with their holder."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from engines.errors import EngineUnavailableError

POLL_S = 0.05


def try_lock(file: int) -> bool:
    """Take the exclusive lock of an open file, or say at once that another process has it."""
    if sys.platform == "win32":
        raise EngineUnavailableError(
            "the embedded engine needs POSIX file locks", hint="use WSL, or set engine = 'ollama'"
        )
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def held(path: Path) -> AsyncGenerator[None, None]:
    """Wait for the lock file ``path``, then hold it; the file stays behind, empty.

    It polls, because a thread blocked in ``flock`` could not be cancelled and might get the lock
    after its caller had given up.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not try_lock(file):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(POLL_S)
        yield
    finally:
        os.close(file)
