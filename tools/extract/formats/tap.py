"""Parses TAP 12 to 14 (node:test, tape, Mocha, Perl): subtests by indent, YAML blocks, `#` diagnostics."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(r"TAP version \d|1\.\.\d|ok\b|not ok\b|# ")
_POINT = re.compile(r"(?P<indent> *)(?P<not>not )?ok\b(?: (?P<number>\d+))?(?: -)?(?: (?P<test>\S.*))?$")
_DIRECTIVE = re.compile(r"(?i)(?<!\\)# ?(?:skip|todo)\b")
_PLAN = re.compile(r"1\.\.(?P<count>\d+)(?:\s*#.*)?$")
_KEY = re.compile(r"(?P<indent> *)(?P<key>[\w-]+): ?(?P<value>.*)$")
_PERL_PLACE = re.compile(r"\s*+#?\s*+at (?P<file>\S.*) line (?P<line>\d+)\.?$")
# Levels of subtests that are told apart.
_DEEPEST = 20
# Keys of YAML blocks: the message, the type, and the place or the stack.
_MESSAGE, _TYPE, _PLACE = ("error", "message"), ("name", "type"), ("at", "stack", "location", "source")


@dataclass(frozen=True, slots=True)
class Point:
    test: str
    first: int
    last: int
    depth: int
    result: str
    """``failed``, ``passed`` or ``skipped``; a test that is to do counts as skipped."""


def parse(text: str) -> Report | None:
    """Returns the failed tests; of nested ones the innermost, named from the outermost on."""
    lines = text.split("\n")
    if not runs.starts(lines, _BEGINS):
        return None
    points = list(_points(lines))
    plans = [int(match["count"]) for line in lines if (match := _PLAN.match(line))]
    outer = sum(point.depth == 0 for point in points)
    if plans != [outer] or any(line.startswith("Bail out!") for line in lines):
        return None
    leaves = list(_leaves(points))
    failed = [leaf for leaf in leaves if leaf.result == "failed"]
    records = [
        _raised(lines[leaf.first + 1 : leaf.last + 1]).record(leaf.first, leaf.last, leaf.test)
        for leaf in failed
    ]
    results = [leaf.result for leaf in leaves]
    return Report("tap", records, {name: results.count(name) for name in ("failed", "passed", "skipped")})


def _points(lines: Sequence[str]) -> Iterator[Point]:
    found = [(match, at) for at, line in enumerate(lines) if (match := _POINT.match(line))]
    stops = [*(at for _, at in found[1:]), len(lines)]
    for (match, at), until in zip(found, stops, strict=False):
        test = match["test"] or match["number"] or ""
        directive = _DIRECTIVE.search(test)
        name = test[: directive.start()] if directive else test
        result = "skipped" if directive else "failed" if match["not"] else "passed"
        last = next((end for end in range(at + 1, until) if _outside(lines[end])), until)
        yield Point(
            re.sub(r"\\(?=[#\\])", "", name.strip()),
            at,
            runs.end(lines, at, last),
            len(match["indent"]) // 4,
            result,
        )


def _outside(line: str) -> bool:
    """True if ``line`` is not a diagnostic of the point before it."""
    return bool(re.match(r" *# (?:Subtest: |tests? |Looks like )| *\d+\.\.\d+|[^\s#]", line))


def _leaves(points: Sequence[Point]) -> Iterator[Point]:
    """Yields the points without subtests; these stand before their parent and one level deeper."""
    waiting: list[list[Point]] = [[] for _ in range(_DEEPEST + 2)]
    for point in points:
        inner = [leaf for deeper in waiting[point.depth + 1 :] for leaf in deeper]
        for deeper in waiting[point.depth + 1 :]:
            deeper.clear()
        if not inner:
            waiting[point.depth].append(point)
        for leaf in inner:
            result = "skipped" if point.result == "skipped" else leaf.result
            waiting[point.depth].append(replace(leaf, test=f"{point.test} > {leaf.test}", result=result))
    yield from waiting[0]


def _raised(body: Sequence[str]) -> Raised:
    """Returns what the diagnostics after a point say: a YAML block, an indented error, or comments."""
    start = next((at for at, line in enumerate(body) if line.strip() == "---"), None)
    if start is not None:
        return _of_yaml(body[start + 1 :])
    if comments := [line.strip().lstrip("# ") for line in body if line.lstrip().startswith("#")]:
        place = next((match for line in comments if (match := _PERL_PLACE.match(line))), None)
        said = [
            line for line in comments if not line.startswith("Failed test") and not _PERL_PLACE.match(line)
        ]
        return Raised("", said, place and place["file"], int(place["line"]) if place else None)
    return frames.javascript_error(body) if any(line.strip() for line in body) else Raised()


def _of_yaml(block: Sequence[str]) -> Raised:
    values = dict(_pairs(block))
    said = next((values[key] for key in _MESSAGE if key in values), [""])
    error = next((values[key][0] for key in _TYPE if key in values), "")
    file, line = None, None
    for key in _PLACE:
        if file is None:
            file, line = frames.javascript(f"at {frame.removeprefix('at ')}" for frame in values.get(key, []))
    if file is None and "file" in values and "line" in values:
        file, line = values["file"][0], int(values["line"][0]) if values["line"][0].isdecimal() else None
    return Raised(error if error[:1].isupper() else "", said, file, line)


def _pairs(block: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields the keys of a YAML block, also of inner maps, each with the lines of its value."""
    at = 0
    while at < len(block) and block[at].strip() != "...":
        match = _KEY.match(block[at])
        at += 1
        if match is None:
            continue
        value = [match["value"].strip().strip("'\"")]
        if re.match(r"[|>][+-]?$", value[0]):
            indent = len(match["indent"])
            end = next((end for end in range(at, len(block)) if _indent(block[end]) <= indent), len(block))
            value = [line.strip() for line in block[at:end] if line.strip()] or [""]
            at = end
        yield match["key"], value


def _indent(line: str) -> int:
    """Returns the indent of ``line``; a blank one continues what it stands in."""
    return len(line) - len(line.lstrip()) if line.strip() else 1000
