"""Circuit breaker: fails requests to an unavailable engine at once, for a while.

Closed, requests pass. After ``FAILURES`` in a row it opens: requests fail without reaching the engine.
Then one probe passes; its success closes the breaker, its failure doubles the time.
"""

import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from engines.base import Completion, Done, Embeddings, Engine, Event, EventStream, Request
from engines.errors import AgentError, EngineUnavailableError, ModelNotPulledError
from engines.middleware.wrapper import ObservedStream, WrapperEngine

T = TypeVar("T")

log = logging.getLogger(__name__)

FAILURES = 3
FIRST_S, LONGEST_S = 1.0, 60.0
"""How long the breaker stays open at first and at most."""


class BreakerEngine(WrapperEngine):
    """Counts consecutive requests that failed as unavailable, or timed out without a sign of life.

    Not counted: caller errors, a busy engine, a timeout after the answer began, and a model
    that must be pulled first.

    Raises:
        EngineUnavailableError: the breaker is open; carries the last failure's hint, and ``retry_after``.
    """

    def __init__(self, inner: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(inner)
        self._clock = clock
        self._failures = 0
        self._pause_s = 0.0
        """How long the breaker stays open this time; 0 while closed."""
        self._open_until = -math.inf
        self._last, self._hint = "", ""

    def stream(self, request: Request) -> EventStream:
        return _Watched(self, self.inner.stream(request))

    async def complete(self, request: Request) -> Completion:
        return await self._watched(partial(self.inner.complete, request))

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        return await self._watched(partial(self.inner.embed, texts, deadline=deadline))

    async def _watched(self, ask: Callable[[], Awaitable[T]]) -> T:
        probe = self.admit()
        try:
            answer = await ask()
        except AgentError as error:
            self.failed(error, probe=probe)
            raise
        self.succeeded()
        return answer

    def admit(self) -> bool:
        """Raises if the breaker is open; returns whether this request is the probe."""
        if not self._pause_s:
            return False
        now = self._clock()
        if now < self._open_until:
            raise EngineUnavailableError(
                f"{self.name} failed {self._failures} times in a row: {self._last}",
                hint=self._hint,
                retry_after=round(self._open_until - now, 1),
            )
        self._open_until = now + self._pause_s  # if this probe never ends, another one follows
        return True

    def succeeded(self) -> None:
        """Records a complete answer."""
        if self._pause_s:
            log.warning("%s answers again", self.name)
        self._failures, self._pause_s = 0, 0.0

    def failed(self, error: AgentError, *, begun: bool = False, probe: bool) -> None:
        """Records a failure; ``begun``: the answer had already started."""
        if not isinstance(error, EngineUnavailableError) and (begun or error.kind != "timeout"):
            return
        if isinstance(error, ModelNotPulledError):
            return
        self._failures += 1
        self._last, self._hint = error.message, error.hint
        if self._failures < FAILURES or (self._pause_s and not probe):
            return
        if not self._pause_s:
            log.warning("%s failed %d times in a row: %s", self.name, self._failures, error)
        self._pause_s = min(LONGEST_S, 2 * self._pause_s or FIRST_S)
        self._open_until = self._clock() + self._pause_s


class _Watched(ObservedStream):
    def __init__(self, breaker: BreakerEngine, stream: EventStream) -> None:
        super().__init__(stream)
        self._breaker = breaker
        self._begun = self._probe = False

    async def __aenter__(self) -> AsyncIterator[Event]:
        self._probe = self._breaker.admit()
        return await super().__aenter__()

    def on_event(self, event: Event) -> None:
        self._begun = True
        if isinstance(event, Done):
            self._breaker.succeeded()

    def on_error(self, error: AgentError) -> None:
        self._breaker.failed(error, begun=self._begun, probe=self._probe)
