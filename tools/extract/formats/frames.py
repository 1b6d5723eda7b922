"""Reads stack frames of JavaScript, Java, Go and Rust: where in the project's code an error was raised."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tools.extract.formats.runs import Raised, dedented

Place: TypeAlias = tuple[str, int] | tuple[None, None]

_JS = re.compile(r"\s*(?:at|❯) (?P<at>\S.*)$")
_JS_PLACE = re.compile(r"(?P<file>\S.*?):(?P<line>\d+)(?::\d+)?$")
_JS_ERROR = re.compile(
    r"(?:Uncaught )?(?P<error>Error|[A-Z]\w*(?:Error|Exception|Failure))(?: \[\w+\])?(?:: ?(?P<said>.*))?$"
)
# A line of source with its number, a stack frame, the cause of an error, or a note of the runner.
_JS_MESSAGE_ENDS = re.compile(
    r"\s*(?:> *)?\d+ ?\|(?: |$)|\s+at \S|\s+❯ \S|\s*Cause:$|\s*Caused by: |\s*Error Context: "
    r"|\s*Retry #\d|\s*attachment #\d|\s*Call log:"
)
_JS_FOREIGN = re.compile(r"node_modules|^node:|^internal/|^<|^native$|^async |^new |\.pnpm/")
_JAVA = re.compile(r"\s*at (?:[\w.@-]*/){0,2}(?P<class>[\w.$]+)\.[\w$<>]+\((?P<file>[\w.-]+):(?P<line>\d+)\)")
_JAVA_STACK = re.compile(r"\s+at [\w./@$]+[.(]|\s+\.\.\. \d+ (?:more|common frames)|\s*Caused by: ")
_JAVA_ERROR = re.compile(r"(?P<error>(?:[a-zA-Z_]\w*\.)*[A-Z][\w$]*)(?:: ?(?P<said>.*))?$")
_JAVA_FOREIGN = re.compile(
    r"(?:java|javax|jdk|sun|junit|kotlin|scala|groovy|org\.(?:junit|hamcrest|assertj|mockito|testng|gradle|apache\.maven"
    r"|codehaus|opentest4j|spockframework|springframework)|com\.(?:sun|google\.common\.truth)|io\.kotest)\."
)
_GO_PLACE = re.compile(r"\s+(?P<file>\S.*\.go):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$")
_GO_PANIC = re.compile(r"(?P<panic>(?:panic|fatal error): .*?)(?: \[recovered(?:, repanicked)?\])?$")
_GO_FOREIGN = re.compile(
    r"/src/(?:runtime|testing|sync|reflect|net|os|internal|context|io|encoding)/|/pkg/mod/|/vendor/"
)
_RUST = re.compile(
    r"thread '(?P<thread>[^']*)' (?:\(\d+\) )?panicked at "
    r"(?:'(?P<old>.*)', )?(?P<file>(?:[A-Za-z]:)?[^':]+):(?P<line>\d+)(?::\d+)?(?P<colon>:?)$"
)
_RUST_OLD = re.compile(r"thread '(?P<thread>[^']*)' panicked at '(?P<said>.*)$")
_RUST_OLD_END = re.compile(r"(?P<said>.*)', (?P<file>(?:[A-Za-z]:)?[^':]+):(?P<line>\d+)(?::\d+)?$")


def javascript(lines: Iterable[str]) -> Place:
    """Returns the innermost frame outside of Node and installed packages."""
    for line in lines:
        match = _JS.match(line)
        place = _JS_PLACE.match(_js_position(match["at"])) if match else None
        if place and not _JS_FOREIGN.search(place["file"]):
            return place["file"], int(place["line"])
    return None, None


def javascript_error(body: Sequence[str]) -> Raised:
    """Returns the error at the start of ``body``: its message up to the code or the stack, and its place."""
    end = next((at for at, line in enumerate(body) if _JS_MESSAGE_ENDS.match(line)), len(body))
    said = dedented([line for line in body[:end] if line.strip()])
    # Mocha does not indent the further lines of a message as it does the first.
    if match := _JS_ERROR.match(said[0].strip()):
        return Raised(match["error"], [match["said"] or "", *said[1:]], *javascript(body))
    return Raised("", said, *javascript(body))


def _js_position(at: str) -> str:
    """Returns ``/a/b.js:3:4`` of ``fn (/a/b.js:3:4)`` and of ``file:///a/b.js:3:4``."""
    at = at.rstrip("{ ")
    if at.endswith(")"):
        at = at[at.rfind(" (") + 2 : -1]
    elif re.search(r"\s", at):
        # Vitest names the function without brackets: `❯ Object.fn src/a.ts:3:4`.
        at = at.rpartition(" ")[2]
    return re.sub(r"^file://(?:/(?=[A-Za-z]:))?", "", at)


def java(lines: Iterable[str], owner: str = "") -> Place:
    """Returns the innermost frame in the class ``owner``, else in its package, else outside of libraries."""
    frames = [match for line in lines if (match := _JAVA.match(line))]
    package = owner.rpartition(".")[0]
    kept = (
        [frame for frame in frames if owner and f".{owner}." in f".{frame['class'].partition('$')[0]}."]
        or [frame for frame in frames if package and frame["class"].startswith(package + ".")]
        or [frame for frame in frames if not _JAVA_FOREIGN.match(frame["class"])]
    )
    return (kept[0]["file"], int(kept[0]["line"])) if kept else (None, None)


def java_error(body: Sequence[str], owner: str = "") -> Raised:
    """Returns the exception at the start of ``body``: its message up to the stack, and its place."""
    end = next((at for at, line in enumerate(body) if _JAVA_STACK.match(line)), len(body))
    said = dedented([line for line in body[:end] if line.strip()])
    if match := _JAVA_ERROR.match(said[0]):
        return Raised(match["error"], [match["said"] or "", *said[1:]], *java(body, owner))
    return Raised("", said, *java(body, owner))


def go_panic(lines: Sequence[str], suffix: str = ".go") -> Raised | None:
    """Returns the first panic, and its first frame in the project, in a file with ``suffix`` if any."""
    at = next((at for at, line in enumerate(lines) if _GO_PANIC.match(line)), len(lines))
    match = _GO_PANIC.match(lines[at]) if at < len(lines) else None
    if match is None:
        return None
    places = [place for line in lines[at:] if (place := _GO_PLACE.match(line))]
    own = [place for place in places if not _GO_FOREIGN.search(place["file"])]
    for place in (*(place for place in own if place["file"].endswith(suffix)), *own):
        return Raised("", [match["panic"]], place["file"], int(place["line"]))
    return Raised("", [match["panic"]])


def rust_panic(lines: Sequence[str]) -> Raised | None:
    """Returns the first panic; its message stands after its place, or in quotes before it as until 2023."""
    for at, line in enumerate(lines):
        if match := _RUST.match(line):
            said = match["old"] or (lines[at + 1] if match["colon"] and at + 1 < len(lines) else "")
            return Raised("", [said.split("\n")[0]], match["file"], int(match["line"]))
        if match := _RUST_OLD.match(line):
            place = next((place for line in lines[at:] if (place := _RUST_OLD_END.match(line))), None)
            return place and Raised("", [match["said"]], place["file"], int(place["line"]))
    return None
