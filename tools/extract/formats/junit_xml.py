"""Parses JUnit XML files, which most test runners can write."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from tools.extract.formats import frames, python_traces
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_ERROR = re.compile(r"(?P<error>(?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?:: ?(?P<said>.*))?$")
_PLACE = re.compile(r"(?P<file>[^\s:][^:]*\.\w+):(?P<line>\d+)(?::|$)")
_SUITES, _BAD = ("testsuites", "testsuite"), ("failure", "error")


class _RefusedError(Exception):
    """The text is no JUnit XML, or declares a document type, thus perhaps entities: no test runner does."""


@dataclass(slots=True)
class _Reader:
    """Receives the events of the XML parser."""

    parser: expat.XMLParserType
    records: list[Record] = field(default_factory=list[Record])
    found: dict[str, int] = field(default_factory=dict[str, int])
    """How many there are of each element."""
    declared: list[int] = field(default_factory=list[int])
    """Failures and errors, by each outermost element that counts them."""
    path: list[str] = field(default_factory=list[str])
    counted: int = 0
    case: dict[str, str] = field(default_factory=dict[str, str])
    failure: dict[str, str] = field(default_factory=dict[str, str])
    text: list[str] = field(default_factory=list[str])
    first: int = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.path and tag not in _SUITES:
            raise _RefusedError
        self.path.append(tag)
        self.found[tag] = self.found.get(tag, 0) + 1
        if tag in _SUITES and "failures" in attributes and not self.counted:
            self.counted = len(self.path)
            self.declared.append(sum(int(attributes.get(name) or 0) for name in ("failures", "errors")))
        elif tag == "testcase":
            self.case, self.first = attributes, self.parser.CurrentLineNumber
        elif tag in _BAD:
            self.failure, self.text = attributes, []

    def data(self, data: str) -> None:
        if self.path[-1] in _BAD:
            self.text.append(data)

    def end(self, tag: str) -> None:
        if tag in _BAD:
            raised = _raised(self.failure, self.case, "".join(self.text).split("\n"))
            self.records.append(
                raised.record(self.first - 1, self.parser.CurrentLineNumber - 1, _test(self.case))
            )
        if self.counted == len(self.path):
            self.counted = 0
        self.path.pop()

    def refuse(self, *_: object) -> None:
        raise _RefusedError


def parse(text: str) -> Report | None:
    """Returns the test cases with a failure or an error."""
    if not text.lstrip().startswith("<"):
        return None
    parser = expat.ParserCreate()
    reader = _Reader(parser)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, _RefusedError, ValueError):
        return None
    if reader.declared and sum(reader.declared) != len(reader.records):
        return None
    return Report("junit xml", reader.records, _totals(reader.found))


def _totals(found: dict[str, int]) -> dict[str, int]:
    total = found.get("testcase", 0)
    failed, errors, skipped = (found.get(name, 0) for name in ("failure", "error", "skipped"))
    passed = total - failed - errors - skipped
    return {"failed": failed, "passed": passed, "skipped": skipped, "errors": errors, "total": total}


def _test(case: dict[str, str]) -> str:
    """Returns ``tests.test_a.test_x``: the class, unless the name begins with it, and the name."""
    owner, name = case.get("classname", ""), case.get("name", "")
    return name if not owner or name.startswith(owner) else f"{owner}.{name}"


def _raised(failure: dict[str, str], case: dict[str, str], stack: Sequence[str]) -> Raised:
    said = failure.get("message", "").split("\n") if failure.get("message") else stack[:1]
    error = failure.get("type", "")
    if match := _ERROR.match(said[0]) if said else None:
        error = error if error.endswith(match["error"]) else match["error"]
        said = [match["said"] or "", *said[1:]]
    file, line = _place(stack, case.get("classname", ""))
    if file is None and case.get("file"):
        file, line = case["file"], int(case["line"]) if case.get("line", "").isdecimal() else None
    return replace(Raised(error if re.match(r"[\w.$]+$", error) else "", said), file=file, line=line)


def _place(stack: Sequence[str], owner: str) -> frames.Place:
    """Returns where the error was raised, by the frames of whichever language."""
    if (raised := python_traces.raised_in(stack)) and raised.file and raised.line:
        return raised.file, raised.line
    for place in (frames.java(stack, owner), frames.javascript(stack)):
        if place[0]:
            return place
    last = next((match for line in reversed(stack) if (match := _PLACE.match(line))), None)
    return (last["file"], int(last["line"])) if last else (None, None)
