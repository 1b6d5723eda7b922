"""Reads one failure of pytest: the lines below its heading, or its line in the short summary."""

import re
from collections.abc import Sequence

from tools.extract.formats import python_traces, runs
from tools.extract.formats.runs import Raised

# An entry of the short summary: an id ends before " - ", but not inside of its brackets.
_ID = re.compile(r"(?P<id>[^\s:\[]+(?:::[^\[]*?)?(?:\[.*?\])?)(?: - (?P<said>.*))?$")
_PLACE = re.compile(r"(?P<file>[^\s>].*?):(?P<line>\d+)(?:: ?(?P<said>.*))?$")
_OUTPUT = re.compile(r"-{3,} \S.* -{3,}$")
_ERROR = re.compile(r"(?P<error>[A-Za-z_][\w.]*)(?:: ?(?P<said>.*))?$")
# Source of a doctest with its line numbers; the line that xdist puts first.
_ASIDE = re.compile(r"\d{3,}(?: |$)|\[gw\d+\] ")
_SYNTAX = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')


def placed(line: str) -> re.Match[str] | None:
    """Returns the place in a line of ``--tb=line``: ``/a/b.py:3: AssertionError: assert 1 == 2``."""
    place = None if _said(line) else _PLACE.match(line)
    return place if place and place["said"] else None


def listed(entry: str, place: re.Match[str] | None) -> tuple[str, Raised]:
    """Returns test and error of an entry of the short summary, with its place if that is known."""
    match = _ID.match(entry)
    test, said = (match["id"], match["said"] or "") if match else (entry, "")
    error, message = _error([place["said"] if place else said])
    return test, Raised(error, message, *_position(place))


def reported(body: Sequence[str]) -> Raised:
    """Returns what the lines below a heading report."""
    body = body[: next((at for at, line in enumerate(body) if _OUTPUT.match(line)), len(body))]
    said = _last_said(body)
    places = (match for line in reversed(body) if not _said(line) and (match := _PLACE.match(line)))
    place = next(places, None)
    if not said and (raised := python_traces.raised_in(body)) and not (place and place["said"]):
        return raised
    if syntax := next((match for line in said[:1] if (match := _SYNTAX.match(line))), None):
        return Raised(*_error(said[-1:]), *_position(syntax))
    error, message = _error(said) if said else ("", _other(body))
    if place and place["said"] and not place["said"].startswith("in "):
        error = place["said"].partition(":")[0]
    return Raised(error, message, *_position(place))


def _position(place: re.Match[str] | None) -> tuple[str, int] | tuple[None, None]:
    return (place["file"], int(place["line"])) if place else (None, None)


def _other(body: Sequence[str]) -> Sequence[str]:
    """Returns what a report says without lines of ``E``: a failed doctest, an error of the collection."""
    end = next((at for at, line in enumerate(body) if line.startswith("Traceback (most recent")), len(body))
    return [line for line in body[:end] if not _PLACE.match(line) and not _ASIDE.match(line)]


def _last_said(body: Sequence[str]) -> Sequence[str]:
    """Returns the last run of lines that begin with ``E``, without it."""
    ends = [at for at, line in enumerate(body) if _said(line)]
    if not ends:
        return []
    first = last = ends[-1]
    while first and _said(body[first - 1]):
        first -= 1
    return runs.dedented([line[1:] for line in body[first : last + 1]])


def _said(line: str) -> bool:
    return line.startswith("E  ") or line == "E"


def _error(said: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Returns the error's type and the message without it."""
    first = said[0] if said else ""
    match = _ERROR.match(first)
    if first.startswith("assert "):
        return "AssertionError", said
    if match is None or not match["error"].rpartition(".")[2][:1].isupper():
        return "", said
    return match["error"], [match["said"] or "", *said[1:]]
