"""Parses the output of Elixir's ExUnit (`mix test`)."""

import re
from collections.abc import Sequence

from tools.extract.formats import runs
from tools.extract.formats.report import Report
from tools.extract.formats.runs import Raised

_BEGINS = re.compile(r"Running ExUnit|Compiling \d|Generated |==> |[.*?]+$|\s+\d+\) |Finished in ")
_COUNT = re.compile(
    r"(?:\d+ (?:doctests?|properties|property), )*(?P<total>\d+) tests?, (?P<failed>\d+) failures?"
    r"(?P<rest>, .*)?$"
)
_HEAD = re.compile(r" +\d+\) (?P<test>(?:test|doctest|property) .* \([\w.]+\))$")
_PLACE = re.compile(r" {5}(?P<file>\S.*\.exs?):(?P<line>\d+)$")
_FRAME = re.compile(r" {7}(?:\([^()]+\) )?(?P<file>(?!deps/)\S+\.exs?):(?P<line>\d+): ")
_ERROR = re.compile(r"\*\* \((?P<error>[\w.]+)\) ?(?P<said>.*)$")
_MESSAGE_ENDS = re.compile(r"\s*(?:code|stacktrace|The following output was logged):")


def parse(text: str) -> Report | None:
    """Returns the failed tests of one run."""
    lines = text.split("\n")
    counts = [(at, match) for at, line in enumerate(lines) if (match := _COUNT.match(line))]
    if not runs.starts(lines, _BEGINS) or len(counts) != 1:
        return None
    end, count = counts[0]
    after = (line for line in lines[end + 1 :] if not line.startswith(("Randomized with", "Running ExUnit")))
    heads = [(at, match["test"]) for at in range(end) if (match := _HEAD.match(lines[at]))]
    if len(heads) != int(count["failed"]) or not runs.around(after):
        return None
    stops = [*(at for at, _ in heads[1:]), end]
    records = [
        _raised(lines[at + 1 : until]).record(at, _last(lines, at, until), test)
        for (at, test), until in zip(heads, stops, strict=True)
    ]
    skipped = re.search(r"\b(\d{1,9}) skipped", count["rest"] or "")
    totals = {
        "failed": len(records),
        "skipped": int(skipped[1]) if skipped else 0,
        "total": int(count["total"]),
    }
    return Report("exunit", records, totals)


def _last(lines: Sequence[str], at: int, until: int) -> int:
    """Returns the last line of a report, all of which is indented."""
    return runs.end(lines, at, next((line for line in range(at, until) if lines[line][:1].strip()), until))


def _raised(body: Sequence[str]) -> Raised:
    frames = [match for line in body if (match := _FRAME.match(line))]
    place = frames[0] if frames else next((match for line in body if (match := _PLACE.match(line))), None)
    end = next((at for at, line in enumerate(body) if line.strip() == "stacktrace:"), len(body))
    said = [line.strip() for line in body[:end] if line.strip() and not _PLACE.match(line)]
    error = _ERROR.match(said[0]) if said else None
    if error:
        ends = next((at for at, line in enumerate(said) if _MESSAGE_ENDS.match(line)), len(said))
        said = [error["said"], *said[1:ends]]
    name = error["error"] if error else ""
    return Raised(name, said, place["file"], int(place["line"])) if place else Raised(name, said)
