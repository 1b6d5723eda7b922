"""Parses the output of `dotnet test`: xUnit, NUnit and MSTest under VSTest."""

import re
from collections.abc import Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(
    r"  (?:Determining projects|Restored |All |\S+ -> |Passed |Failed |Skipped )|Test run for |Microsoft "
    r"|Build started|Starting test|A total of|VSTest version|\[xUnit\.net|Restore complete|(?:Passed|Failed)!"
)
_HEAD = re.compile(r" {2}Failed (?P<test>\S.*?)(?: \[[^\]]*\])?$")
_LABEL = re.compile(r" {2}(?P<label>Error Message|Stack Trace|Standard \w+ Messages):$")
_NEXT = re.compile(
    r" {2}(?:Passed|Skipped|Failed) \S|\[xUnit\.net |(?:Failed|Passed)!|Test Run |Total tests:|Results File:"
)
# The totals of one project, in one line or in several.
_SHORT = re.compile(r"(?:Passed|Failed|Skipped)! +- Failed: +\d+, Passed: +\d+, Skipped: +\d+, Total: +\d+")
_LONG = re.compile(r" *(?P<what>Total tests|Passed|Failed|Skipped): (?P<count>\d+)$")
_NAMES = {
    "Total tests": "total",
    "Total": "total",
    "Passed": "passed",
    "Failed": "failed",
    "Skipped": "skipped",
}
_FRAME = re.compile(r"\s+at .* in (?P<file>\S(?:(?! in ).)*):line (?P<line>\d{1,9})$")
_ERROR = re.compile(r"(?P<error>(?:\w+\.)+\w*(?:Exception|Error)) ?: ?(?P<said>.*)$")


def parse(text: str) -> Report | None:
    """Returns the failed tests of all projects."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    totals = _totals(lines)
    heads = [
        (at, match["test"])
        for at, line in enumerate(lines)
        if (match := _HEAD.match(line)) and _reported(lines, at)
    ]
    if not totals or len(heads) != totals["failed"]:
        return None
    records = [
        _raised(lines[at + 1 : until]).record(at, runs.end(lines, at, until), test)
        for at, test in heads
        for until in [next((end for end in range(at + 1, len(lines)) if _NEXT.match(lines[end])), len(lines))]
    ]
    return Report("dotnet test", records, totals)


def _reported(lines: Sequence[str], at: int) -> bool:
    return at + 1 < len(lines) and bool(_LABEL.match(lines[at + 1]))


def _totals(lines: Sequence[str]) -> dict[str, int]:
    """Returns the sums over all projects; empty if no totals are printed."""
    short = [line for line in lines if _SHORT.match(line)]
    printed = [pair for line in short for pair in re.findall(r"\b(\w+): +(\d{1,9})", line)]
    printed = printed or [(match["what"], match["count"]) for line in lines if (match := _LONG.match(line))]
    if not any(name.startswith("Total") for name, _ in printed):
        return {}
    totals = dict.fromkeys(_NAMES.values(), 0)
    for name, count in printed:
        if name in _NAMES:
            totals[_NAMES[name]] += int(count)
    return totals


def _raised(body: Sequence[str]) -> Raised:
    labels = [(match["label"], at) for at, line in enumerate(body) if (match := _LABEL.match(line))]
    ends = [*(at for _, at in labels[1:]), len(body)]
    parts = {label: body[at + 1 : end] for (label, at), end in zip(labels, ends, strict=True)}
    said = [line.strip() for line in parts.get("Error Message", ())]
    frame = next((match for line in parts.get("Stack Trace", ()) if (match := _FRAME.match(line))), None)
    error = _ERROR.match(said[0]) if said else None
    if error:
        said = [error["said"], *said[1:]]
    name = error["error"] if error else ""
    return Raised(name, said, frame["file"], int(frame["line"])) if frame else Raised(name, said)
