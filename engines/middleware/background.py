"""Work beside the body of an ``async with``."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
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


class Behind:
    """Does ``work`` a moment after it was woken, as often as it is; waking costs a microsecond."""

    def __init__(self, work: Callable[[], Awaitable[None]], gather_s: float) -> None:
        """What comes within ``gather_s`` seconds is one piece of work."""
        self._work = work
        self._gather_s = gather_s
        self._woken = anyio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """For ``background``; what is woken for after it was cancelled is the owner's to do."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            await anyio.sleep(self._gather_s)
            await self._work()
