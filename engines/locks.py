"""File locks between the processes of one user; the kernel releases them when the holder ends."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from engines import system

POLL_S = 0.05


@asynccontextmanager
async def held(path: Path) -> AsyncGenerator[None, None]:
    """Waits for the lock on ``path`` and holds it during the body; the empty file remains.

    It polls, because a thread blocked on a lock could not be cancelled and might get the lock after its
    caller had given up.
    """
    file = system.open_private(path)
    try:
        while not system.try_lock(file):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(POLL_S)
        yield
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether any process holds the lock on ``path`` now."""
    try:
        file = os.open(path, system.READING)
    except FileNotFoundError:
        return False
    try:
        return not system.try_lock(file, shared=True)
    finally:
        os.close(file)
