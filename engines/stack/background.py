"""Work beside the body of an ``async with``."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def background(work: Callable[[], Coroutine[None, None, None]]) -> AsyncGenerator[None, None]:
    """Run ``work`` until the body ends.

    The body's error goes through as it is; a task group's own ``async with`` would wrap it.
    """
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    try:
        tasks.start_soon(work)
        yield
    finally:
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)
