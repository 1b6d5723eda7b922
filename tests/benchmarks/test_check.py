"""``make bench-check`` finds what got a fifth slower, by figures made up from those that are kept."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks import __main__ as bench
from benchmarks import overhead, start


def _found(monkeypatch: pytest.MonkeyPatch, ours: Mapping[str, float], cpu: float) -> int:
    """What the check says of a run in which ours took so many times what is kept."""
    kept = json.loads(bench.KEPT.read_text(encoding="utf-8"))
    runs, starts = bench.runs_of(kept), bench.starts_of(kept)
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


def test_what_is_as_kept_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert _found(monkeypatch, {}, cpu=1.0) == 0
    assert _found(monkeypatch, {"cpu_us": 1.1, "per_second": 0.9}, cpu=1.15) == 0
    assert "worse" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ours", "cpu", "what"),
    [
        ({"p50": 1.1}, 1.0, "added, 1 caller"),
        ({"first_token": 1.1}, 1.0, "added to the first token"),
        ({"per_second": 0.8}, 1.0, "time a request, 16 callers"),
        ({"cpu_us": 1.21}, 1.0, "CPU a request"),
        ({}, 1.21, "CPU to tools/list"),
    ],
)
def test_a_fifth_more_is_said_and_fails(
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
