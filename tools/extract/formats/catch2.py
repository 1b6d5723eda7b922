"""Parses the output of the C++ libraries Catch2 and doctest."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(r"~{10}|={10}|Randomness seeded|Filters: |RNG seed|\[doctest\]|All tests passed")
_CATCH_COUNT = re.compile(r"test cases: +(?P<total>\d+) \|(?P<rest>.*)$")
_CATCH_GOOD = re.compile(r"All tests passed \(\d+ assertions? in (?P<total>\d+) test cases?\)$")
_CATCH_AFTER = re.compile(r"assertions: ")
_CATCH_RULE, _CATCH_DOTS, _CATCH_END = "-" * 79, "." * 79, "=" * 79
_CATCH_PLACE = re.compile(r"(?P<file>\S.*?)(?::(?P<line>\d+)|\((?P<windows>\d+)\)): FAILED:$")
_DOCTEST_COUNT = re.compile(
    r"\[doctest\] test cases: +(?P<total>\d+) \| +(?P<passed>\d+) passed \| +(?P<failed>\d+) failed \|"
    r"(?: +(?P<skipped>\d+) skipped)?"
)
_DOCTEST_CASE = re.compile(r"TEST CASE:  (?P<test>\S.*)$")
_DOCTEST_PLACE = re.compile(
    r"(?P<file>\S.*?)(?::(?P<line>\d+):|\((?P<windows>\d+)\):) (?:FATAL )?ERROR: (?P<said>.*)$"
)


def parse(text: str) -> Report | None:
    """Returns the failed test cases of one program, each with its first failed assertion."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    return _doctest(lines) or _catch2(lines)


def _catch2(lines: Sequence[str]) -> Report | None:
    ends = [at for at, line in enumerate(lines) if _CATCH_COUNT.match(line) or _CATCH_GOOD.match(line)]
    if len(ends) != 1 or not runs.around(
        line for line in lines[ends[0] + 1 :] if not _CATCH_AFTER.match(line)
    ):
        return None
    counts = dict(_named(lines[ends[0]]))
    records = _first_of_each(_catch2_failures(lines, ends[0]))
    if len(records) != counts.get("failed", 0):
        return None
    good = _CATCH_GOOD.match(lines[ends[0]])
    totals = {"failed": len(records), "passed": int(good["total"]) if good else counts.get("passed", 0)}
    return Report("catch2", records, totals | {"skipped": counts.get("skipped", 0)})


def _named(line: str) -> Iterator[tuple[str, int]]:
    return ((name, int(count)) for count, name in re.findall(r"\b(\d{1,9}) ([a-z]+)", line))


def _first_of_each(failures: Iterator[Record]) -> list[Record]:
    first: dict[object, Record] = {}
    for record in failures:
        first.setdefault(record.values["test"], record)
    return list(first.values())


def _catch2_failures(lines: Sequence[str], end: int) -> Iterator[Record]:
    test, start = "", 0
    for at in range(end):
        # A header: a rule, the name of the test case, sections indented below, a rule, the place, dots.
        if (
            lines[at] == _CATCH_RULE
            and _CATCH_RULE in lines[at + 2 : at + 12]
            and lines[at + 2] != _CATCH_DOTS
        ):
            test, start = lines[at + 1], at
        place = _CATCH_PLACE.match(lines[at])
        if place and test:
            stops = (_CATCH_RULE, _CATCH_END, "")
            until = next((line for line in range(at + 1, end) if lines[line] in stops), end)
            yield _placed(place, lines[at + 1 : until]).record(start, until - 1, test)


def _placed(place: re.Match[str], said: Sequence[str]) -> Raised:
    return Raised("", said, place["file"], int(place["line"] or place["windows"]))


def _doctest(lines: Sequence[str]) -> Report | None:
    counts = [(at, match) for at, line in enumerate(lines) if (match := _DOCTEST_COUNT.match(line))]
    if len(counts) != 1:
        return None
    end, count = counts[0]
    records = _first_of_each(_doctest_failures(lines, end))
    after = (line for line in lines[end + 1 :] if not line.startswith("[doctest]"))
    if len(records) != int(count["failed"]) or not runs.around(after):
        return None
    totals = {name: int(count[name] or 0) for name in ("failed", "passed", "skipped", "total")}
    return Report("doctest", records, totals)


def _doctest_failures(lines: Sequence[str], end: int) -> Iterator[Record]:
    test, start = "", 0
    for at in range(end):
        if case := _DOCTEST_CASE.match(lines[at]):
            test, start = case["test"].rstrip(), at
        place = _DOCTEST_PLACE.match(lines[at])
        if place and test:
            until = next((line for line in range(at + 1, end) if not lines[line].strip()), end)
            yield _placed(place, [place["said"], *lines[at + 1 : until]]).record(start, until - 1, test)
