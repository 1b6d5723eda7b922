"""Parts that the parsers of test runs and stack traces share: messages, records, lines around a run."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import dedent

from engines.base import JsonValue
from tools.extract.formats.report import Record

# Characters kept of a message; assertion messages with long diffs continue for pages.
_LONGEST = 300
# What a shell, make, npm or a CI service prints before and after the run that it starts.
_AROUND = re.compile(
    r"\s*(?:$|[$%>#+] ?\S|\S{1,80}[$#%] |make(?:\[\d+\])?: |npm |yarn |pnpm |info Visit |error Command failed"
    r"|Error: Process completed|##\[|::\w+|Done in |error: (?:test|\d+ targets?) failed|exit (?:code|status) "
    # A command that make repeats, and what `time` measures.
    r"|(?:\S{0,80}/)?(?:python[\d.]*|pytest|cargo|npx|mvn|gradlew|phpunit|ctest|mix|dotnet) \S"
    r"|(?:real|user|sys)\s+\d+m)"
)


@dataclass(frozen=True, slots=True)
class Raised:
    """What a failure says: the type of its error, the lines of its message, and where it was raised."""

    error: str = ""
    said: Sequence[str] = ()
    file: str | None = None
    line: int | None = None

    def record(self, first: int, last: int, test: str = "") -> Record:
        """Returns it as a record on the lines ``first`` to ``last``, counted from 0, without empty values."""
        values: dict[str, JsonValue] = {
            "test": test,
            "error": short(self.error),
            "message": message(self.said),
            "file": self.file,
            "line": self.line,
        }
        return Record({name: value for name, value in values.items() if value}, first + 1, last + 1)


def around(lines: Iterable[str]) -> bool:
    """True if ``lines`` are blank or come from the shell, build tool or CI service that started the run."""
    return all(_AROUND.match(line) for line in lines)


def starts(lines: Sequence[str], begins: re.Pattern[str]) -> bool:
    """True if the first line that is not of a shell matches ``begins``: nothing else comes before."""
    return next(
        (bool(begins.match(line)) for line in lines if begins.match(line) or not around([line])), False
    )


def dedented(lines: Sequence[str]) -> list[str]:
    """Returns ``lines`` without common indent."""
    return dedent("\n".join(lines)).split("\n")


def message(lines: Sequence[str]) -> str:
    """Returns the non-blank ``lines`` without common indent, at most 300 characters, cut between words."""
    text = "\n".join(line.rstrip() for line in dedented(lines) if line.strip())
    if len(text) <= _LONGEST:
        return text
    return re.split(r"\s+\S*$", text[:_LONGEST], maxsplit=1)[0]


def short(name: str) -> str:
    """Returns the name of an exception type without its package."""
    return name.rpartition(".")[2]


def end(lines: Sequence[str], first: int, last: int) -> int:
    """Returns the last line from ``first`` to before ``last`` that is not blank."""
    while last - 1 > first and not lines[last - 1].strip():
        last -= 1
    return last - 1
