"""Parses Python tracebacks, also chained ones and exception groups: error, message, place."""

import re
from collections.abc import Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

_HEADER = re.compile(r"(?:Exception Group )?Traceback \(most recent call last\):$")
_FRAME = re.compile(r' {2}File "(?P<file>[^"]+)", line (?P<line>\d+)')
_ERROR = re.compile(r"(?P<error>[A-Za-z_][\w.]*)(?:: ?(?P<said>.*))?$")
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
# Frames of the interpreter and of installed packages, not of the project.
_FOREIGN = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python\d|[/\\]Python\d+[/\\]Lib[/\\]|<frozen "
)
# Begins a log line; a message of several lines ends before it.
_LOG = re.compile(r"\[?\d{4}-\d\d|\[?\d\d:\d\d|\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL)\b")


def parse(text: str) -> Report | None:
    """Returns the exception of a traceback that is the whole text."""
    lines = text.split("\n")
    header = next((at for at, line in enumerate(lines) if _HEADER.search(line)), len(lines))
    before = [line for line in lines[:header] if not line.startswith("Exception in thread ")]
    raised, end = _chain(lines, header)
    headers = sum(bool(_HEADER.match(_without_margin(line))) for line in lines)
    if headers != 1 + sum(_without_margin(line) in _CHAINED for line in lines):
        return None
    if raised is None or not runs.around(before) or not _one_message(raised.said, lines[end:]):
        return None
    return Report("python traceback", [raised.record(header, runs.end(lines, header, len(lines)))])


def raised_in(lines: Sequence[str]) -> Raised | None:
    """Returns the last exception of the first chain of tracebacks in ``lines``."""
    return _chain(lines, 0)[0]


def _chain(lines: Sequence[str], at: int) -> tuple[Raised | None, int]:
    """Returns the last exception of a chain of tracebacks, and the line after it."""
    if any(line.startswith("  + Exception Group Traceback") for line in lines):
        lines = [_without_margin(line) for line in lines]
    raised, end = None, at
    while (header := _next_header(lines, end)) < len(lines):
        found, end = _read(lines, header + 1)
        if found is None:
            break
        raised = found
    return raised, end


def _next_header(lines: Sequence[str], at: int) -> int:
    return next((at for at in range(at, len(lines)) if _HEADER.match(lines[at])), len(lines))


def _without_margin(line: str) -> str:
    """Removes the margin of the outermost exception group."""
    return line[4:] if line.startswith(("  | ", "  + ")) else line


def _read(lines: Sequence[str], at: int) -> tuple[Raised | None, int]:
    """Returns the exception whose frames begin at ``at``, and the line after its message."""
    frames: list[tuple[str, int]] = []
    while at < len(lines) and (lines[at].startswith("  ") or not lines[at]):
        if frame := _FRAME.match(lines[at]):
            frames.append((frame["file"], int(frame["line"])))
        at += 1
    error = _ERROR.match(lines[at]) if at < len(lines) else None
    if error is None:
        return None, at
    end = _end(lines, at + 1)
    said = [error["said"] or "", *lines[at + 1 : end]]
    return Raised(error["error"], said, *_innermost(frames)), end


def _innermost(frames: Sequence[tuple[str, int]]) -> tuple[str, int] | tuple[None, None]:
    """Returns the last frame of the project, or else the last one."""
    own = [frame for frame in frames if not _FOREIGN.search(frame[0])] or frames
    return own[-1] if own else (None, None)


def _end(lines: Sequence[str], at: int) -> int:
    """Returns the line after a message that continues at ``at``."""
    while at < len(lines) and not (
        _HEADER.match(lines[at]) or lines[at] in _CHAINED or lines[at].startswith("  +-")
    ):
        at += 1
    return at


def _one_message(said: Sequence[str], rest: Sequence[str]) -> bool:
    """True if what follows an error is its message: no blank line between, no log line, no other text."""
    continued = "\n".join(said).rstrip("\n").split("\n")[1:]
    group = all(not line.strip() or re.match(r"\s+[|+]", line) for line in rest)
    return group and not any(not line or _LOG.match(line) for line in continued)
