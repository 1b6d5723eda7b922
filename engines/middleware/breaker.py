"""An engine that keeps failing is left alone for a while, and its callers are told at once.

Closed, requests go through. After ``failures`` in a row it opens: requests fail without being asked.
Then one request is let through to see; its success closes the breaker, its failure doubles the time.
"""

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence

from engines.base import Done, Embeddings, Engine, Event, EventStream, Request
from engines.errors import AgentError, EngineUnavailableError, ModelNotPulledError
from engines.middleware.wrapper import HeardStream, WrapperEngine

log = logging.getLogger(__name__)


class BreakerEngine(WrapperEngine):
    """Counts requests that found nobody: unavailable, or nothing before the deadline.

    Not counted: the caller's own mistakes, a busy engine, a slow one that had begun to answer, and a
    model that must be pulled first, which is known without asking.

    Raises:
        EngineUnavailableError: open; carries the last failure's hint, and ``retry_after``.
    """

    def __init__(
        self,
        inner: Engine,
        *,
        failures: int = 3,
        first_s: float = 1.0,
        longest_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._allowed = failures
        self._first_s = first_s
        self._longest_s = longest_s
        self._failures = 0
        self._pause_s = 0.0
        """How long it stays open this time; 0 while closed."""
        self._open_until = -math.inf
        self._last, self._hint = "", ""

    def stream(self, request: Request) -> EventStream:
        return _Watched(self, self.inner.stream(request))

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        probe = self.let_through()
        try:
            embeddings = await self.inner.embed(texts, deadline=deadline)
        except AgentError as error:
            self.failed(error, probe=probe)
            raise
        self.worked()
        return embeddings

    def let_through(self) -> bool:
        """Whether this request is the one that finds out if the engine is back."""
        if not self._pause_s:
            return False
        now = self._clock()
        if now < self._open_until:
            raise EngineUnavailableError(
                f"{self.name} failed {self._failures} times in a row: {self._last}",
                hint=self._hint,
                retry_after=round(self._open_until - now, 1),
            )
        self._open_until = now + self._pause_s  # should this request never end, another one tries
        return True

    def worked(self) -> None:
        """A request was answered to its end."""
        if self._pause_s:
            log.warning("%s answers again", self.name)
        self._failures, self._pause_s = 0, 0.0

    def failed(self, error: AgentError, *, begun: bool = False, probe: bool) -> None:
        """A request failed, after the answer had ``begun`` or before."""
        if not isinstance(error, EngineUnavailableError) and (begun or error.kind != "timeout"):
            return
        if isinstance(error, ModelNotPulledError):
            return
        self._failures += 1
        self._last, self._hint = error.message, error.hint
        if self._failures < self._allowed or (self._pause_s and not probe):
            return
        if not self._pause_s:
            log.warning("%s failed %d times in a row: %s", self.name, self._failures, error)
        self._pause_s = min(self._longest_s, 2 * self._pause_s or self._first_s)
        self._open_until = self._clock() + self._pause_s


class _Watched(HeardStream):
    def __init__(self, breaker: BreakerEngine, stream: EventStream) -> None:
        super().__init__(stream)
        self._breaker = breaker
        self._begun = self._probe = False

    async def __aenter__(self) -> AsyncIterator[Event]:
        self._probe = self._breaker.let_through()
        return await super().__aenter__()

    def heard(self, event: Event) -> None:
        self._begun = True
        if isinstance(event, Done):
            self._breaker.worked()

    def failed(self, error: AgentError) -> None:
        self._breaker.failed(error, begun=self._begun, probe=self._probe)
