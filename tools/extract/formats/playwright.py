"""Parses the output of Playwright's reporters list, line and dot."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_BEGINS = re.compile(r"\[WebServer\]|Running \d+ tests? using \d+ workers?")
_HEAD = re.compile(r" +\d+\) (?P<test>\S.* › .*)$")
_PLACE = re.compile(r"(?:\[[^\]]+\] › )?(?P<file>\S.*?):(?P<line>\d+):\d+ › ")
_COUNT = re.compile(
    r" +(?P<count>\d+) (?P<what>failed|interrupted|flaky|skipped|did not run|passed)(?: \([\d.]++\w+\))?$"
)
_AFTER = re.compile(
    r"\s+\S.* › |\s*(?:To open last HTML report|Serving HTML report|npx playwright show-report)"
)


def parse(text: str) -> Report | None:
    """Returns the failed tests of one run; a test that passed when it was tried again is none."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    counts = {
        match["what"]: (int(match["count"]), at)
        for at, line in enumerate(lines)
        if (match := _COUNT.match(line))
    }
    if not counts:
        return None
    places = [at for _, at in counts.values()]
    failed, at = counts.get("failed", (0, len(lines)))
    listed = [_name(line) for line in takewhile(lambda line: line.startswith("    "), lines[at + 1 :])]
    reports = dict(_reports(lines, min(places)))
    if len(listed) != failed or not reports.keys() >= set(listed):
        return None
    if not runs.around(line for line in lines[max(places) + 1 :] if not _AFTER.match(line)):
        return None
    totals = {name: counts.get(name, (0, 0))[0] for name in ("failed", "passed", "skipped")}
    return Report("playwright", [reports[test] for test in listed], totals)


def _name(line: str) -> str:
    """Returns the id in ``[chromium] › a.spec.js:3:3 › cart › adds ────``."""
    return line.strip(" ─")


def _reports(lines: Sequence[str], end: int) -> Iterator[tuple[str, Record]]:
    heads = [
        (at, _name(match["test"])) for at, line in enumerate(lines[:end]) if (match := _HEAD.match(line))
    ]
    for (at, test), until in zip(heads, [*(at for at, _ in heads[1:]), end], strict=False):
        raised = frames.javascript_error(lines[at + 1 : until])
        place = _PLACE.match(test)
        if place and not raised.file:
            raised = replace(raised, file=place["file"], line=int(place["line"]))
        yield test, raised.record(at, runs.end(lines, at, until), test)
