"""Limits concurrent requests at an engine, with a fair queue over agents and tiers.

The first request of each agent has a rank: its arrival time or the time its agent was last served,
whichever is later, so that agents are served in turn however many requests each has queued. For all
but the small tier ``PATIENCE_S`` is added: small requests go first, and the others are not starved.
"""

import json
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self

import anyio

from engines.base import Completion, Embeddings, Engine, Event, Profile, Request, Tags
from engines.errors import AgentError, EngineBusyError
from engines.middleware.background import background
from engines.middleware.slots import NO_WAITERS, Ranks, Slots
from engines.middleware.wrapper import WrapperEngine

SMALL = "small"

PATIENCE_S = 0.5
"""How long requests of other tiers let later small requests pass: the small tier's target latency."""

POLL_S = 0.01
"""Poll interval of a waiting process, for slots released by other processes."""

COUNTED_ABOVE_BYTES = 2_000
"""Prompt bytes above which tokens are counted; four requests of this many tokens fit the default pool."""
TEMPLATE_TOKENS = 16
"""Tokens of the chat template per message, rounded up."""

FIRST_GUESS_S = 1.0
"""Service time assumed before the first request has ended."""

Clock = Callable[[], float]
Waited = Callable[[Tags, float], None]
"""Callback with the seconds a request waited for its slot."""


def _prompt(request: Request) -> str:
    """Returns the text of ``request`` that becomes tokens, without the chat template."""
    offered = [json.dumps(tool) for tool in request.tools]
    return "".join([*(message.content for message in request.messages), *offered])


@dataclass(eq=False, slots=True)
class Waiter:
    lane: "Lane"
    weight: int
    came: float
    slot: int | None = None
    ready: anyio.Event | None = None
    """Set when ``slot`` is granted; ``None`` unless the caller waits."""


@dataclass(eq=False, slots=True)
class Lane:
    """The queued requests of one agent in one tier, in order of arrival."""

    key: tuple[str, str, str]
    small: bool
    turn: float = -math.inf
    """When the last of them was granted a slot."""
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])

    @property
    def rank(self) -> float:
        return max(self.waiters[0].came, self.turn) + (0 if self.small else PATIENCE_S)


class Queue:
    """The waiting requests of this process, and the rule which is next. No method awaits."""

    def __init__(self, slots: Slots, clock: Clock = time.monotonic) -> None:
        self.slots = slots
        self.waiting = 0
        self._clock = clock
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._published = NO_WAITERS

    def join(self, tags: Tags, weight: int = 0) -> Waiter:
        """Enqueues a request; ``slot`` of the waiter is set at once if one is free."""
        key = (tags.tier, tags.project, tags.agent)
        if (lane := self._lanes.get(key)) is None:
            lane = self._lanes[key] = Lane(key, small=tags.tier == SMALL)
        waiter = Waiter(lane, weight, self._clock())
        lane.waiters.append(waiter)
        self.waiting += 1
        self.grant_free()
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Releases the slot, or removes the waiter from the queue; then serves the next."""
        if waiter.slot is None:
            self._remove(waiter)
        else:
            self.slots.release(waiter.slot)
        self.grant_free()

    def grant_free(self) -> None:
        """Grants free slots to waiters, as long as it is the turn of this process."""
        if self.waiting:
            elsewhere = self.slots.waiting_elsewhere()
            while self.waiting and self._grant_next(elsewhere):
                pass
        here = self._first_ranks() if self.waiting else NO_WAITERS
        if here is not NO_WAITERS or self._published is not NO_WAITERS:
            self.slots.publish(here)
            self._published = here

    def _grant_next(self, elsewhere: Ranks) -> bool:
        """Grants the first request a slot; small ones behind another tier use the reserved slot."""
        small, main = self._first(small=True), self._first(small=False)
        small_rank, main_rank = _rank(small), _rank(main)
        first_elsewhere = min(elsewhere.small, elsewhere.main)
        if small and small_rank <= elsewhere.small:
            first = small_rank <= min(main_rank, first_elsewhere)
            if self._grant(small, common=first, reserved=True):
                return True
        return (
            main is not None
            and main_rank <= min(small_rank, first_elsewhere)
            and self._grant(main, common=True, reserved=False)
        )

    def _grant(self, lane: Lane, *, common: bool, reserved: bool) -> bool:
        waiter = lane.waiters[0]
        waiter.slot = self.slots.acquire(waiter.weight, common=common, reserved=reserved)
        if waiter.slot is None:
            return False
        self._lanes[lane.key] = self._lanes.pop(lane.key)  # after lanes of the same rank
        self._remove(waiter)
        lane.turn = self._clock()
        if waiter.ready:
            waiter.ready.set()
        return True

    def _remove(self, waiter: Waiter) -> None:
        waiter.lane.waiters.remove(waiter)
        self.waiting -= 1
        if not waiter.lane.waiters:
            del self._lanes[waiter.lane.key]

    def _first(self, *, small: bool) -> Lane | None:
        lanes = [lane for lane in self._lanes.values() if lane.small == small]
        return min(lanes, key=_rank) if lanes else None

    def _first_ranks(self) -> Ranks:
        return Ranks(_rank(self._first(small=True)), _rank(self._first(small=False)))


def _rank(lane: Lane | None) -> float:
    return lane.rank if lane else math.inf


@lru_cache
def _at_most(parallel: int, profile: Profile) -> Profile:
    parallel = min(profile.capabilities.parallel, parallel)
    return replace(profile, capabilities=replace(profile.capabilities, parallel=parallel))


class AdmittedEngine(WrapperEngine):
    """Holds a slot for each request to ``inner``; opens and closes ``slots`` with itself.

    Embedding counts as small: it takes milliseconds. The deadline covers the wait for a slot.

    Raises:
        EngineBusyError: ``queue`` requests of this process already wait, or the deadline passed
            in the queue; the request never started, and ``retry_after`` estimates the wait.
    """

    def __init__(
        self,
        inner: Engine,
        slots: AbstractContextManager[Slots],
        *,
        queue: int = 64,
        waited: Waited | None = None,
    ) -> None:
        super().__init__(inner)
        self._slots = slots
        self._queue: Queue
        self._queue_limit = queue
        self._waited = waited
        self._service_s = FIRST_GUESS_S
        self._has_waiters = anyio.Event()

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.inner)
            self._queue = Queue(stack.enter_context(self._slots))
            if self._queue.slots.shared:
                await stack.enter_async_context(background(self._poll))
            yield self

    async def profile(self, model: str = "") -> Profile:
        """Limits ``parallel`` to the slots: a call of many items would fill the queue by itself."""
        return _at_most(self._queue.slots.count, await self.inner.profile(model))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        self._check_limit()
        async with (
            self._slot(request.tags, await self._weigh(request), request.deadline),
            self.inner.stream(request) as events,
        ):
            yield events

    async def complete(self, request: Request) -> Completion:
        self._check_limit()
        async with self._slot(request.tags, await self._weigh(request), request.deadline):
            return await self.inner.complete(request)

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        async with self._slot(Tags(tier=SMALL), 0, deadline):
            return await self.inner.embed(texts, deadline=deadline)

    def _check_limit(self) -> None:
        if self._queue.waiting >= self._queue_limit:
            raise self._busy(f"{self._queue_limit} requests already wait for {self.name}")

    async def _weigh(self, request: Request) -> int:
        """Returns the tokens of the pool the request may use; 0 without a pool.

        No text has more tokens than bytes, so a short prompt counts its bytes. The engine's tokenizer
        counts a longer one.
        """
        if self._queue.slots.pool == math.inf:
            return 0
        prompt = _prompt(request)
        tokens = len(prompt.encode(errors="surrogatepass"))
        if tokens > COUNTED_ABOVE_BYTES:
            with anyio.CancelScope(deadline=request.deadline), suppress(AgentError):
                tokens = await self.inner.count_tokens(prompt, model=request.model)
        return tokens + TEMPLATE_TOKENS * len(request.messages) + request.max_tokens

    @asynccontextmanager
    async def _slot(self, tags: Tags, weight: int, deadline: float) -> AsyncGenerator[None, None]:
        self._check_limit()
        came = time.monotonic()
        waiter = self._queue.join(tags, weight)
        try:
            if waiter.slot is None:
                await self._wait(waiter, deadline)
            began = time.monotonic()
            if self._waited:
                self._waited(tags, began - came)
            yield
            self._service_s += (time.monotonic() - began - self._service_s) / 8
        finally:
            self._queue.leave(waiter)

    async def _wait(self, waiter: Waiter, deadline: float) -> None:
        self._has_waiters.set()
        waiter.ready = anyio.Event()
        with anyio.CancelScope(deadline=deadline):
            await waiter.ready.wait()
        if waiter.slot is None:
            raise self._busy(f"no slot at {self.name} came free in time; the request never started")

    async def _poll(self) -> None:
        """Polls for slots released by other processes while requests wait."""
        while True:
            if not self._queue.waiting:
                self._has_waiters = anyio.Event()
                await self._has_waiters.wait()
            await anyio.sleep(POLL_S)
            self._queue.grant_free()

    def _busy(self, message: str) -> EngineBusyError:
        ahead = 1 + self._queue.waiting / self._queue.slots.count
        retry_after = round(max(0.1, self._service_s * ahead), 1)
        return EngineBusyError(message, hint=f"ask again in {retry_after} s", retry_after=retry_after)
