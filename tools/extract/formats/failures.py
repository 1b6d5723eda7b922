"""Parses failures from the output of test runners and tracebacks: test, error, place.

Supports pytest, unittest, Jest, Mocha, Vitest, go test, cargo test, RSpec, PHPUnit, JUnit under Maven,
GoogleTest and TAP as their manuals show them, and stack traces of Python, JavaScript, Java, Go and Rust.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Failure:
    test: str = ""
    error: str = ""
    message: str = ""
    file: str = ""
    line: int | None = None
    start: int = 0
    """Offset of its report in the text."""


# A line that begins the report of one failed test.
_HEADING = re.compile(
    r"^_{3,120} (?:ERROR (?:at \w+ of|collecting) )?(?P<pytest>\S.{0,300}?) _{3,120}$"
    r"|^(?:FAIL|ERROR): (?P<unittest>\S{1,200}(?: \([^)\n]{0,200}\))?)(?: .*)?$"
    r"|^[ \t]{0,40}--- FAIL: (?P<go>\S{1,300}) \("
    r"|^---- (?P<cargo>\S{1,300}) stdout ----$"
    r"|^[ \t]{0,40}● (?P<jest>\S.*?)$"
    r"|^[ \t]{0,40}(?:FAIL|❯|×) +(?P<vitest>\S{1,300} > .+?)$"
    r"|^[ \t]{0,40}\d+\) (?P<listed>\S.*?):?$"
    r"|^not ok \d+ -? ?(?P<tap>.+?)$"
    r"|^(?:\[ERROR\] +)?(?P<maven>[\w.$]{1,200}(?:\([\w.$]{1,200}\))?) .{0,100}<<< (?:FAILURE|ERROR)!"
    r"|^\[ RUN +\] (?P<gtest>\S{1,300})$"
    r"|^(?P<traceback>Traceback \(most recent call last\):)$",
    re.MULTILINE,
)
# End of a report, other than the next one.
_END = re.compile(
    r"^={3,120} .{0,300} ={3,120}$|^-{5,120} (?:Captured|generated|coverage)\b|^!{5,}"
    r"|^(?:Tests?|Test Suites|Snapshots): +\d|^test result:|^failures:$|^FAIL(?:\t|$)|^ok  \t"
    r"|^[ \t]{0,40}--- PASS: |^\[ +(?:OK|FAILED) +\]|^\[INFO\]|^Finished in "
    r"|^Ran \d+ tests? in |^(?:not )?ok \d+",
    re.MULTILINE,
)
_SUMMARY = re.compile(
    r"^(?:FAILED|ERROR) (?P<id>[^\s:]{1,300}\.py(?:::.+?)?)(?: - (?P<said>.*))?$"
    r"|^(?P<verbose>[^\s:]{1,300}::\S.{0,300}?) (?:FAILED|ERROR)\b",
    re.MULTILINE,
)
_INNERMOST_LAST = (
    re.compile(r'^[ \t]{0,40}File "(?P<file>[^"\n]{1,300})", line (?P<line>\d+)', re.MULTILINE),
    re.compile(
        r"^(?P<file>[^\s:][^:\n]{0,300}\.pyx?):(?P<line>\d+): ?(?P<error>[A-Za-z_][\w.]{0,100})?"
        r"(?: \S{1,300})?$",
        re.MULTILINE,
    ),
)
_INNERMOST_FIRST = (
    re.compile(r"panicked at (?:'.{0,300}', )?(?P<file>[^\s:']{1,300}):(?P<line>\d+)"),
    re.compile(
        r"^[ \t]{0,40}at (?:.{0,300}?\()?(?:file://)?(?P<file>[^\s():]{1,300}):(?P<line>\d+)(?::\d+)?\)?$",
        re.MULTILINE,
    ),
    re.compile(r"^[ \t]{0,40}# (?P<file>[^\s:]{1,300}):(?P<line>\d+)", re.MULTILINE),
    re.compile(
        r"(?<![\w/.@+-])(?P<file>/?(?:[\w.@+-]{1,80}/){0,30}[\w@+-][\w.@+-]{0,80}?\.\w{1,5}):(?P<line>\d+)(?=[:\s)]|$)",
        re.MULTILINE,
    ),
)
# Frames of the runner, not of the code it runs.
_FOREIGN = re.compile(r"node_modules|node:|internal/|org\.junit|junit\.framework|java\.base|hamcrest|/rustc/")
_SAID = re.compile(
    r"^(?:E +)?(?:[A-Za-z_]\w{0,80}\.){0,12}"
    r"(?P<error>[A-Z]\w{0,80}?(?:Error|Exception|Warning|Failure|Interrupt|Exit|Iteration|Failed)|Failed)"
    r"(?:: ?(?P<said>.*))?$"
    r"|^E +(?P<assert>assert\b.*)$"
    r"|^[ \t]{0,40}(?:Uncaught )?(?:[\w.$]{1,200}\.)?(?P<other>[A-Z]\w{0,80}?(?:Error|Exception))"
    r"(?: \[\w+\])?(?:: (?P<told>.*))?$"
    r"|^[ \t]{0,40}(?P<panic>panic): (?P<why>.*)$"
    r"|^[ \t]{0,40}(?P<plain>Error|Failure)(?:/Error)?: (?P<because>.*)$",
    re.MULTILINE,
)


def failures(text: str) -> list[Failure]:
    """Returns the failures reported in ``text``, in order; empty if it is no such report."""
    reports = list(_reports(text))
    named = _identifiers(text)
    if not reports and not named:
        alone = _read(text)
        return [alone] if alone.error and alone.line else []
    if not reports:
        return [_from_summary(name, message) for name, message in named.items()]
    known = {name: failure for name, failure in reports if name}
    bare = [failure for name, failure in reports if not name]
    if not known:
        return bare
    return [_identified(failure, name, named) for name, failure in known.items()]


def _identified(failure: Failure, title: str, named: dict[str, str]) -> Failure:
    """Adds the full identifier from the summary: ``a.py::T::t`` for ``T.t``."""
    for identifier, message in named.items():
        if title in (_title(identifier), identifier):
            from_summary = _from_summary(identifier, message)
            return replace(failure, test=identifier, error=failure.error or from_summary.error)
    return replace(failure, test=title)


def _title(identifier: str) -> str:
    _, _, inside = identifier.partition("::")
    head, bracket, parameters = inside.partition("[")
    return head.replace("::", ".") + bracket + parameters


def _identifiers(text: str) -> dict[str, str]:
    """Returns failed tests by their full identifiers, each with its summary text."""
    found: dict[str, str] = {}
    for match in _SUMMARY.finditer(text):
        name = match["id"] or match["verbose"]
        found[name] = match["said"] or found.get(name, "")
    return found


def _from_summary(identifier: str, message: str) -> Failure:
    match = _SAID.search(message)
    error = (
        (match["error"] or match["other"] or "")
        if match
        else "AssertionError"
        if message.startswith("assert ")
        else ""
    )
    return Failure(identifier, error, message, identifier.partition("::")[0])


def _reports(text: str) -> Iterator[tuple[str, Failure]]:
    """Yields name, if any, and content of every report; tracebacks count if no test is named."""
    headings = list(_HEADING.finditer(text))
    if any(not match["traceback"] for match in headings):
        headings = [match for match in headings if not match["traceback"]]
    for index, heading in enumerate(headings):
        until = headings[index + 1].start() if index + 1 < len(headings) else len(text)
        ended = _END.search(text, heading.end(), until)
        body = text[heading.end() : ended.start() if ended else until]
        if heading["gtest"] and not (ended and "FAILED" in ended[0]):
            continue
        failure = _read(body)
        if heading["listed"] and not (failure.error or failure.line):
            continue
        name = "" if heading["traceback"] else _name(heading)
        yield name, replace(failure, test=name, start=heading.start())


def _name(heading: re.Match[str]) -> str:
    if heading["unittest"]:
        test, _, where = heading["unittest"].partition(" (")
        where = where.rstrip(")")
        return test if not where else where if where.endswith(f".{test}") else f"{where}.{test}"
    return next(name for name in heading.groups() if name).strip()


def _read(body: str) -> Failure:
    place = _place(body)
    # Text at or after the innermost frame belongs to it; earlier errors are its causes.
    after = place.start() if place and place.re in _INNERMOST_LAST else 0
    error, message = _error(body, after)
    raised = place.groupdict().get("error") if place else None
    if raised and raised != "in":
        error = raised
        message = message or _error(body, 0)[1]
    file, line = (place["file"], int(place["line"])) if place else ("", None)
    return Failure("", error.rpartition(".")[2], message, file, line)


def _place(body: str) -> re.Match[str] | None:
    """Returns the frame in which the error was raised."""
    last = [match for notation in _INNERMOST_LAST for match in notation.finditer(body)]
    if last:
        return max(last, key=lambda match: match.start())
    for notation in _INNERMOST_FIRST:
        for match in notation.finditer(body):
            line = body[body.rfind("\n", 0, match.start()) + 1 : match.end()]
            if not _FOREIGN.search(line):
                return match
    return None


def _error(body: str, after: int) -> tuple[str, str]:
    match = _SAID.search(body, after) or _SAID.search(body)
    if match is None:
        return "", ""
    if match["assert"]:
        return "AssertionError", match["assert"]
    error = match["error"] or match["other"] or match["panic"] or match["plain"]
    return error, (match["said"] or match["told"] or match["why"] or match["because"] or "").strip()
