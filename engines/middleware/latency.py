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
    """Recent latencies of a tier, in seconds. ``within``: share of all calls, failed ones included."""

    tier: str
    target_s: float
    calls: int
    p50_s: float
    p95_s: float
    within: float
    waiting: float
    """Share of the time spent waiting for a slot."""


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
        window, target = self._windows[tier], self._targets[tier]
        calls = _recent(window.calls, now)
        answered = sorted(seconds for seconds in calls if seconds < math.inf)
        busy = sum(answered)
        return TierLatency(
            tier=tier,
            target_s=target,
            calls=len(calls),
            p50_s=_quantile(answered, 0.5),
            p95_s=_quantile(answered, 0.95),
            within=sum(seconds <= target for seconds in calls) / len(calls) if calls else 1.0,
            waiting=min(1.0, sum(_recent(window.waits, now)) / busy) if busy else 0.0,
        )

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


def _recent(entries: Iterable[tuple[float, float]], now: float) -> list[float]:
    return [seconds for when, seconds in entries if now - when <= WINDOW_S]


def _quantile(ordered: list[float], share: float) -> float:
    """Returns the nearest-rank quantile; 0 for an empty list."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
