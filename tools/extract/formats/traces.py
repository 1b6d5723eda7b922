"""Parses stack traces that stand alone: Node, Java, Go, Rust. Python's are in `python_traces`."""

import re
from collections.abc import Sequence

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

# Node prints where an uncaught error was thrown, with its source, before the error; and its version after.
_NODE_PLACE = re.compile(r"(?:file://)?(?P<file>(?:[A-Za-z]:)?[^\s:]\S*):(?P<line>\d+)$")
_NODE_AFTER = re.compile(r"Node\.js v\d|\s+(?:\[?\w+\]?: .*,?|[\[\]{}],?|at .*)$|\s*[}\]]$")
_NODE_ERROR = re.compile(r"(?:Uncaught )?(?:[A-Z]\w*(?:Error|Exception|Failure)|Error)(?: \[\w+\])?(?::|$)")
_JAVA_ERROR = re.compile(
    r"(?:Exception in thread \"[^\"]*\" )?(?P<rest>(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:: .*)?)$"
)
_JAVA_FRAME = re.compile(
    r"\s+at [\w./@$-]+\.[\w$<>]+\(|\s+\.\.\. \d+ (?:more|common frames)|\s*(?:Caused by|Suppressed): "
)
_GO_START = re.compile(r"(?:panic|fatal error): ")
_GO_LINE = re.compile(
    r"goroutine \d+|\[signal |\S[^(]*+\(.*\)$|created by |\t\S.*:\d+(?: \+0x[0-9a-f]+)?$|\tpanic: "
    r"|exit status \d|\[recovered"
)
_RUST_LINE = re.compile(
    r"stack backtrace:| +\d+: | +at \S|note: |  left: | right: |error: process didn't exit"
    r"|\s+Running `|\s+Finished |\s+Compiling "
)


def parse(text: str) -> Report | None:
    """Returns the error of one trace that is the whole text."""
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    for read in (_java, _node, _go, _rust):
        if found := read(lines):
            name, raised = found
            return Report(f"{name} trace", [raised.record(0, len(lines) - 1)])
    return None


def _java(lines: Sequence[str]) -> tuple[str, Raised] | None:
    error = _JAVA_ERROR.match(lines[0]) if lines else None
    first = next((at for at, line in enumerate(lines) if _JAVA_FRAME.match(line)), len(lines))
    stack = lines[first:]
    if (
        error is None
        or first == len(lines)
        or "" in lines[:first]
        or not all(_JAVA_FRAME.match(line) for line in stack)
    ):
        return None
    # The frames of the causes come after its own; without its own in the project, the first of theirs counts.
    return "java", frames.java_error([error["rest"], *lines[1:]])


def _node(lines: Sequence[str]) -> tuple[str, Raised] | None:
    start = next((at for at, line in enumerate(lines) if _NODE_ERROR.match(line)), len(lines))
    first = next((at for at in range(start, len(lines)) if re.match(r"\s+at \S", lines[at])), len(lines))
    place = _NODE_PLACE.match(lines[0]) if start else None
    if first == len(lines) or (start and not place) or "" in lines[start:first]:
        return None
    if not all(not line.strip() or _NODE_AFTER.match(line) for line in lines[first:]):
        return None
    return "node", frames.javascript_error(lines[start:])


def _go(lines: Sequence[str]) -> tuple[str, Raised] | None:
    if not lines or not _GO_START.match(lines[0]) or not any(line.startswith("goroutine ") for line in lines):
        return None
    stack = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    if not all(not line.strip() or _GO_LINE.match(line) for line in lines[stack:]):
        return None
    raised = frames.go_panic(lines)
    return ("go", raised) if raised else None


def _rust(lines: Sequence[str]) -> tuple[str, Raised] | None:
    start = next(
        (at for at, line in enumerate(lines) if re.match(r"thread '[^']*' .*panicked at ", line)), len(lines)
    )
    raised = frames.rust_panic(lines[start:])
    if raised is None or not runs.around(line for line in lines[:start] if not _RUST_LINE.match(line)):
        return None
    rest = next((at for at in range(start + 1, len(lines)) if _RUST_LINE.match(lines[at])), len(lines))
    if not all(not line.strip() or _RUST_LINE.match(line) for line in lines[rest:]):
        return None
    return "rust", raised
