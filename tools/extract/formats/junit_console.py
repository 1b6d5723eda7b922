"""Parses failed JUnit and TestNG tests as Maven (surefire, failsafe) and Gradle print them."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_BEGINS = re.compile(
    r"\[(?:INFO|WARNING|ERROR)\]|-{3,}| T E S T S|Running |Tests run:|> (?:Task|Configure)"
    r"|Starting a Gradle|[\w.$]+ > "
)
_MAVEN_HEAD = re.compile(
    r"(?:\[ERROR\] ++)?(?:(?P<method>[^(]+)\((?P<class>[\w.$]+)\)|(?=[\w.$]+\.\S)(?P<test>.+?))"
    r" {1,2}(?:-- )?Time elapsed: [\d.,]+ s(?:ec)? +<<< (?P<kind>FAILURE|ERROR)!$"
)
_MAVEN_TOTAL = re.compile(
    r"(?:\[(?:ERROR|WARNING|INFO)\] +)?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)"
    r"(?:, Flakes: \d+)?$"
)
_GRADLE_HEAD = re.compile(r"(?P<class>[\w.$]+)(?P<test> > \S.*) FAILED$")
_GRADLE_TOTAL = re.compile(
    r"(?P<total>\d+) tests? completed, (?P<failed>\d+) failed(?:, (?P<skipped>\d+) skipped)?$"
)
_GRADLE_AFTER = re.compile(
    r"FAILURE: |\* (?:What|Try|Where|Get)|> |Execution failed|BUILD FAILED|\d+ actionable|Deprecated Gradle"
    r"|You can use|For more"
)
# Without a stack Gradle names the place only: `org.opentest4j.AssertionFailedError at CartTest.java:12`.
_GRADLE_PLACE = re.compile(r" {4}(?P<error>[\w.$]+) at (?P<file>[\w.-]+):(?P<line>\d+)$")


def parse(text: str) -> Report | None:
    """Returns the failed tests of all modules."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    return _maven(lines) or _gradle(lines)


def _maven(lines: Sequence[str]) -> Report | None:
    ends = [(at, match) for at, line in enumerate(lines) if (match := _MAVEN_TOTAL.match(line))]
    if not ends or not runs.around(line for line in lines[ends[-1][0] + 1 :] if not line.startswith("[")):
        return None
    total, failed, errors, skipped = (sum(int(match[group]) for _, match in ends) for group in range(1, 5))
    heads = [(at, match) for at, line in enumerate(lines) if (match := _MAVEN_HEAD.match(line))]
    if [match["kind"] for _, match in heads].count("ERROR") != errors or len(heads) != failed + errors:
        return None
    totals = {"failed": failed, "errors": errors, "skipped": skipped, "total": total}
    return Report(
        "maven", list(_maven_records(lines, heads)), totals | {"passed": total - failed - errors - skipped}
    )


def _maven_records(lines: Sequence[str], heads: Sequence[tuple[int, re.Match[str]]]) -> Iterator[Record]:
    for at, head in heads:
        end = next((end for end in range(at + 1, len(lines)) if _ends(lines[end])), len(lines))
        # Names of parametrised tests may have dots; the class is up to the method's name.
        test = head["test"] or f"{head['class']}.{head['method']}"
        owner = head["class"] or re.split(r"[\[({ ]", test, maxsplit=1)[0].rpartition(".")[0]
        yield _record(lines, at, end, test, owner)


def _ends(line: str) -> bool:
    return bool(
        _MAVEN_HEAD.match(line) or re.match(r"\[(?:INFO|ERROR|WARNING)\]|Tests run:|Running |Results", line)
    )


def _gradle(lines: Sequence[str]) -> Report | None:
    totals = [match for line in lines if (match := _GRADLE_TOTAL.match(line))]
    heads = [(at, match) for at, line in enumerate(lines) if (match := _GRADLE_HEAD.match(line))]
    failed = sum(int(match["failed"]) for match in totals)
    after = next((at for at, line in enumerate(lines) if line.startswith("FAILURE: ")), len(lines))
    if (
        not totals
        or len(heads) != failed
        or not runs.around(line for line in lines[after:] if not _GRADLE_AFTER.match(line))
    ):
        return None
    records: list[Record] = []
    for at, head in heads:
        end = next((end for end in range(at + 1, len(lines)) if lines[end][:4].strip()), len(lines))
        end = next((end for end in range(at + 1, end) if not lines[end].strip()), end)
        records.append(_record(lines, at, end, head["class"] + head["test"], head["class"]))
    total = sum(int(match["total"]) for match in totals)
    skipped = sum(int(match["skipped"] or 0) for match in totals)
    counts = {"failed": failed, "skipped": skipped, "passed": total - failed - skipped, "total": total}
    return Report("gradle", records, counts)


def _record(lines: Sequence[str], at: int, end: int, test: str, owner: str) -> Record:
    body = lines[at + 1 : end]
    last = runs.end(lines, at, end)
    if body and (place := _GRADLE_PLACE.match(body[0])):
        return runs.Raised(place["error"], [], place["file"], int(place["line"])).record(at, last, test)
    raised = frames.java_error(body, owner) if any(line.strip() for line in body) else runs.Raised()
    return raised.record(at, last, test)
