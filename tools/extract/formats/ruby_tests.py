"""Parses the output of RSpec and of minitest, also under Rails."""

import re
from collections.abc import Iterator, Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Record, Report
from tools.extract.formats.runs import Raised

_RSPEC_COUNT = re.compile(
    r"(?P<total>\d+) examples?, (?P<failed>\d+) failures?(?:, (?P<pending>\d+) pending)?$"
)
_RSPEC_HEAD = re.compile(r"  \d+\) (?P<test>\S.*)$")
_RSPEC_FRAME = re.compile(r"\s+# (?P<file>\S.*?):(?P<line>\d+)(?::in |$)")
_RSPEC_AFTER = re.compile(r"Failed examples:|rspec |Randomized with seed|Coverage report|Line Coverage")
_MINITEST_BEGINS = re.compile(
    r"Run options: |Running \d+ tests|# Running|Loaded suite|Started$|Running via Spring"
)
_MINITEST_COUNT = re.compile(
    r"(?P<total>\d+) (?:runs|tests), \d+ assertions, (?P<failed>\d+) failures, (?P<errors>\d+) errors, "
    r"(?P<skipped>\d+) skips$"
)
_MINITEST_HEAD = re.compile(r"(?:  +\d+\) )?(?P<kind>Failure|Error):$")
_MINITEST_TEST = re.compile(r"(?P<test>[^\s#]+#.*?)(?: \[(?P<file>[^\[\]]+):(?P<line>\d{1,9})\])?:$")
_MINITEST_FRAME = re.compile(r"    (?P<file>\S.*?):(?P<line>\d+):in ")
_ERROR = re.compile(r"(?P<error>(?:[A-Z]\w*::)*[A-Z]\w*):(?: (?P<said>.*))?$")
# Frames of installed gems and of Ruby.
_FOREIGN = re.compile(r"/gems/|/lib/ruby/|<internal:|^bin/")


def parse(text: str) -> Report | None:
    """Returns the failed examples or tests of one run."""
    lines = text.split("\n")
    return _rspec(lines) or _minitest(lines)


def _rspec(lines: Sequence[str]) -> Report | None:
    counts = [(at, match) for at, line in enumerate(lines) if (match := _RSPEC_COUNT.match(line))]
    if len(counts) != 1:
        return None
    end, count = counts[0]
    start = lines.index("Failures:") if "Failures:" in lines[:end] else end
    finished = next((at for at in range(start, end) if lines[at].startswith("Finished in ")), end)
    heads = [(at, match) for at in range(start, finished) if (match := _RSPEC_HEAD.match(lines[at]))]
    if len(heads) != int(count["failed"]):
        return None
    if not runs.around(line for line in lines[end + 1 :] if not _RSPEC_AFTER.match(line)):
        return None
    records = [
        _example(lines[at + 1 : until]).record(at, runs.end(lines, at, until), head["test"])
        for (at, head), until in zip(heads, [*(at for at, _ in heads[1:]), finished], strict=True)
    ]
    total, skipped = int(count["total"]), int(count["pending"] or 0)
    totals = {
        "failed": len(records),
        "passed": total - len(records) - skipped,
        "skipped": skipped,
        "total": total,
    }
    return Report("rspec", records, totals)


def _example(body: Sequence[str]) -> Raised:
    """Reads the report of an example: the code, a blank line, the message, the frames."""
    frames = [match for line in body if (match := _RSPEC_FRAME.match(line))]
    said_end = next((at for at, line in enumerate(body) if _RSPEC_FRAME.match(line)), len(body))
    code_end = next((at for at in range(said_end) if not body[at].strip()), said_end)
    said = runs.dedented([line for line in body[code_end:said_end] if line.strip()])
    error = _ERROR.match(said[0])
    if error:
        said = [error["said"] or "", *said[1:]]
    place = next((frame for frame in frames if not _FOREIGN.search(frame["file"])), None)
    return _placed(error["error"] if error else "", said, place)


def _placed(error: str, said: Sequence[str], place: re.Match[str] | None) -> Raised:
    name = error.rpartition("::")[2]
    return Raised(name, said, place["file"], int(place["line"])) if place else Raised(name, said)


def _minitest(lines: Sequence[str]) -> Report | None:
    counts = [(at, match) for at, line in enumerate(lines) if (match := _MINITEST_COUNT.match(line))]
    if not runs.starts(lines, _MINITEST_BEGINS) or len(counts) != 1:
        return None
    if not runs.around(line for line in lines[counts[0][0] + 1 :] if "--verbose" not in line):
        return None
    totals = {name: int(count) for name, count in counts[0][1].groupdict().items()}
    found = list(_reports(lines, counts[0][0]))
    kinds = [kind for kind, _ in found]
    if [kinds.count("Failure"), kinds.count("Error")] != [totals["failed"], totals["errors"]]:
        return None
    passed = totals["total"] - totals["failed"] - totals["errors"] - totals["skipped"]
    return Report("minitest", [record for _, record in found], totals | {"passed": passed})


def _reports(lines: Sequence[str], end: int) -> Iterator[tuple[str, Record]]:
    for at in range(end - 1):
        head, test = _MINITEST_HEAD.match(lines[at]), _MINITEST_TEST.match(lines[at + 1])
        if not head or not test:
            continue
        until = next((line for line in range(at + 2, end) if not lines[line].strip()), end)
        body = lines[at + 2 : until]
        frames = [match for line in body if (match := _MINITEST_FRAME.match(line))]
        own = next((frame for frame in frames if not _FOREIGN.search(frame["file"])), None)
        said = [line for line in body if not _MINITEST_FRAME.match(line)]
        error = _ERROR.match(said[0]) if said and head["kind"] == "Error" else None
        if error:
            said = [error["said"] or "", *said[1:]]
        raised = _placed(error["error"] if error else "", said, own or (test if test["file"] else None))
        yield head["kind"], raised.record(at, until - 1, test["test"])
