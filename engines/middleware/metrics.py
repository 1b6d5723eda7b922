"""Counts requests, tokens and latencies of the engines, by project, agent, tool and tier.

In memory, per process. Recording takes microseconds; ``snapshot`` copies all values, ``merged`` adds up
those of several processes, ``prometheus.render`` formats a snapshot.
"""

import math
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engines.base import Completion, Done, Embeddings, Engine, Event, EventStream, Request, Tags
from engines.errors import AgentError
from engines.middleware.latency import LatencyWatch, TierLatency
from engines.middleware.wrapper import ObservedStream, WrapperEngine

BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the histogram buckets; they include both tiers' targets."""

NAMES = 50
"""Distinct projects, and agents, at most; further names, which callers choose, count as ``other``."""

ABANDONED = "abandoned"
"""Error code of a request whose caller disconnected before the end."""


EMBED = Tags(tool="embed")
"""Tags of all embeddings, which belong to no tool or tier."""


@dataclass(frozen=True, slots=True)
class Histogram:
    counts: tuple[int, ...]
    """Per bound of ``BOUNDS_S`` plus one for larger values; not cumulative."""
    total_s: float


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests, cache hits and tokens of one combination of labels."""

    engine: str
    tool: str
    tier: str
    project: str
    agent: str
    requests: int
    cached: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    engine: str
    tool: str
    tier: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Timing:
    """A latency histogram; ``what`` is ``request``, ``first_token``, ``wait`` (for a slot) or ``embed``."""

    what: str
    engine: str
    tool: str
    tier: str
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Snapshot:
    requests: tuple[RequestCounts, ...] = ()
    errors: tuple[ErrorCount, ...] = ()
    timings: tuple[Timing, ...] = ()
    tiers: tuple[TierLatency, ...] = ()
    active: Mapping[str, int] = field(default_factory=dict[str, int])
    """Active requests, waiting ones included, by engine."""
    embedded: Mapping[str, int] = field(default_factory=dict[str, int])
    """Texts embedded, by engine."""

    def counters(self) -> "Snapshot":
        """Returns what remains of a process that ended: its counters, not its state."""
        return replace(self, tiers=(), active={})


@dataclass(slots=True)
class Totals:
    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, other: RequestCounts) -> None:
        self.requests += other.requests
        self.cached += other.cached
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens


@dataclass(slots=True)
class Times:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def merge(self, other: Histogram) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total_s += other.total_s


class Metrics:
    """The metrics of all engines of a process. ``targets``: target latency in seconds, by tier."""

    def __init__(self, targets: Mapping[str, float] | None = None) -> None:
        self._watch = LatencyWatch(targets or {})
        self._requests: dict[tuple[str, str, str, str, str], Totals] = {}
        self._errors: Counter[tuple[str, str, str, str]] = Counter()
        self._timings: dict[tuple[str, str, str, str], Times] = {}
        self._active: Counter[str] = Counter()
        self._embedded: Counter[str] = Counter()
        self._projects: set[str] = set()
        self._agents: set[str] = set()

    def started(self, engine: str, tags: Tags) -> Totals:
        self._active[engine] += 1
        project, agent = _bounded(tags.project, self._projects), _bounded(tags.agent, self._agents)
        totals = self._requests.setdefault((engine, tags.tool, tags.tier, project, agent), Totals())
        totals.requests += 1
        return totals

    def ended(self, engine: str) -> None:
        self._active[engine] -= 1

    def answered(self, engine: str, tags: Tags, seconds: float) -> None:
        self.took("request", engine, tags, seconds)
        self._watch.call(tags.tier, seconds)

    def failed(self, engine: str, tags: Tags, code: str, *, missed: bool) -> None:
        """Counts an error; ``missed``: it counts against the tier's latency target."""
        self._errors[engine, tags.tool, tags.tier, code] += 1
        if missed:
            self._watch.call(tags.tier, math.inf)

    def waited(self, engine: str, tags: Tags, seconds: float) -> None:
        self.took("wait", engine, tags, seconds)
        self._watch.wait(tags.tier, seconds)

    def embedded(self, engine: str, texts: int, seconds: float) -> None:
        self._embedded[engine] += texts
        self.took("embed", engine, EMBED, seconds)

    def took(self, what: str, engine: str, tags: Tags, seconds: float) -> None:
        self._timings.setdefault((what, engine, tags.tool, tags.tier), Times()).add(seconds)

    def add(self, other: Snapshot) -> None:
        """Adds the counters and the active requests of another process."""
        for row in other.requests:
            key = (row.engine, row.tool, row.tier, row.project, row.agent)
            self._requests.setdefault(key, Totals()).add(row)
        for error in other.errors:
            self._errors[error.engine, error.tool, error.tier, error.code] += error.count
        for timing in other.timings:
            times = self._timings.setdefault((timing.what, timing.engine, timing.tool, timing.tier), Times())
            times.merge(timing.histogram)
        self._active.update(other.active)
        self._embedded.update(other.embedded)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            requests=tuple(
                RequestCounts(*key, t.requests, t.cached, t.prompt_tokens, t.completion_tokens)
                for key, t in self._requests.items()
            ),
            errors=tuple(ErrorCount(*key, count) for key, count in self._errors.items()),
            timings=tuple(
                Timing(*key, Histogram(tuple(times.counts), times.total_s))
                for key, times in self._timings.items()
            ),
            tiers=self._watch.snapshot(),
            active=dict(self._active),
            embedded=dict(self._embedded),
        )


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Returns the sum of several processes; each may have ``NAMES`` projects and agents of its own."""
    total, tiers = Metrics(), dict[str, TierLatency]()
    for snapshot in snapshots:
        total.add(snapshot)
        for latency in snapshot.tiers:
            known = tiers.get(latency.tier)
            tiers[latency.tier] = known + latency if known else latency
    return replace(total.snapshot(), tiers=tuple(tiers.values()))


class MeteredEngine(WrapperEngine):
    """Records every request to ``inner`` in ``metrics``."""

    def __init__(self, inner: Engine, metrics: Metrics) -> None:
        super().__init__(inner)
        self._metrics = metrics

    def stream(self, request: Request) -> EventStream:
        return _MeteredStream(self.inner.stream(request), self._measured(request))

    async def complete(self, request: Request) -> Completion:
        measured = self._measured(request)
        measured.started()
        try:
            completion = await self.inner.complete(request)
            measured.answered(completion.done)
        except AgentError as error:
            measured.failed(error)
            raise
        finally:
            measured.closed()
        return completion

    def _measured(self, request: Request) -> "_Measured":
        return _Measured(self._metrics, self.name, request.tags)

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        started = time.perf_counter()
        try:
            embeddings = await self.inner.embed(texts, deadline=deadline)
        except AgentError as error:
            self._metrics.failed(self.name, EMBED, error.code, missed=False)
            raise
        self._metrics.embedded(self.name, len(texts), time.perf_counter() - started)
        return embeddings


class _MeteredStream(ObservedStream):
    """Measures one request, from opening its stream to closing it."""

    def __init__(self, stream: EventStream, measured: "_Measured") -> None:
        super().__init__(stream)
        self._measured = measured
        self._has_begun = False

    async def __aenter__(self) -> AsyncIterator[Event]:
        self._measured.started()
        return await super().__aenter__()

    def on_event(self, event: Event) -> None:
        if isinstance(event, Done):
            self._measured.answered(event)
        elif not self._has_begun:
            self._has_begun = True
            self._measured.began()

    def on_error(self, error: AgentError) -> None:
        self._measured.failed(error)

    def on_close(self) -> None:
        self._measured.closed()


class _Measured:
    """Records one request in ``metrics``, whichever way it ends."""

    def __init__(self, metrics: Metrics, engine: str, tags: Tags) -> None:
        self._metrics = metrics
        self._engine = engine
        self._tags = tags
        self._started = 0.0
        self._totals = Totals()
        self._is_settled = False

    def started(self) -> None:
        self._started = time.perf_counter()
        self._totals = self._metrics.started(self._engine, self._tags)

    def began(self) -> None:
        self._metrics.took("first_token", self._engine, self._tags, self._seconds())

    def answered(self, done: Done) -> None:
        self._is_settled = True
        if done.cached:
            self._totals.cached += 1
        else:
            self._totals.prompt_tokens += done.usage.prompt_tokens
            self._totals.completion_tokens += done.usage.completion_tokens
        self._metrics.answered(self._engine, self._tags, self._seconds())

    def failed(self, error: AgentError) -> None:
        self._is_settled = True
        missed = error.kind in ("busy", "timeout")
        self._metrics.failed(self._engine, self._tags, error.code, missed=missed)

    def closed(self) -> None:
        self._metrics.ended(self._engine)
        if not self._is_settled:
            self._metrics.failed(self._engine, self._tags, ABANDONED, missed=False)

    def _seconds(self) -> float:
        return time.perf_counter() - self._started


def _bounded(name: str, known: set[str]) -> str:
    if name in known:
        return name
    if len(known) >= NAMES:
        return "other"
    known.add(name)
    return name
