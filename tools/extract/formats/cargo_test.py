"""Parses the output of `cargo test`, with several targets and doctests, and of `cargo nextest`."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(r" {1,12}[A-Z][a-z-]+ |running \d|warning: |info: |─{3,}")
_RUNNING = re.compile(r"running \d+ tests?$")
_RESULT = re.compile(r"test result: (?:ok|FAILED)\. \d+ passed; \d+ failed; \d+ ignored;")
_BLOCK = re.compile(r"---- (?P<test>\S.*) (?:stdout|stderr) ----$")
_THREAD = re.compile(r"\s*thread '(?P<test>[^']+)' (?:\(\d+\) )?panicked at ")
_COMPILER = re.compile(r"error(?:\[\w+\])?: (?P<said>.*)$")
_ARROW = re.compile(r"\s*--> (?P<file>.+):(?P<line>\d+):\d+$")
_NO_PANIC = re.compile(
    r"note: (?P<said>test did not panic as expected)(?: at (?P<file>.+):(?P<line>\d+):\d+)?$"
)
_AFTER = re.compile(r"error: |\s+`-|Caused by:|\s+process didn't exit|\s+Doc-tests |\s+Running |note: ")
_SUMMARY = re.compile(
    r"\s+Summary \[ *[\d.]+s\] (?:\d+/)?(?P<total>\d+) tests? run: (?P<counts>\d+ passed.*)$"
)
_LISTED = re.compile(
    r"\s+(?P<status>[A-Z][\w-]*(?: \d\S*)?(?: [A-Z]+)?) \[ *[>\d.]+s\] (?:\( *\d+/\d+\) )?\S+ (?P<test>\S.*)$"
)
_GOOD = ("PASS", "SLOW", "FLAKY", "LEAK")


def parse(text: str) -> Report | None:
    """Returns the failed tests of all targets."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    summary = next((at for at, line in enumerate(lines) if _SUMMARY.match(line)), None)
    return _targets(lines) if summary is None else _nextest(lines, summary)


def _targets(lines: Sequence[str]) -> Report | None:
    ends = [at for at, line in enumerate(lines) if _RESULT.match(line)]
    running = sum(1 for line in lines if _RUNNING.match(line))
    if not ends or running != len(ends) or any(line.startswith("error: could not compile") for line in lines):
        return None
    if not runs.around(line for line in lines[ends[-1] + 1 :] if not _AFTER.match(line)):
        return None
    records: list[Record] = []
    totals: dict[str, int] = {"passed": 0, "failed": 0, "skipped": 0}
    for start, end in zip([0, *ends], ends, strict=False):
        found = _target(lines, start, end)
        passed, failed, skipped = (int(count) for count in re.findall(r"\d+", lines[end])[:3])
        if len(found) != failed:
            return None
        records += found
        totals = {name: totals[name] + n for name, n in zip(totals, (passed, failed, skipped), strict=True)}
    return Report("cargo test", records, totals)


def _target(lines: Sequence[str], start: int, end: int) -> list[Record]:
    """Returns the failed tests that the list before the result names."""
    list_at = next((at for at in range(end - 1, start, -1) if lines[at] == "failures:"), end)
    names = {lines[at].strip(): at for at in range(list_at + 1, end) if lines[at].startswith("    ")}
    heads = {match["test"]: at for at in range(start, list_at) if (match := _head(lines[at], names))}
    records: list[Record] = []
    for test, (first, until) in zip(heads, pairwise([*heads.values(), list_at]), strict=True):
        last = runs.end(lines, first, until)
        records.append(_raised(lines[first + 1 : last + 1]).record(first, last, test))
    # A test whose output was not captured has no block of its own, perhaps a panic among the lines before.
    rest = {test: at for test, at in names.items() if test not in heads}
    return [*records, *_uncaptured(rest, lines, start, list_at)]


def _head(line: str, names: Container[str]) -> re.Match[str] | None:
    match = _BLOCK.match(line)
    return match if match and match["test"] in names else None


def _uncaptured(tests: Mapping[str, int], lines: Sequence[str], start: int, end: int) -> Iterator[Record]:
    """Yields the failures of ``tests``, by the lines that list them, with the panics of their threads."""
    threads = {match["test"]: at for at in range(start, end) if (match := _THREAD.match(lines[at]))}
    for test, listed in tests.items():
        at = threads.get(test)
        if at is None:
            yield Raised().record(listed, listed, test)
        else:
            yield _raised([line.strip() for line in lines[at : at + 2]]).record(
                at, min(at + 1, end - 1), test
            )


def _raised(body: Sequence[str]) -> Raised:
    if raised := frames.rust_panic(body):
        return raised
    if quiet := next((match for line in body if (match := _NO_PANIC.match(line))), None):
        return Raised("", [quiet["said"]], quiet["file"], int(quiet["line"]) if quiet["line"] else None)
    error = next((match for line in body if (match := _COMPILER.match(line))), None)
    arrow = next((match for line in body if (match := _ARROW.match(line))), None)
    if error and arrow:
        return Raised("", [error["said"]], arrow["file"], int(arrow["line"]))
    # A test that returned an error: `Error: "bad thing"`.
    return Raised("", [line.removeprefix("Error: ") for line in body if line.startswith("Error: ")])


def _nextest(lines: Sequence[str], summary: int) -> Report | None:
    printed = _SUMMARY.match(lines[summary])
    counts = {name: int(n) for n, name in re.findall(r"\b(\d{1,9}) ([a-z ]+?)(?= \(|,|:|$)", lines[summary])}
    listed = [(_LISTED.match(lines[at]), at) for at in range(summary + 1, len(lines))]
    failed = {match["test"]: at for match, at in listed if match and not match["status"].startswith(_GOOD)}
    expected = sum(counts.get(name, 0) for name in ("failed", "timed out", "exec failed"))
    rest = [
        line for line in lines[summary + 1 :] if not _LISTED.match(line) and not line.startswith("error: ")
    ]
    if printed is None or len(failed) != expected or not runs.around(rest):
        return None
    records = list(_uncaptured(failed, lines, 0, summary))
    totals = {"passed": counts["passed"], "failed": expected, "skipped": counts.get("skipped", 0)}
    return Report("cargo nextest", records, totals | {"total": int(printed["total"])})
