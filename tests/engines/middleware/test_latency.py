import logging
import math

import pytest

from engines.middleware.latency import WARN_AFTER_S, WARN_AGAIN_S, WINDOW_S, LatencyWatch, TierLatency
from tests.engines.middleware.fakes import Clock


def test_percentiles_and_the_share_within_the_target_are_of_the_latest_calls():
    clock = Clock()
    watch = LatencyWatch({"small": 0.5}, clock)
    for _ in range(50):
        watch.call("small", 9.0)
    clock.now += WINDOW_S + 1
    for hundredth in range(1, 101):
        watch.call("small", hundredth / 100)
    (latency,) = watch.snapshot()
    assert (latency.tier, latency.target_s, latency.calls) == ("small", 0.5, 100)
    assert (latency.p50_s, latency.p95_s, latency.within, latency.waiting) == (0.5, 0.95, 0.5, 0.0)


def test_a_call_without_an_answer_is_not_within_the_target():
    watch = LatencyWatch({"main": 2.0}, Clock())
    for seconds in (1.0, 1.0, 1.0, math.inf):
        watch.call("main", seconds)
    (latency,) = watch.snapshot()
    assert (latency.calls, latency.p95_s, latency.within) == (4, 1.0, 0.75)


def test_a_tier_without_calls_keeps_its_target_and_one_without_a_target_is_not_watched():
    watch = LatencyWatch({"small": 0.5}, Clock())
    watch.call("", 3.0)
    watch.wait("huge", 3.0)
    (latency,) = watch.snapshot()
    assert latency == TierLatency("small", 0.5)
    assert (latency.p50_s, latency.p95_s, latency.within, latency.waiting) == (0.0, 0.0, 1.0, 0.0)


def drive(watch: LatencyWatch, clock: Clock, seconds: float, lasting_s: float) -> None:
    """Records one call a second."""
    for _ in range(round(lasting_s)):
        clock.now += 1
        watch.call("small", seconds)


def test_a_tier_that_misses_its_target_for_long_gets_one_warning_with_what_to_change(
    caplog: pytest.LogCaptureFixture,
):
    clock = Clock()
    watch = LatencyWatch({"small": 0.5}, clock)
    drive(watch, clock, 2.0, WARN_AFTER_S)
    assert not caplog.records
    drive(watch, clock, 2.0, 60)
    assert len(caplog.records) == 1
    assert "tiers.small.model" in caplog.text
    assert "half took over 2.0 s" in caplog.text
    drive(watch, clock, 2.0, WARN_AGAIN_S)
    assert len(caplog.records) == 2


def test_the_warning_suggests_more_slots_when_most_time_is_waiting(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    watch = LatencyWatch({"small": 0.5}, clock)
    for _ in range(150):
        clock.now += 1
        watch.wait("small", 1.6)
        watch.call("small", 2.0)
    assert "limits.concurrency" in caplog.text


def test_a_tier_that_is_slow_for_a_moment_gets_no_warning(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    watch = LatencyWatch({"small": 0.5}, clock)
    drive(watch, clock, 2.0, 40)
    for _ in range(100):
        watch.call("small", 0.1)
    drive(watch, clock, 0.1, 6)
    drive(watch, clock, 2.0, 110)
    assert watch.snapshot()[0].within < 0.5
    assert not caplog.records


@pytest.fixture(autouse=True)
def _warnings_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
