"""Parses the output of Vitest: failed tests and suites."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_BEGINS = re.compile(r" *(?:RUN|DEV) +v\d|The CJS build of Vite")
_HEAD = re.compile(r" FAIL  (?P<test>\S.*)$")
_SECTION = re.compile(r"⎯+ Failed (?:Suites|Tests) \d+ ")
_RULE = re.compile(r"⎯{3,}(?P<title>.*)$")
_TESTS = re.compile(r" +Tests +(?P<counts>(?:\d+ [a-z]+.*|no tests))$")
_FILES = re.compile(r" +Test Files +(?P<counts>\d+ .*)$")
_AFTER = re.compile(
    r" +(?:Type Errors|Errors|Snapshots|Start at|Duration|Transform|% Coverage|In Source)\b|JUNIT|Coverage"
)


def parse(text: str) -> Report | None:
    """Returns the failed tests and suites of one run."""
    lines = text.split("\n")
    ends = [at for at, line in enumerate(lines) if _TESTS.match(line)]
    files = [line for line in lines if _FILES.match(line)]
    if (
        not runs.starts(lines, _BEGINS)
        or len(ends) != 1
        or len(files) != 1
        or any(re.match(r" +Errors +\d", line) for line in lines)
    ):
        return None
    if not runs.around(line for line in lines[ends[0] + 1 :] if not _AFTER.match(line)):
        return None
    counts = _counts(lines[ends[0]])
    records = list(_failures(lines[: ends[0]]))
    suites = sum(" > " not in str(record.values["test"]) for record in records)
    if len(records) - suites != counts["failed"] or suites > _counts(files[0])["failed"]:
        return None
    return None if not records and _counts(files[0])["failed"] else Report("vitest", records, counts)


def _counts(line: str) -> dict[str, int]:
    """Returns the counts of ``Tests  1 failed | 2 passed | 1 skipped (4)``."""
    found = {name: int(count) for count, name in re.findall(r"\b(\d{1,9}) ([a-z]+)", line)}
    total = re.search(r"\((\d+)\)$", line)
    return {
        "failed": found.get("failed", 0),
        "passed": found.get("passed", 0),
        "skipped": found.get("skipped", 0) + found.get("todo", 0),
        "total": int(total[1]) if total else 0,
    }


def _failures(lines: Sequence[str]) -> Iterator[Record]:
    """Yields the failures below the rules ``Failed Suites`` and ``Failed Tests``."""
    heads: list[tuple[int, str]] = []
    at = next((at for at, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    while at < len(lines):
        # Tests that failed with the same error stand one below the other.
        if head := _HEAD.match(lines[at]):
            heads.append((at, _name(head["test"])))
        elif heads:
            end = next((end for end in range(at, len(lines)) if _RULE.match(lines[end])), len(lines))
            raised = frames.javascript_error(lines[at:end])
            yield from (raised.record(first, runs.end(lines, first, end), test) for first, test in heads)
            heads, at = [], end
        at += 1


def _name(test: str) -> str:
    """Returns ``a.test.ts`` for the suite ``a.test.ts [ a.test.ts ]``; a test as it is."""
    file, _, again = test.partition(" [ ")
    return file if again == f"{file} ]" else test
