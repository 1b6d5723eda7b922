"""Formats a metrics snapshot for Prometheus (text exposition format, version 0.0.4)."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from engines.middleware.metrics import BOUNDS_S, Histogram, Snapshot

PREFIX = "local_llm_agent_"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]
Sample = tuple[Labels, float]
Family = tuple[str, str, str, Iterable[Sample]]
"""Name, kind, help text, samples."""

TIMES = {
    "request": "Time from a request to the end of its answer, waiting included",
    "first_token": "Time from a request to its first token, waiting included",
    "wait": "Time a request waited for a slot at the engine",
    "embed": "Time to embed a list of texts",
}


def render(snapshot: Snapshot, more: Iterable[Family] = ()) -> str:
    """Returns ``snapshot`` and the families in ``more`` as text."""
    lines: list[str] = []
    for name, kind, about, samples in (*_families(snapshot), *more):
        lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} {kind}"]
        lines += [_line(name, labels, value) for labels, value in samples]
    for what, about in TIMES.items():
        name = f"{what}_seconds"
        lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} histogram"]
        for timed in snapshot.timings:
            if timed.what == what:
                labels = {"engine": timed.engine, "tool": timed.tool, "tier": timed.tier}
                lines += _histogram(name, labels, timed.histogram)
    return "\n".join(lines) + "\n"


def _families(snapshot: Snapshot) -> Iterator[Family]:
    requests = [
        ({"engine": a.engine, "tool": a.tool, "tier": a.tier, "project": a.project, "agent": a.agent}, a)
        for a in snapshot.requests
    ]
    failed = [
        ({"engine": f.engine, "tool": f.tool, "tier": f.tier, "code": f.code}, f.count)
        for f in snapshot.errors
    ]
    tiers = [({"tier": t.tier}, t) for t in snapshot.tiers]
    yield "requests_total", "counter", "Requests to an engine", [(k, a.requests) for k, a in requests]
    yield "cached_total", "counter", "Requests answered from the cache", [(k, a.cached) for k, a in requests]
    yield "prompt_tokens_total", "counter", "Tokens read", [(k, a.prompt_tokens) for k, a in requests]
    yield (
        "completion_tokens_total",
        "counter",
        "Tokens written",
        [(k, a.completion_tokens) for k, a in requests],
    )
    yield "errors_total", "counter", "Requests without an answer, by the error's code", failed
    yield "embedded_total", "counter", "Texts embedded", _by_engine(snapshot.embedded.items())
    yield "active", "gauge", "Requests under way", _by_engine(snapshot.active.items())
    yield (
        "tier_latency_seconds",
        "gauge",
        "Latency of the latest calls of a tier",
        [
            ({**k, "quantile": quantile}, value)
            for k, t in tiers
            for quantile, value in (("0.5", t.p50_s), ("0.95", t.p95_s))
        ],
    )
    yield "tier_target_seconds", "gauge", "Time a call should take", [(k, t.target_s) for k, t in tiers]
    within = [(k, t.within) for k, t in tiers]
    yield "tier_within_target_ratio", "gauge", "Share of the latest calls within their target", within


def _by_engine(counts: Iterable[tuple[str, int]]) -> list[Sample]:
    return [({"engine": engine}, count) for engine, count in counts]


def _histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield _line(f"{name}_bucket", {**labels, "le": bound}, count)
    yield _line(f"{name}_sum", labels, histogram.total_s)
    yield _line(f"{name}_count", labels, sum(histogram.counts))


def _line(name: str, labels: Labels, value: float) -> str:
    written = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{PREFIX}{name}{{{written}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
