"""Who may ask the engine now: so many at a time, everyone in turn, and nobody for ever.

The first request of each agent has a rank: the time it came or the time its agent was last served,
whichever is later, so that agents are served in turn however many requests each has in line. For all
but the small tier ``PATIENCE_S`` comes on top: small requests go first, and the others are not starved.
"""

import json
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import TracebackType
from typing import Self

import anyio

from engines.base import Embeddings, Engine, Event, Profile, Request, Tags
from engines.errors import AgentError, EngineBusyError
from engines.middleware.background import background
from engines.middleware.slots import NOBODY, Places, Ranks
from engines.middleware.wrapper import WrapperEngine

SMALL = "small"

PATIENCE_S = 0.5
"""How long the first request of an agent in another tier lets later small ones pass: the small target."""

LOOK_S = 0.01
"""How often a process that waits looks for places other processes gave back."""

WEIGHED_BY_BYTES = 2_000
"""Bytes of a prompt; four requests of so many tokens fit the embedded engine's pool with their answers."""
MARKS = 16
"""Tokens of a chat template around a message, rounded up."""

FIRST_GUESS_S = 1.0
"""Service time assumed before the first request has ended."""

Clock = Callable[[], float]
Waited = Callable[[Tags, float], None]
"""Told how many seconds a request waited for its place."""


def _prompt(request: Request) -> str:
    """What of ``request`` becomes tokens, but for the model's own marks around messages."""
    offered = [json.dumps(tool) for tool in request.tools]
    return "".join([*(message.content for message in request.messages), *offered])


@dataclass(eq=False, slots=True)
class Waiter:
    lane: "Lane"
    weight: int
    came: float
    place: int | None = None
    ready: anyio.Event | None = None
    """Set with the place, for whoever must wait for it."""


@dataclass(eq=False, slots=True)
class Lane:
    """The requests of one agent in one tier, in the order they came."""

    key: tuple[str, str, str]
    small: bool
    turn: float = -math.inf
    """When the last of them got its place."""
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])

    @property
    def rank(self) -> float:
        return max(self.waiters[0].came, self.turn) + (0 if self.small else PATIENCE_S)


class Line:
    """Who waits in this process, and the rule who is next. Plain state: nothing in here awaits."""

    def __init__(self, places: Places, clock: Clock = time.monotonic) -> None:
        self.places = places
        self.waiting = 0
        self._clock = clock
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._told = NOBODY

    def join(self, tags: Tags, weight: int = 0) -> Waiter:
        """Come in line; ``place`` of the waiter is there at once if it can be."""
        key = (tags.tier, tags.project, tags.agent)
        if (lane := self._lanes.get(key)) is None:
            lane = self._lanes[key] = Lane(key, small=tags.tier == SMALL)
        waiter = Waiter(lane, weight, self._clock())
        lane.waiters.append(waiter)
        self.waiting += 1
        self.deal()
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Give the place back, or stop waiting for one; then the next is served."""
        if waiter.place is None:
            self._remove(waiter)
        else:
            self.places.give(waiter.place)
        self.deal()

    def deal(self) -> None:
        """Give out every place that is free and whose turn is in this process."""
        if self.waiting:
            elsewhere = self.places.waiting_elsewhere()
            while self.waiting and self._serve_next(elsewhere):
                pass
        here = self._first_ranks() if self.waiting else NOBODY
        if here is not NOBODY or self._told is not NOBODY:
            self.places.tell(here)
            self._told = here

    def _serve_next(self, elsewhere: Ranks) -> bool:
        """Who came first is first; behind a request of another tier, small ones use the kept place."""
        small, main = self._first(small=True), self._first(small=False)
        small_rank, main_rank = _rank(small), _rank(main)
        first_elsewhere = min(elsewhere.small, elsewhere.main)
        if small and small_rank <= elsewhere.small:
            first = small_rank <= min(main_rank, first_elsewhere)
            if self._seat(small, common=first, kept=True):
                return True
        return (
            main is not None
            and main_rank <= min(small_rank, first_elsewhere)
            and self._seat(main, common=True, kept=False)
        )

    def _seat(self, lane: Lane, *, common: bool, kept: bool) -> bool:
        waiter = lane.waiters[0]
        waiter.place = self.places.take(waiter.weight, common=common, kept=kept)
        if waiter.place is None:
            return False
        self._lanes[lane.key] = self._lanes.pop(lane.key)  # behind those of the same rank
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
    """Asks ``inner`` only with a place at it; opens and closes ``places`` with itself.

    Embedding counts as small: it takes milliseconds. The wait for a place is part of the deadline.

    Raises:
        EngineBusyError: ``queue`` requests of this process already wait, or the deadline passed
            in line; the request never started, and ``retry_after`` says when to come back.
    """

    def __init__(
        self,
        inner: Engine,
        places: AbstractContextManager[Places],
        *,
        queue: int = 64,
        waited: Waited | None = None,
    ) -> None:
        super().__init__(inner)
        self._places = places
        self._line: Line
        self._queue = queue
        self._waited = waited
        self._service_s = FIRST_GUESS_S
        self._someone_waits = anyio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.inner)
            self._line = Line(stack.enter_context(self._places))
            if self._line.places.shared:
                await stack.enter_async_context(background(self._look))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def profile(self, model: str = "") -> Profile:
        """No more at once than there are places: a call of many items would fill the line by itself."""
        return _at_most(self._line.places.count, await self.inner.profile(model))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        self._check_room()
        async with (
            self._place(request.tags, await self._weigh(request), request.deadline),
            self.inner.stream(request) as events,
        ):
            yield events

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        async with self._place(Tags(tier=SMALL), 0, deadline):
            return await self.inner.embed(texts, deadline=deadline)

    def _check_room(self) -> None:
        if self._line.waiting >= self._queue:
            raise self._busy(f"{self._queue} requests already wait for {self.name}")

    async def _weigh(self, request: Request) -> int:
        """Tokens the request may fill of a pool; not asked where there is none.

        No text has more tokens than bytes, so a short one weighs its bytes. The engine counts a longer one:
        of prose four bytes are a token, of log lines one and a half.
        """
        if self._line.places.pool == math.inf:
            return 0
        prompt = _prompt(request)
        tokens = len(prompt.encode(errors="surrogatepass"))
        if tokens > WEIGHED_BY_BYTES:
            with anyio.CancelScope(deadline=request.deadline), suppress(AgentError):
                tokens = await self.inner.count_tokens(prompt, model=request.model)
        return tokens + MARKS * len(request.messages) + request.max_tokens

    @asynccontextmanager
    async def _place(self, tags: Tags, weight: int, deadline: float) -> AsyncGenerator[None, None]:
        self._check_room()
        came = time.monotonic()
        waiter = self._line.join(tags, weight)
        try:
            if waiter.place is None:
                await self._wait(waiter, deadline)
            began = time.monotonic()
            if self._waited:
                self._waited(tags, began - came)
            yield
            self._service_s += (time.monotonic() - began - self._service_s) / 8
        finally:
            self._line.leave(waiter)

    async def _wait(self, waiter: Waiter, deadline: float) -> None:
        self._someone_waits.set()
        waiter.ready = anyio.Event()
        with anyio.CancelScope(deadline=deadline):
            await waiter.ready.wait()
        if waiter.place is None:
            raise self._busy(f"no place at {self.name} came free in time; the request never started")

    async def _look(self) -> None:
        """Places that other processes give back make no sound: look, while anyone waits."""
        while True:
            if not self._line.waiting:
                self._someone_waits = anyio.Event()
                await self._someone_waits.wait()
            await anyio.sleep(LOOK_S)
            self._line.deal()

    def _busy(self, message: str) -> EngineBusyError:
        ahead = 1 + self._line.waiting / self._line.places.count
        retry_after = round(max(0.1, self._service_s * ahead), 1)
        return EngineBusyError(message, hint=f"ask again in {retry_after} s", retry_after=retry_after)
