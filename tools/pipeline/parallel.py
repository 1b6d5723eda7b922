"""Runs many requests of one call in parallel, with ordered results and progress."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from engines.errors import AgentError
from tools.pipeline.run import Run

T = TypeVar("T")
R = TypeVar("R")


async def each(
    run: Run,
    values: Sequence[T],
    work: Callable[[T], Awaitable[R]],
    message: str,
    *,
    total: int | None = None,
) -> list[R]:
    """Runs ``work`` on every value, as many at a time as the engine has slots; returns results in order.

    ``message`` names what is counted; ``total`` is the number of steps if the values are only some of them.

    Raises:
        AgentError: the first that ``work`` raised; the other tasks are cancelled.
    """
    results: dict[int, R] = {}
    errors: list[AgentError] = []
    places = anyio.CapacityLimiter(max(1, run.profile.capabilities.parallel))

    async def one(index: int) -> None:
        async with places:
            try:
                results[index] = await work(values[index])
            except AgentError as error:
                # Kept, not raised: a task group would wrap it, and callers catch the original type.
                errors.append(error)
                group.cancel_scope.cancel()
                return
        await run.progress(len(results), total or len(values), f"{message} {len(results)} of {len(values)}")

    async with anyio.create_task_group() as group:
        for index in range(len(values)):
            group.start_soon(one, index)
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(values))]
