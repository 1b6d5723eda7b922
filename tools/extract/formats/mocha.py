"""Parses the output of Mocha's reporters that list failures at the end: spec, dot, min, list, nyan."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import frames, runs
from tools.extract.formats.report import Record, Report

_BEGINS = re.compile(r"  ")
_COUNT = re.compile(r" {2}(?P<count>\d+) (?P<what>passing|pending|failing)(?: \(\d\w+\))?$")
_FRAME = re.compile(r"\s+at \S")


def parse(text: str) -> Report | None:
    """Returns the failed tests and hooks of one run."""
    lines = text.split("\n")
    printed = [(match, at) for at, line in enumerate(lines) if (match := _COUNT.match(line))]
    counts = {match["what"]: int(match["count"]) for match, _ in printed}
    # All that Mocha prints is indented.
    if not runs.starts(lines, _BEGINS) or len(printed) != len(counts) or "passing" not in counts:
        return None
    records = list(_failures(lines, printed[-1][1] + 1))
    end = records[-1].last if records else printed[-1][1] + 1
    if len(records) != counts.get("failing", 0) or not runs.around(lines[end:]):
        return None
    totals = {"failed": len(records), "passed": counts["passing"], "skipped": counts.get("pending", 0)}
    return Report("mocha", records, totals)


def _failures(lines: Sequence[str], start: int) -> Iterator[Record]:
    heads = list(_heads(lines, start))
    for at, until in zip(heads, [*heads[1:], len(lines)], strict=False):
        named = next((line for line in range(at, until) if lines[line].endswith(":")), at)
        title = [lines[at].partition(") ")[2], *(line.strip() for line in lines[at + 1 : named + 1])]
        # The stack ends a report; without one, blank lines or the next report do.
        last = max((line for line in range(named, until) if _FRAME.match(lines[line])), default=until - 1)
        raised = frames.javascript_error(lines[named + 1 : last + 1])
        yield raised.record(at, runs.end(lines, at, last + 1), " ".join(title).removesuffix(":"))


def _heads(lines: Sequence[str], start: int) -> Iterator[int]:
    """Yields the lines ``  1) suite``, ``  2) suite``, which are numbered without a gap."""
    number = 1
    for at in range(start, len(lines)):
        if lines[at].startswith(f"  {number}) "):
            yield at
            number += 1
