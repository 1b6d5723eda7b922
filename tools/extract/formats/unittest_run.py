"""Parses the output of Python's unittest, also under Django: failures, errors, subtests, class set-up."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import python_traces, runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(
    r"[.FEsxu]+$|={70}$|-{70}$|\S.* \.\.\. |\w+ \([\w.]+\)$|Found \d+ test|Creating test d|System check"
)
_RULE, _THIN = "=" * 70, "-" * 70
_HEADING = re.compile(
    r"(?P<kind>FAIL|ERROR|UNEXPECTED SUCCESS): (?P<name>.+?)(?: \((?P<where>[\w.<>-]+)\))?(?P<of> .*)?$"
)
_RAN = re.compile(r"Ran (\d+) tests? in [\d.]+s$")
_RESULT = re.compile(r"(?:OK|FAILED|NO TESTS RAN)(?: \((?P<counts>[^()]+)\))?$")
# What Django prints after a run; what `-b` prints of a test's output.
_DJANGO = "Destroying test database"
_OUTPUT = ("Stdout:", "Stderr:")
# Stands in place of a test that did not run: these are not among those that "Ran".
_NO_TEST = ("setUpClass", "tearDownClass", "setUpModule", "tearDownModule")


def parse(text: str) -> Report | None:
    """Returns the failures and errors of one unittest run."""
    lines = text.split("\n")
    ran = [at for at, line in enumerate(lines) if _RAN.match(line)]
    if not runs.starts(lines, _BEGINS) or len(ran) != 1 or lines[ran[0] - 1] != _THIN:
        return None
    result = next((at for at in range(ran[0] + 1, len(lines)) if lines[at].strip()), ran[0])
    counts = _counts(lines[result])
    if counts is None or not runs.around(
        line for line in lines[result + 1 :] if not line.startswith(_DJANGO)
    ):
        return None
    found = list(_records(lines, ran[0] - 1))
    kinds = [kind for kind, _ in found]
    if [kinds.count(kind) for kind in ("FAIL", "ERROR")] != [
        counts.get(n, 0) for n in ("failures", "errors")
    ]:
        return None
    if kinds.count("UNEXPECTED SUCCESS") != counts.get("unexpected successes", 0):
        return None
    return Report("unittest", [record for _, record in found], _totals(lines[ran[0]], counts, found))


def _counts(line: str) -> dict[str, int] | None:
    """Returns the counts of ``FAILED (failures=1, errors=2)``."""
    match = _RESULT.match(line)
    if match is None:
        return None
    parts = [part.partition("=") for part in (match["counts"] or "").split(", ") if part]
    return {name: int(count) for name, _, count in parts if count.isdecimal()}


def _records(lines: Sequence[str], end: int) -> Iterator[tuple[str, Record]]:
    rules = [at for at in range(end) if lines[at] == _RULE and _HEADING.match(lines[at + 1])]
    for at, until in zip(rules, [*rules[1:], end], strict=False):
        heading = _HEADING.match(lines[at + 1])
        if heading:
            body = lines[at + 2 : until]
            yield (
                heading["kind"],
                _raised(heading["kind"], body).record(at + 1, runs.end(lines, at + 1, until), _test(heading)),
            )


def _test(heading: re.Match[str]) -> str:
    """Returns ``tests.T.test_a`` for ``test_a (tests.T)`` and for ``test_a (tests.T.test_a)``."""
    name, where, of = heading["name"], heading["where"] or "", heading["of"] or ""
    if not where:
        return name + of
    return (where if where.endswith(f".{name}") else f"{where}.{name}") + of


def _raised(kind: str, body: Sequence[str]) -> Raised:
    if kind == "UNEXPECTED SUCCESS":
        return Raised(said=["unexpected success"])
    body = body[body.index(_THIN) + 1 :] if _THIN in body else body
    body = body[: next((at for at, line in enumerate(body) if line in _OUTPUT), len(body))]
    return python_traces.raised_in(body) or Raised(said=body)


def _totals(ran: str, counts: dict[str, int], found: Sequence[tuple[str, Record]]) -> dict[str, int]:
    total = int(ran.split()[1])
    totals = {
        "failed": counts.get("failures", 0) + counts.get("unexpected successes", 0),
        "errors": counts.get("errors", 0),
        "skipped": counts.get("skipped", 0),
        "total": total,
    }
    # Failed subtests are several of one test, a failed set-up is of none: what passed is not known then.
    tests = [str(record.values["test"]) for _, record in found]
    if not any(" " in test or test.rpartition(".")[2] in _NO_TEST for test in tests):
        rest = total - sum(totals[name] for name in ("failed", "errors", "skipped"))
        totals["passed"] = rest - counts.get("expected failures", 0)
    return totals
