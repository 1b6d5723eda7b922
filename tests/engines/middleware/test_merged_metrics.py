"""The metrics of several processes, added up."""

from engines.base import Tags
from engines.middleware.metrics import Metrics, merged

TAGS = Tags("chat", "main")


def test_the_sum_of_processes_adds_counters_state_and_latencies():
    one, other = Metrics({"main": 2.0}), Metrics({"main": 2.0})
    for metrics, seconds in ((one, 1.0), (one, 3.0), (other, 4.0)):
        metrics.started("e", TAGS).prompt_tokens += 10
        metrics.answered("e", TAGS, seconds)
    one.ended("e")
    other.failed("e", TAGS, "busy", missed=True)
    other.embedded("e", 5, 0.1)
    total = merged((one.snapshot(), other.snapshot()))
    (requests,), (error,) = total.requests, total.errors
    assert (requests.requests, requests.prompt_tokens, error.count) == (3, 30, 1)
    assert (total.active, total.embedded) == ({"e": 2}, {"e": 5})
    (request,) = [timing.histogram for timing in total.timings if timing.what == "request"]
    assert (sum(request.counts), request.total_s) == (3, 8.0)
    (main,) = total.tiers
    assert (main.calls, main.p50_s, main.p95_s, main.within) == (4, 3.0, 4.0, 0.25)


def test_of_a_process_that_ended_the_counters_remain():
    ended = Metrics({"main": 2.0})
    ended.started("e", TAGS)
    ended.answered("e", TAGS, 1.0)
    total = merged((ended.snapshot().counters(), Metrics({"main": 2.0}).snapshot()))
    assert [requests.requests for requests in total.requests] == [1]
    assert len(total.timings) == 1
    assert (total.active, total.tiers[0].calls) == ({}, 0)
