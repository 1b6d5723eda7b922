"""Parses the output of `go test`, also `-v` and `-json`: failed tests, panics, packages that do not build."""

import json
import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(r"=== |\s*--- |(?:ok|FAIL|\?)\s|FAIL$|PASS$|# \S|go: |panic: |testing: ")
_RUNS = re.compile(r"=== (?:RUN|CONT|NAME) +(?P<test>\S.*)$")
_ENDS = re.compile(r"\s*--- (?P<result>PASS|FAIL|SKIP): (?P<test>\S.*) \([\d.]+s\)$")
_PACKAGE = re.compile(
    r"(?P<result>ok|FAIL|\?)\s+(?P<package>[^\s:]+)\s+"
    r"(?P<note>\[(?:build|setup) failed\]|\[no test files\]|\(cached\)|[\d.]+s)"
)
_LOG = re.compile(r"(?P<indent>\s+)(?P<file>[^\s:][^:]*\.go):(?P<line>\d+): ?(?P<said>.*)$")
_BUILD = re.compile(
    r"(?:vet: )?(?P<file>(?:[A-Za-z]:)?[^\s:#][^:]*\.go):(?P<line>\d+)(?::\d+)?: (?P<said>.*)$"
)
_PANIC = re.compile(r"(?:panic|fatal error): ")
_FRAME = re.compile(r"\S*\.(?P<test>Test\w+)(?:\(|\.func)")
_RUNNING = re.compile(r"\t+(?P<test>(?:Test|Example|Fuzz)\S*) \(\S+\)$")
_LAST = re.compile(r"PASS$|FAIL$|exit status \d+$|coverage: ")


@dataclass(slots=True)
class Test:
    name: str
    first: int
    last: int
    ended: bool = False
    said: list[str] = field(default_factory=list[str])
    raised: Raised = field(default_factory=Raised)

    def log(self, at: int, line: str) -> None:
        """Adds a line that the test logged: ``a_test.go:48: message``, or one that continues it."""
        match = _LOG.match(line)
        if match and not self.raised.file:
            self.raised = Raised(file=match["file"], line=int(match["line"]))
        self.said.append(match["said"] if match else line)
        self.last = at

    def record(self) -> Record:
        raised = self.raised if self.raised.said else replace(self.raised, said=_without_table(self.said))
        return raised.record(self.first, self.last, self.name)


def parse(text: str) -> Report | None:
    """Returns the failed tests of all packages."""
    numbered = _events(text) if text.lstrip().startswith("{") else list(enumerate(text.split("\n")))
    lines = [line for _, line in numbered]
    ends = [at for at, line in enumerate(lines) if _PACKAGE.match(line)]
    ends = ends or [at for at, line in enumerate(lines) if line in ("PASS", "FAIL")][-1:]
    if (
        not runs.starts(lines, _BEGINS)
        or not ends
        or not runs.around(line for line in lines[ends[-1] + 1 :] if not _LAST.match(line))
    ):
        return None
    records: list[Record] = []
    built = {line.split()[1]: at for at, line in enumerate(lines) if re.match(r"# \S", line)}
    for start, end in zip([0, *(at + 1 for at in ends)], ends, strict=False):
        found = _failed(lines, start, end, built)
        if bool(found) != lines[end].startswith("FAIL"):
            return None
        records += found
    if not records and not any(_ENDS.match(line) or _PACKAGE.match(line) for line in lines):
        return None
    where = [number + 1 for number, _ in numbered]
    placed = [Record(found.values, where[found.first - 1], where[found.last - 1]) for found in records]
    return Report("go test", placed, _totals(lines, len(placed)))


def _events(text: str) -> list[tuple[int, str]]:
    """Returns the output in the events of ``-json``, by package, each line with its line in ``text``."""
    packages: dict[object, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.split("\n")):
        try:
            event = cast("object", json.loads(line or "{}"))
        except (ValueError, RecursionError):
            return []
        if not isinstance(event, dict) or (event and "Action" not in event):
            return []
        fields = cast("dict[str, object]", event)
        if output := fields.get("Output"):
            package = packages.setdefault(str(fields.get("Package")), [])
            package.append((number, str(output).rstrip("\n")))
    return [line for lines in packages.values() for line in lines]


def _failed(lines: Sequence[str], start: int, end: int, built: Mapping[str, int]) -> list[Record]:
    """Returns the failures of the package that ends at ``end``; ``built`` is where compiler errors begin."""
    package = _PACKAGE.match(lines[end])
    if package and package["note"].endswith("failed]"):
        name = package["package"]
        return [_not_built(lines, end, built.get(name, built.get(f"{name}_test", end)), name)]
    failed = _tests(lines, start, end)
    names = sorted(test.name for test in failed)
    return [
        test.record() for test in failed if test.said or test.raised.said or not _is_parent(test.name, names)
    ]


def _is_parent(name: str, names: Sequence[str]) -> bool:
    """True if a subtest is among the sorted ``names``; a parent that says nothing failed because of it."""
    at = bisect(names, f"{name}/")
    return at < len(names) and names[at].startswith(f"{name}/")


def _tests(lines: Sequence[str], start: int, end: int) -> list[Test]:
    tests: dict[str, Test] = {}
    failed: list[Test] = []
    current: Test | None = None
    logging = False
    for at in range(start, end):
        line = lines[at]
        if _PANIC.match(line):
            return failed + _panicked(lines[at:end], at, current, failed)
        runs_, ends = _RUNS.match(line), _ENDS.match(line)
        if begun := runs_ or ends:
            name = begun["test"]
            if name not in tests or tests[name].ended:
                tests[name] = Test(name, at, at)
            current, logging = tests[name], False
        if current is None:
            continue
        if ends:
            current.ended, current.last = True, at
            if ends["result"] == "FAIL":
                failed.append(current)
        elif _LOG.match(line) or (logging and line.startswith("        ")):
            current.log(at, line)
            logging = True
        else:
            logging = False
    return failed


def _panicked(lines: Sequence[str], at: int, current: Test | None, failed: Sequence[Test]) -> list[Test]:
    """Returns the tests that a panic ended, other than those known as ``failed``."""
    raised = frames.go_panic(lines, "_test.go") or Raised()
    last = runs.end(lines, 0, len(lines)) + at
    if current and current.ended and "[recovered" in lines[0]:
        current.raised, current.last = raised, last
        return [] if current in failed else [current]
    running = [match["test"] for line in lines if (match := _RUNNING.match(line))]
    called = next((match["test"] for line in lines if (match := _FRAME.match(line))), "")
    names = running or [called or (current.name if current and not current.ended else "")]
    return [Test(name, at, last, raised=raised) for name in names]


def _not_built(lines: Sequence[str], at: int, start: int, package: str) -> Record:
    """Returns a package that does not compile, with the first error of the compiler below ``# package``."""
    for line in range(start + 1, at):
        if lines[line].startswith("#") or _PACKAGE.match(lines[line]):
            break
        if match := _BUILD.match(lines[line]):
            return Raised("", [match["said"]], match["file"], int(match["line"])).record(line, line, package)
    return Raised().record(at, at, package)


def _without_table(said: Sequence[str]) -> Sequence[str]:
    """Returns the error in the table that testify logs; other logs as they are."""
    if not any(line.lstrip().startswith("Error Trace:") for line in said):
        return said
    first = next((at for at, line in enumerate(said) if line.lstrip().startswith("Error:")), 0)
    last = next((at for at in range(first, len(said)) if said[at].lstrip().startswith("Test:")), len(said))
    return [line.strip().removeprefix("Error:").strip() for line in said[first:last]]


def _totals(lines: Sequence[str], failed: int) -> dict[str, int]:
    """Returns what the results of `-v` count; without it only failures are known."""
    if not any(line.startswith("=== RUN") for line in lines):
        return {"failed": failed}
    results = [match["result"] for line in lines if (match := _ENDS.match(line))]
    return {"failed": failed, "passed": results.count("PASS"), "skipped": results.count("SKIP")}
