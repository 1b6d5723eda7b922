"""Enforces a request's deadline with a cancel scope around each wait, never around a ``yield``."""

from types import TracebackType

import anyio

from engines.errors import EngineTimeoutError


class before:  # noqa: N801 (read as `with before(deadline, ...)`; a generator would cost twice as much)
    """Runs the body until ``deadline``, seconds on the clock of ``anyio.current_time()``.

    Raises:
        EngineTimeoutError: the deadline passed first; the body was cancelled.
    """

    __slots__ = ("_scope", "_waiting_for")

    def __init__(self, deadline: float, waiting_for: str) -> None:
        self._scope = anyio.CancelScope(deadline=deadline)
        self._waiting_for = waiting_for

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise EngineTimeoutError(
                f"the deadline passed while waiting for {self._waiting_for}",
                hint="allow more time, or ask for less",
            )
