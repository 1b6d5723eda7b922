"""Background tasks that run beside the body of an ``async with``."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def background(work: Callable[[], Coroutine[None, None, None]]) -> AsyncGenerator[None, None]:
    """Runs ``work`` until the body ends.

    The body's error is raised unchanged; a task group's own ``async with`` would wrap it.
    """
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    try:
        tasks.start_soon(work)
        yield
    finally:
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)


class Debouncer:
    """Runs ``work`` shortly after ``wake``, which takes a microsecond; merges wakes that come together."""

    def __init__(self, work: Callable[[], Awaitable[None]], gather_s: float) -> None:
        """Wakes within ``gather_s`` seconds cause one run."""
        self._work = work
        self._gather_s = gather_s
        self._woken = anyio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """The task for ``background``; the owner handles wakes that come after its cancellation."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            await anyio.sleep(self._gather_s)
            await self._work()
