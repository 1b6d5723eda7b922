"""Parses the output of Jest: failed tests, and suites that do not run."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_BEGINS = re.compile(
    r"PASS |FAIL |RUNS |Determining test suites|No tests found|  ● |  console\.|ts-jest|jest-haste-map"
)
_TITLE = re.compile(r"  ● (?P<test>\S.*)$")
_FILE = re.compile(r"FAIL (?P<file>\S.*?)(?: \([\d.]+ m?s\))?$")
_TESTS, _SUITES = re.compile(r"Tests: +\d"), re.compile(r"Test Suites: +\d")
# Titles of reports that are not of a test.
_NO_SUITE = "Test suite failed to run"
_NOTES = (
    "Console",
    "Cannot log after tests are done. Did you forget to wait for something async in your test?",
)
# Jest lists the failures again here if there were many suites.
_AGAIN = "Summary of all failing tests"
_AFTER = re.compile(
    r"Snapshots: |Time: |Ran all test suites|Watch Usage|Force exiting Jest|Jest did not exit"
    r"|This usually means|A worker process has|Have you considered|Jest has detected| › "
)


def parse(text: str) -> Report | None:
    """Returns the failed tests and suites of one run."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    summaries = [[at for at, line in enumerate(lines) if kind.match(line)] for kind in (_TESTS, _SUITES)]
    if [len(found) for found in summaries] != [1, 1]:
        return None
    end = summaries[0][0]
    if not runs.around(line for line in lines[end + 1 :] if not _AFTER.match(line)):
        return None
    tests, suites = _counts(lines[end]), _counts(lines[summaries[1][0]])
    reports = lines[: lines.index(_AGAIN) if _AGAIN in lines else end]
    failed, not_run = _failures(reports)
    if len(failed) != tests["failed"]:
        # A test with several errors has several reports of the same title.
        failed = [next(same) for _, same in groupby(failed, key=lambda record: record.values["test"])]
    if len(failed) != tests["failed"] or len(set(_files(reports))) != suites["failed"]:
        return None
    return Report("jest", sorted(failed + not_run, key=lambda record: record.first), tests)


def _counts(line: str) -> dict[str, int]:
    """Returns the counts of ``Tests:  1 failed, 2 skipped, 3 passed, 6 total``."""
    found = {name: int(count) for count, name in re.findall(r"\b(\d{1,9}) ([a-z]+)", line)}
    skipped = found.get("skipped", 0) + found.get("todo", 0)
    return {
        "failed": found.get("failed", 0),
        "passed": found.get("passed", 0),
        "skipped": skipped,
        "total": found.get("total", 0),
    }


def _files(lines: Sequence[str]) -> Iterator[str]:
    return (match["file"] for line in lines if (match := _FILE.match(line)))


def _failures(lines: Sequence[str]) -> tuple[list[Record], list[Record]]:
    """Returns the failed tests, and the suites that did not run."""
    failed: list[Record] = []
    not_run: list[Record] = []
    file = ""
    for at, line in enumerate(lines):
        if heading := _FILE.match(line):
            file = heading["file"]
        title = _TITLE.match(line)
        if title is None or title["test"] in _NOTES:
            continue
        end = next((end for end in range(at + 1, len(lines)) if _ends(lines[end])), len(lines))
        raised = frames.javascript_error(lines[at + 1 : end])
        suite = title["test"] == _NO_SUITE
        kept = not_run if suite else failed
        kept.append(raised.record(at, runs.end(lines, at, end), file if suite else title["test"]))
    return failed, not_run


def _ends(line: str) -> bool:
    """True if ``line`` is not of a report, all of which is indented by four."""
    return bool(line.strip()) and not line.startswith("    ")
