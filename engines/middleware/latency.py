"""Tracks recent latencies per tier, and warns when a tier misses its target."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

WINDOW_S = 300.0
WINDOW_CALLS = 1000
"""The window holds the calls of the last five minutes, at most the latest thousand."""

MIN_CALLS = 20
"""Fewer calls than this are not evaluated."""

WARN_AFTER_S = 60.0
"""A tier that misses its target for this long gets a warning."""
WARN_AGAIN_S = 900.0
"""Time between two warnings for a tier."""
CHECK_S = 5.0


@dataclass(frozen=True, slots=True)
class TierLatency:
    """Recent latencies of a tier."""

    tier: str
    target_s: float
    seconds: tuple[float, ...] = ()
    """Duration of each call; infinite for one without an answer."""
    waited_s: float = 0.0
    """Time spent waiting for a slot, all calls together."""

    @property
    def calls(self) -> int:
        return len(self.seconds)

    @property
    def p50_s(self) -> float:
        return _quantile(self._answered(), 0.5)

    @property
    def p95_s(self) -> float:
        return _quantile(self._answered(), 0.95)

    @property
    def within(self) -> float:
        """Share of all calls, failed ones included, within the target."""
        return sum(each <= self.target_s for each in self.seconds) / self.calls if self.calls else 1.0

    @property
    def waiting(self) -> float:
        """Share of the time spent waiting for a slot."""
        busy = sum(self._answered())
        return min(1.0, self.waited_s / busy) if busy else 0.0

    def __add__(self, other: "TierLatency") -> "TierLatency":
        seconds, waited_s = self.seconds + other.seconds, self.waited_s + other.waited_s
        return TierLatency(self.tier, self.target_s, seconds, waited_s)

    def _answered(self) -> list[float]:
        return sorted(each for each in self.seconds if each < math.inf)


@dataclass(slots=True)
class Window:
    calls: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_CALLS))
    """End time and duration of each call; infinite for a failed one."""
    waits: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_CALLS))
    checked: float = -math.inf
    missing_since: float = math.inf
    warned: float = -math.inf


class LatencyWatch:
    def __init__(self, targets: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        """``targets`` in seconds, by tier."""
        self._targets = dict(targets)
        self._windows = {tier: Window() for tier in targets}
        self._clock = clock

    def call(self, tier: str, seconds: float) -> None:
        """Records a finished call; ``seconds`` is infinite for one without an answer."""
        if window := self._windows.get(tier):
            now = self._clock()
            window.calls.append((now, seconds))
            if now - window.checked >= CHECK_S:
                window.checked = now
                self._check(tier, window, now)

    def wait(self, tier: str, seconds: float) -> None:
        if window := self._windows.get(tier):
            window.waits.append((self._clock(), seconds))

    def snapshot(self) -> tuple[TierLatency, ...]:
        return tuple(self._measure(tier, self._clock()) for tier in self._windows)

    def _measure(self, tier: str, now: float) -> TierLatency:
        window = self._windows[tier]
        seconds, waits = _recent(window.calls, now), _recent(window.waits, now)
        return TierLatency(tier, self._targets[tier], seconds, sum(waits))

    def _check(self, tier: str, window: Window, now: float) -> None:
        latency = self._measure(tier, now)
        if latency.calls < MIN_CALLS or latency.within >= 0.5:
            window.missing_since = math.inf
            return
        window.missing_since = min(window.missing_since, now)
        if now - window.missing_since >= WARN_AFTER_S and now - window.warned >= WARN_AGAIN_S:
            window.warned = now
            log.warning("%s", _advice(latency))


def _advice(latency: TierLatency) -> str:
    tier = latency.tier
    change = f"set a faster tiers.{tier}.model, lower tiers.{tier}.max_tokens"
    if latency.waiting > 0.5:
        change = "most of it is waiting for a slot: raise limits.concurrency, send fewer calls at once"
    return (
        f"tier {tier}: {latency.within:.0%} of the last {latency.calls} calls took at most "
        f"{latency.target_s:g} s, half took over {latency.p50_s:.1f} s; {change}, "
        f"or raise tiers.{tier}.target_ms"
    )


def _recent(entries: Iterable[tuple[float, float]], now: float) -> tuple[float, ...]:
    return tuple(seconds for when, seconds in entries if now - when <= WINDOW_S)


def _quantile(ordered: list[float], share: float) -> float:
    """Returns the nearest-rank quantile; 0 for an empty list."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
