"""Tests that ``make bench-check`` finds a slowdown of 20 %, with scaled copies of the stored figures."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks import __main__ as bench
from benchmarks import overhead, start


def _found(monkeypatch: pytest.MonkeyPatch, ours: Mapping[str, float], cpu: float) -> int:
    """Returns the check's exit code for a run whose figures are the stored ones times ``ours``."""
    stored = json.loads(bench.STORED.read_text(encoding="utf-8"))
    runs, starts = bench.runs_of(stored), bench.starts_of(stored)
    for name, times in ours.items():
        runs[overhead.OURS] = [
            replace(each, **{name: getattr(each, name) * times}) for each in runs[overhead.OURS]
        ]
    starts[start.OURS] = [replace(each, cpu=each.cpu * cpu) for each in starts[start.OURS]]

    async def run() -> overhead.Runs:
        return runs

    async def spawn() -> start.Starts:
        return starts

    monkeypatch.setattr(overhead, "run", run)
    monkeypatch.setattr(start, "starts", spawn)
    return bench.check()


def test_figures_equal_to_the_stored_ones_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert _found(monkeypatch, {}, cpu=1.0) == 0
    assert _found(monkeypatch, {"cpu_us": 1.1, "per_second": 0.9}, cpu=1.15) == 0
    assert "worse" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ours", "cpu", "what"),
    [
        ({"p50": 1.1}, 1.0, "added, 1 caller"),
        ({"first_token": 1.1}, 1.0, "added to the first token"),
        ({"per_second": 0.8}, 1.0, "time per request, 16 callers"),
        ({"cpu_us": 1.21}, 1.0, "CPU per request"),
        ({}, 1.21, "CPU to tools/list"),
    ],
)
def test_a_fifth_more_is_reported_and_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ours: Mapping[str, float],
    cpu: float,
    what: str,
):
    assert _found(monkeypatch, ours, cpu) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.endswith("worse")] == [
        line for line in said if line.startswith(what)
    ]
