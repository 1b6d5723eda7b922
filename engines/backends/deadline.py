"""One way to keep a request's deadline: a scope around each wait, never around a ``yield``."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from engines.errors import EngineTimeoutError


@contextmanager
def before(deadline: float, waiting_for: str) -> Generator[None, None, None]:
    """Run the body until ``deadline``, seconds on the clock of ``anyio.current_time()``.

    Raises:
        EngineTimeoutError: the deadline passed first; the body was cancelled.
    """
    with anyio.CancelScope(deadline=deadline) as scope:
        yield
    if scope.cancelled_caught:
        raise EngineTimeoutError(
            f"the deadline passed while waiting for {waiting_for}",
            hint="allow more time, or ask for less",
        )
