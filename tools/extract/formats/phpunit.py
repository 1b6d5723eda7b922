"""Parses the output of PHPUnit: failures and errors."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_BANNER = re.compile(r"PHPUnit \d+\.\d+")
_SECTION = re.compile(r"There (?:was|were) (?P<count>\d+) (?P<kind>error|failure|[a-z ]+?)s?:$|--$")
_HEAD = re.compile(r"\d+\) (?P<test>\S.*)$")
_ERROR = re.compile(r"(?P<error>(?:\w+\\)*[A-Z]\w*): ?(?P<said>.*)$")
_FRAME = re.compile(r"(?P<file>(?:[A-Za-z]:)?[/\\]\S.*\.php):(?P<line>\d+)$")
_GOOD = re.compile(r"OK \((?P<total>\d+) tests?, \d+ assertions?\)$")
_COUNTS = re.compile(r"Tests: \d+, Assertions: \d+")


def parse(text: str) -> Report | None:
    """Returns the failures and errors of one run."""
    lines = text.split("\n")
    ends = [at for at, line in enumerate(lines) if _GOOD.match(line) or _COUNTS.match(line)]
    if not runs.starts(lines, _BANNER) or len(ends) != 1 or not runs.around(lines[ends[0] + 1 :]):
        return None
    counts = _counts(lines[ends[0]])
    found = list(_failures(lines, ends[0]))
    kinds = [kind for kind, _ in found]
    if [kinds.count("failure"), kinds.count("error")] != [counts["failed"], counts["errors"]]:
        return None
    return Report("phpunit", [record for _, record in found], counts)


def _counts(line: str) -> dict[str, int]:
    """Returns the totals of ``Tests: 4, Assertions: 3, Failures: 1.`` or of ``OK (4 tests, ...)``."""
    if good := _GOOD.match(line):
        return {
            "failed": 0,
            "errors": 0,
            "skipped": 0,
            "passed": int(good["total"]),
            "total": int(good["total"]),
        }
    found = {name: int(count) for name, count in re.findall(r"\b([A-Z]\w+): (\d{1,9})", line)}
    failed, errors, skipped = (found.get(name, 0) for name in ("Failures", "Errors", "Skipped"))
    passed = found["Tests"] - failed - errors - skipped - found.get("Incomplete", 0)
    return {"failed": failed, "errors": errors, "skipped": skipped, "passed": passed, "total": found["Tests"]}


def _failures(lines: Sequence[str], end: int) -> Iterator[tuple[str, Record]]:
    """Yields the reports below ``There was 1 error:`` and ``There was 1 failure:``."""
    kind, number = "", 1
    for at in range(end):
        if section := _SECTION.match(lines[at]):
            kind, number = section["kind"] or "", 1
        head = _HEAD.match(lines[at])
        if not head or kind not in ("error", "failure") or not lines[at].startswith(f"{number}) "):
            continue
        number += 1
        until = next((line for line in range(at + 1, end) if _ends(lines[line], number)), end)
        yield kind, _raised(lines[at + 1 : until]).record(at, runs.end(lines, at, until), head["test"])


def _ends(line: str, number: int) -> bool:
    return line.startswith((f"{number}) ", "FAILURES!", "ERRORS!")) or bool(_SECTION.match(line))


def _raised(body: Sequence[str]) -> Raised:
    frames = [match for line in body if (match := _FRAME.match(line))]
    own = next((frame for frame in frames if not re.search(r"[/\\]vendor[/\\]", frame["file"])), None)
    said = body[: next((at for at, line in enumerate(body) if _FRAME.match(line)), len(body))]
    error = _ERROR.match(said[0]) if said else None
    if error:
        said = [error["said"], *said[1:]]
    name = error["error"].rpartition("\\")[2] if error else ""
    return Raised(name, said, own["file"], int(own["line"])) if own else Raised(name, said)
