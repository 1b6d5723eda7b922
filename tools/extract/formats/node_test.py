"""Parses what node:test prints to a terminal: its spec reporter."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_OPENS = re.compile(r"(?P<indent> *)▶ (?P<test>\S.*)$")
_CLOSES = re.compile(r"(?P<indent> *)✖ (?P<test>\S.*) \([\d.]+m?s\)(?P<why> # .*)?$")
_COUNT = re.compile(r"ℹ (?P<what>tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) (?P<count>\d+)")
_LIST = "✖ failing tests:"
_AT = re.compile(r"test at (?P<file>\S.*):(?P<line>\d+):\d+$")


def parse(text: str) -> Report | None:
    """Returns the failed tests, named from the outermost suite on."""
    lines = text.split("\n")
    found = [(match, at) for at, line in enumerate(lines) if (match := _COUNT.match(line))]
    counts = {match["what"]: int(match["count"]) for match, _ in found}
    if len(found) != len(counts) or not counts.keys() >= {"tests", "pass", "fail"}:
        return None
    tree, after = lines[: found[0][1]], found[-1][1] + 1
    start = lines.index(_LIST) if _LIST in lines else len(lines)
    names = list(_failed(tree))
    records = list(_failures(lines, start, names))
    if len(records) != len(names) or len(records) > counts["fail"] + counts.get("cancelled", 0):
        return None
    if bool(records) != bool(counts["fail"]) or not runs.around(lines[after:start]):
        return None
    totals = {"failed": counts["fail"], "passed": counts["pass"], "skipped": counts.get("skipped", 0)}
    return Report("node:test", records, totals | {"total": counts["tests"]})


def _failed(tree: Sequence[str]) -> Iterator[str]:
    """Yields the full names of the failed tests that are not suites, in the order of the tree."""
    suites: list[tuple[int, str]] = []
    for line in tree:
        if opens := _OPENS.match(line):
            suites = [suite for suite in suites if suite[0] < len(opens["indent"])]
            suites.append((len(opens["indent"]), opens["test"]))
        elif closes := _CLOSES.match(line):
            here = (len(closes["indent"]), closes["test"])
            if here not in suites and not closes["why"]:
                yield " > ".join([name for indent, name in suites if indent < here[0]] + [here[1]])
            suites = [suite for suite in suites if suite[0] < here[0]]


def _failures(lines: Sequence[str], start: int, names: Sequence[str]) -> Iterator[Record]:
    """Yields the reports in the list of failing tests, which is in the order of ``names``."""
    heads = [
        at
        for at in range(start + 1, len(lines))
        if _CLOSES.match(lines[at]) and not lines[at].startswith(" ")
    ]
    waiting = list(names)
    for at, until in zip(heads, [*heads[1:], len(lines)], strict=False):
        closes, place = _CLOSES.match(lines[at]), _AT.match(lines[at - 1])
        if closes is None or closes["why"] or not waiting or not waiting[0].endswith(closes["test"]):
            continue
        end = next((end for end in range(at + 1, until) if _AT.match(lines[end])), until)
        raised = frames.javascript_error(lines[at + 1 : end])
        if place and not raised.file:
            raised = replace(raised, file=place["file"], line=int(place["line"]))
        yield raised.record(at, runs.end(lines, at, end), waiting.pop(0))
