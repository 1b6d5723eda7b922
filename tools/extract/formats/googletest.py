"""Parses the output of GoogleTest and of CTest."""

import re
from collections.abc import Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(
    r"Running main\(\)|\[[=-]{10}\]|Note: |Test project |Internal ctest|UpdateCTest|\s+Start +\d"
)
_RUN = re.compile(r"\[ RUN      \] (?P<test>\S+)$")
_FAILED = re.compile(r"\[  FAILED  \] (?P<test>[^\s,]+)(?:, where .*)? \(\d+ ms\)$")
_LISTED = re.compile(r"\[  FAILED  \] (?P<test>[^\s,]+)(?:, where .*)?$")
_COUNT = re.compile(r"\[  (?P<what>PASSED|FAILED|SKIPPED) +\] (?P<count>\d+) tests?[.,]")
_AFTER = re.compile(r"\[ |\s*\d+ FAILED TESTS?$|\s*YOU HAVE \d+ DISABLED TEST")
# `a.cc:12: Failure`, and as Visual C++ has it `a.cc(12): error: ...`.
_PLACE = re.compile(
    r"(?:unknown file|(?P<file>\S.*?)(?::(?P<line>\d+)|\((?P<windows>\d+)\))): "
    r"(?:Failure|error: ?(?P<said>.*))$"
)
_CTEST_COUNT = re.compile(r"\d+% tests passed, (?P<failed>\d+) tests? failed out of (?P<total>\d+)$")
_CTEST_FAILED = re.compile(r"\s+\d+ - (?P<test>\S.*?) \((?P<why>[^()]+)\)(?:\s+\S.*)?$")
_CTEST_AFTER = re.compile(
    r"Total Test time|The following tests|Label Time Summary|Errors while running CTest|Output from"
    r"|\S+ += +[\d.]+ sec"
)


def parse(text: str) -> Report | None:
    """Returns the failed tests of one program, or those that CTest lists."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    return _ctest(lines) or _googletest(lines)


def _googletest(lines: Sequence[str]) -> Report | None:
    counts = [(at, match) for at, line in enumerate(lines) if (match := _COUNT.match(line))]
    totals = {match["what"].lower(): int(match["count"]) for _, match in counts}
    if "passed" not in totals or len(totals) != len(counts):
        return None
    if not runs.around(line for line in lines[counts[-1][0] + 1 :] if not _AFTER.match(line)):
        return None
    starts = {match["test"]: at for at, line in enumerate(lines) if (match := _RUN.match(line))}
    failed = [
        (at, match["test"]) for at, line in enumerate(lines[: counts[0][0]]) if (match := _FAILED.match(line))
    ]
    listed = {match["test"] for line in lines[counts[0][0] :] if (match := _LISTED.match(line))}
    if len(failed) != totals.get("failed", 0) or {test for _, test in failed} != listed - {str(len(failed))}:
        return None
    records = [
        _raised(lines[starts.get(test, at) + 1 : at]).record(starts.get(test, at), at, test)
        for at, test in failed
    ]
    return Report(
        "googletest", records, {name: totals.get(name, 0) for name in ("failed", "passed", "skipped")}
    )


def _raised(body: Sequence[str]) -> Raised:
    """Returns the first failure of a test; what it printed before is none of it."""
    at = next((at for at, line in enumerate(body) if _PLACE.match(line)), len(body))
    place = _PLACE.match(body[at]) if at < len(body) else None
    if place is None:
        return Raised()
    end = next(
        (end for end in range(at + 1, len(body)) if _PLACE.match(body[end]) or not body[end].strip()),
        len(body),
    )
    line = place["line"] or place["windows"]
    return Raised("", [place["said"] or "", *body[at + 1 : end]], place["file"], int(line) if line else None)


def _ctest(lines: Sequence[str]) -> Report | None:
    counts = [(at, match) for at, line in enumerate(lines) if (match := _CTEST_COUNT.match(line))]
    if len(counts) != 1:
        return None
    end, count = counts[0]
    failed = [(at, match) for at in range(end, len(lines)) if (match := _CTEST_FAILED.match(lines[at]))]
    rest = [
        line for line in lines[end + 1 :] if not _CTEST_FAILED.match(line) and not _CTEST_AFTER.match(line)
    ]
    if len(failed) != int(count["failed"]) or not runs.around(rest):
        return None
    records = [Raised("", [match["why"]]).record(at, at, match["test"]) for at, match in failed]
    total = int(count["total"])
    return Report("ctest", records, {"failed": len(records), "passed": total - len(records), "total": total})
