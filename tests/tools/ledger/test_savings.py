"""Ledger reports: sums that add up, time steps without gaps, latency by nearest rank."""

import os
from collections.abc import Generator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from engines.errors import InvalidArgumentsError
from tests.posix import read_time_zone
from tools.base import Call, Project, Receipt, TokenCounts
from tools.ledger.savings import MOST, Report, report, since_of
from tools.ledger.store import Ledger

pytestmark = pytest.mark.anyio

TARGETS = {"small": 500, "main": 2000}
RECEIPT = Receipt("small", "e", "m", None, "shop", 100, TokenCounts(1000, 900, 30), 940)


@pytest.fixture(autouse=True)
def in_vienna(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Sets a time zone with clock changes; 2026-10-25 has 25 hours there, 2026-03-29 has 23."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Europe/Vienna")
    read_time_zone()
    yield
    monkeypatch.undo()
    assert os.environ.get("TZ") == before
    read_time_zone()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Written:
    """A ledger with a settable clock."""

    def __init__(self, folder: Path) -> None:
        self.now = at("2026-11-22T12:00")
        self.ledger = Ledger(folder, clock=lambda: self.now)

    def call(
        self, when: str, receipt: Receipt = RECEIPT, *, tool: str = "chat", agent: str = "", error: str = ""
    ) -> None:
        self.now = at(when)
        self.ledger.record(Call(tool, {}, Project(receipt.project), agent), receipt, error)

    async def report(self, now: str, since: str = "all", project: str = "") -> Report:
        self.now = at(now)
        return await report(self.ledger, TARGETS, since_of(since, self.now), project)


async def test_the_example_of_the_manual(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        written.now = at("2026-11-22T09:00")
        written.ledger.charge("shop", "claude-code", 994)
        summary = replace(RECEIPT, tokens=TokenCounts(12_000, 12_400, 150), saved=11_810)
        written.call("2026-11-22T09:05", summary, tool="summarize")
        written.call("2026-11-22T09:06", replace(RECEIPT, tokens=TokenCounts(), saved=-48), tool="chat")
        failed = replace(RECEIPT, tier="", tokens=TokenCounts(), saved=-61)
        written.call("2026-11-22T09:07", failed, tool="extract", error="path_not_found")
        found = await written.report("2026-11-22T18:00", "today")
    totals = found.totals
    assert (totals.calls, totals.failed, totals.listed) == (3, 1, 1)
    assert totals.read == 12_000
    assert totals.spent == 190 + 48 + 61 + 994
    assert totals.saved == 10_707
    assert {name: sums.saved for name, sums in found.tools.items()} == {
        "summarize": 11_810, "chat": -48, "extract": -61, "definitions": -994
    }  # fmt: skip


async def test_every_split_adds_up_to_the_same(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        for number in range(60):
            receipt = replace(
                RECEIPT, project=f"p{number % 7}", saved=number - 30, tier=("small", "main")[number % 2]
            )
            written.call(
                "2026-11-22T10:00", receipt, tool=("chat", "extract")[number % 2], agent=f"a{number % 30}"
            )
        found = await written.report("2026-11-22T12:00")
    for groups in (found.projects, found.tools, found.agents, found.tiers):
        assert sum(sums.saved for sums in groups.values()) == found.totals.saved == sum(range(60)) - 1800
        assert sum(sums.calls for sums in groups.values()) == 60
    assert len(found.agents) == MOST + 1
    assert found.agents["other"].calls == 20


async def test_today_begins_at_midnight_here(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        written.call("2026-11-21T23:59:59")
        written.call("2026-11-22T00:00:01")
        found = await written.report("2026-11-22T12:30", "today")
    assert found.totals.calls == found.periods["today"].calls == 1
    assert found.periods["7d"].calls == found.periods["all"].calls == 2
    assert found.unit == "hour"
    assert [step.start for step in found.steps] == [f"2026-11-22T{hour:02}" for hour in range(13)]
    assert [step.calls for step in found.steps] == [1] + [0] * 12


@pytest.mark.parametrize(
    ("since", "now", "days"), [("2026-10-20", "2026-10-29", 10), ("2026-03-25", "2026-04-02", 9)]
)
async def test_days_of_23_and_25_hours_are_one_day_each(
    tmp_path: Path, since: str, now: str, days: int
) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        written.call(f"{since}T00:30")
        written.call(f"{now}T23:30")
        found = await written.report(f"{now}T23:45", since)
    assert len(found.steps) == days
    assert found.steps == tuple(sorted(found.steps, key=lambda step: step.start))
    assert [step.calls for step in found.steps] == [1] + [0] * (days - 2) + [1]


async def test_a_long_time_is_shown_by_months(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        written.call("2025-12-31T12:00")
        written.call("2026-02-01T12:00", replace(RECEIPT, saved=-7))
        found = await written.report("2026-05-31T12:00")
    assert found.unit == "month"
    assert [(step.start, step.saved) for step in found.steps] == [
        ("2025-12", 940), ("2026-01", 0), ("2026-02", -7), ("2026-03", 0), ("2026-04", 0), ("2026-05", 0)
    ]  # fmt: skip


async def test_latency_is_that_of_answered_calls_and_the_target_counts_all(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        for ms in (100, 200, 300, 400, 900):
            written.call("2026-11-22T10:00", replace(RECEIPT, ms=ms))
        written.call("2026-11-22T10:00", replace(RECEIPT, ms=30_000), error="engine_timeout")
        found = await written.report("2026-11-22T12:00")
    small, main = found.latency
    assert (small.calls, small.p50_ms, small.p95_ms) == (6, 300, 900)
    assert small.within == pytest.approx(4 / 6)
    assert (main.calls, main.p50_ms, main.within) == (0, 0, 1.0)


async def test_one_project_alone_shows_nothing_of_the_others(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        written.call("2026-11-22T10:00")
        written.call("2026-11-22T10:00", replace(RECEIPT, project="erp", tier="main"))
        written.ledger.charge("erp", "codex", 994)
        found = await written.report("2026-11-22T12:00", "today", "shop")
    assert list(found.projects) == ["shop"]
    assert found.totals.saved == found.periods["all"].saved == sum(step.saved for step in found.steps) == 940
    assert [tier.calls for tier in found.latency] == [1, 0]
    assert [entry.receipt.project for entry in found.last] == ["shop"]
    assert found.known == ("erp", "shop")


async def test_an_empty_ledger_has_a_report_too(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        found = await written.report("2026-11-22T12:00")
    report = found.as_json()
    assert report["since"] is None
    assert report["steps"] == report["last"] == []
    assert found.totals.calls == 0


async def test_the_last_calls_come_with_their_receipts_the_latest_first(tmp_path: Path) -> None:
    written = Written(tmp_path)
    async with written.ledger:
        for minute in range(30):
            written.call(
                f"2026-11-22T10:{minute:02}",
                replace(RECEIPT, saved=minute),
                error="engine_busy" * (minute == 29),
            )
        found = await written.report("2026-11-22T12:00")
        last = found.as_json()["last"]
    assert isinstance(last, list)
    assert len(last) == 20
    assert last[0] == {
        "at": "2026-11-22T09:29:00.000Z",
        "agent": "",
        "tool": "chat",
        "error": "engine_busy",
        "receipt": replace(RECEIPT, saved=29).as_json(),
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", "1970-01-01T01:00"),
        ("today", "2026-11-22T00:00"),
        ("12h", "2026-11-22T03:30"),
        ("7d", "2026-11-15T15:30"),
        ("2w", "2026-11-08T15:30"),
        ("2026-11-20", "2026-11-20T00:00"),
        ("2026-11-20T08:15", "2026-11-20T08:15"),
    ],
)
def test_times_people_write_are_understood(text: str, meant: str) -> None:
    assert since_of(text, at("2026-11-22T15:30")) == at(meant)


@pytest.mark.parametrize(
    "text", ["", "d", "yesterday", "7 d", "-7d", "٣d", "7y", "2026-13-01", "9" * 400 + "d"]
)
def test_times_nobody_understands_are_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        since_of(text, at("2026-11-22T15:30"))
    assert "7d" in caught.value.hint
