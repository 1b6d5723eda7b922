"""Parses the output of pytest: any traceback style, quiet or verbose, errors of fixtures and collection."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.extract.formats import pytest_failure, runs
from tools.extract.formats.report import Record, Report

_COUNTS = re.compile(
    r"(?:=+ )?(?P<counts>\d+ \w.*|no tests ran) in \d[\d.]*(?:s| seconds)(?: \([\d:]+\))?(?: =+)?$"
)
_COUNT = re.compile(r"(\d+) ([a-z]+)(?: [a-z]+)?$")
_COLLECTED = re.compile(
    r"(?:collecting \.{3} )?collected (?P<total>\d+) items?(?:.* (?P<selected>\d+) selected)?"
)
_SECTION = re.compile(r"={2,} (?P<title>\S.*) ={2,}$")
# The rule `_ _ _` between two frames is no heading.
_HEADING = re.compile(r"(?!_ _ )_+ (?P<title>\S.*) _+$")
_ENTRY = re.compile(r"(?P<kind>FAILED|ERROR|SUBFAIL\S*|SUBFAILED\S*) (?P<entry>\S.*)$")
# How far to look for the entry of a heading (those of subtests stand apart), and for the end of its name.
_NEAR = 40
_OF = re.compile(r"ERROR (?:at \w+ of|collecting) |\[doctest\] ")
_BEGINS = re.compile(
    r"={2,} |[.FEsxXpPu,R]+(?: +\[ *\d+%\])?$|\S+\.\w+ [.FEsxXpPu,R]+(?: +\[ *\d+%\])?$|no tests ran in "
    r"|[^\s:]+::.* (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b|bringing up nodes"
    r"|\d+ (?:passed|failed|skipped)|(?:FAILED|ERROR) \S"
)


@dataclass(frozen=True, slots=True)
class Block:
    """The report of one failure: its heading and the lines below."""

    title: str
    first: int
    last: int


def parse(text: str) -> Report | None:
    """Returns the failures and errors of one pytest run."""
    lines = text.split("\n")
    ends = [at for at, line in enumerate(lines) if _COUNTS.match(line)]
    if len(ends) != 1 or not runs.starts(lines, _BEGINS) or not _ended(lines[ends[0] + 1 :]):
        return None
    counts = _counted(lines[ends[0]])
    if counts is None:
        return None
    records = [
        record
        for section, kinds in (("ERRORS", ("ERROR",)), ("FAILURES", ("FAILED", "SUB")))
        for record in _records(lines, ends[0], section, kinds)
    ]
    if len(records) != counts["failed"] + counts["errors"]:
        return None
    collected = next((match for line in lines[: ends[0]] if (match := _COLLECTED.match(line))), None)
    total = {"total": int(collected["selected"] or collected["total"])} if collected else {}
    return Report("pytest", sorted(records, key=lambda record: record.first), counts | total)


def _ended(lines: Sequence[str]) -> bool:
    """True if ``lines`` are of the shell, or the traceback of an interpreter that failed at exit."""
    at = next((at for at, line in enumerate(lines) if line.startswith("Traceback (most recent")), len(lines))
    return runs.around(lines[:at])


def _counted(line: str) -> dict[str, int] | None:
    """Returns the totals of the last line: ``2 failed, 1 passed in 0.1s``."""
    match = _COUNTS.match(line)
    parts = match["counts"].split(", ") if match and match["counts"] != "no tests ran" else []
    counts = [_COUNT.match(part) for part in parts]
    if None in counts:
        return None
    found = {count[2]: int(count[1]) for count in counts if count and "subtests" not in count[0]}
    return {
        "failed": found.get("failed", 0),
        "passed": found.get("passed", 0),
        "skipped": found.get("skipped", 0),
        "errors": found.get("error", 0) + found.get("errors", 0),
    }


def _records(lines: Sequence[str], end: int, section: str, kinds: tuple[str, ...]) -> list[Record]:
    entries = _entries(lines, end, kinds)
    blocks = _blocks(lines, end, section)
    if not blocks:
        places = _places(lines, end, section)
        fitting = places if len(places) == len(entries) else [None] * len(entries)
        return [_listed(lines[at], at, place) for at, place in zip(entries, fitting, strict=True)]
    waiting = [lines[at].partition(" ")[2] for at in entries]
    return [
        pytest_failure.reported(lines[block.first + 1 : block.last + 1]).record(
            block.first, block.last, _identified(block.title, waiting)
        )
        for block in blocks
    ]


def _listed(line: str, at: int, place: re.Match[str] | None) -> Record:
    test, raised = pytest_failure.listed(line.partition(" ")[2], place)
    return raised.record(at, at, test)


def _entries(lines: Sequence[str], end: int, kinds: tuple[str, ...]) -> list[int]:
    """Returns the lines of the short summary that list failures of ``kinds``."""
    start = next((at for at in range(end) if "= short test summary info =" in lines[at]), end)
    return [at for at in range(start, end) if _ENTRY.match(lines[at]) and lines[at].startswith(kinds)]


def _bounds(lines: Sequence[str], end: int, section: str) -> tuple[int, int]:
    start = next((at for at in range(end) if _title(lines[at]) == section), end)
    return start, next((at for at in range(start + 1, end) if _closes(lines[at], lines[start])), end)


def _places(lines: Sequence[str], end: int, section: str) -> list[re.Match[str]]:
    """Returns the lines of ``--tb=line``: ``/a/b.py:3: AssertionError: assert 1 == 2``."""
    start, stop = _bounds(lines, end, section)
    return [place for line in lines[start + 1 : stop] if (place := pytest_failure.placed(line))]


def _blocks(lines: Sequence[str], end: int, section: str) -> list[Block]:
    start, stop = _bounds(lines, end, section)
    heads = [at for at in range(start + 1, stop) if _HEADING.match(lines[at])]
    return [
        Block(lines[at].strip("_")[1:-1], at, runs.end(lines, at, until))
        for at, until in pairwise([*heads, stop])
    ]


def _title(line: str) -> str:
    match = _SECTION.match(line)
    return match["title"] if match else ""


def _closes(line: str, header: str) -> bool:
    """True if ``line`` begins another section: as wide as ``header``, which a test's own rule rarely is."""
    known = "= short test summary info =" in line or _title(line) in (
        "FAILURES",
        "PASSES",
        "warnings summary",
    )
    return known or (bool(_title(line)) and abs(len(line) - len(header)) <= 1)


def _identified(title: str, waiting: list[str]) -> str:
    """Removes the entry of the test with this ``title`` from those ``waiting`` and returns its full id."""
    name = _OF.sub("", title, count=1)
    for entry in waiting[:_NEAR]:
        if found := _id(entry, name):
            waiting.remove(entry)
            return found
    return name


def _id(entry: str, name: str) -> str:
    """Returns the id ``a.py::T::t`` of ``a.py::T::t - message`` if ``name`` is its ``T.t``; else nothing."""
    path = entry.partition("::")[0]
    for cut in [len(name), *(match.start() for match in re.finditer(" ", name))][:_NEAR]:
        # A subtest is named in the heading only: ``T.t (i=0)``, ``t [message]``.
        test, subtest = name[:cut], name[cut:]
        head, bracket, parameters = test.partition("[")
        dotted = f"{path}::{head.replace('.', '::')}{bracket}{parameters}"
        for candidate in (dotted, f"{path}::{test}", test):
            if entry == candidate or entry.startswith(candidate + " - "):
                return candidate + subtest
    return ""
