"""Reads a text line by line with a table entry that lists the lines its program prints.

The patterns of a ``Format`` match whole lines without trailing spaces. Their groups have the standard names;
a digit (``code2``) tells alternatives of one pattern apart. Groups under other names only tell records apart.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from textwrap import dedent

from engines.base import JsonValue
from tools.extract.formats.report import Record, Report

NUMBER = r"\d{1,9}"
PATH = r"(?:[A-Za-z]:[\\/])?[^:\s][^:]*"
FILE = rf"(?P<file>{PATH})"
PLACE = rf"{FILE}:(?P<line>{NUMBER})(?::(?P<column>{NUMBER}))?"
OTHER_PLACE = rf"{PATH}:{NUMBER}(?::{NUMBER})?"
"""The place a note names, which is not that of its record."""
CARET = r"\s*[\^~][\^~\s{}-]*"
NEVER = r"(?!)"

_NAMES = ("file", "line", "column", "severity", "code", "message")
_SYMBOLS = {
    "✖": "error",
    "×": "error",
    "⚠": "warning",
    "‼": "warning",
    "!": "warning",
    "ℹ": "info",
    "i": "info",
}
_WORDS = {"": 1, "no": 0, "one": 1, "two": 2, "three": 3, "four": 4}
"""Counts that programs print as words; "due to previous error" has none and means one."""
_COUNTED = {
    "errors": {"error", "fatal error", "fatal", "e"},
    "warnings": {"warning", "warn", "w"},
    "informations": {"information", "info"},
}
# Lines of what ran the program: a shell, make, npm, yarn, a CI job.
_RUNNER = (
    r"\$ \S.*|(?:make|gmake|ninja)(?:\[\d+\])?: .*|npm (?:ERR!|error).*| ?ELIFECYCLE .*"
    r"|> \S+@\d\S* \S.*|> (?:npx |yarn )?(?:eslint|tsc|vue-tsc|stylelint|biome|next|markdownlint\S*)(?: .*)?"
    r"|yarn run v\d.*|error Command failed with exit code \d+\.|info Visit https://yarnpkg\S+ .*"
    r"|Done in [\d.]+m?s\.|(?:##\[error\]|Error: )?Process completed with exit code \d+\."
)


@dataclass(frozen=True, slots=True)
class Format:
    """The lines of one program's output."""

    name: str
    record: str
    """Begins a record."""
    more: str = NEVER
    """Continues a record; its groups add values the record lacks, ``message`` lines up to the first other."""
    heading: str = NEVER
    """Gives values to the records below it, of which there is at least one."""
    summary: tuple[str, ...] = ()
    """Lines by which it is known; groups ``total errors warnings informations`` count its records."""
    noise: str = NEVER
    """Any other line it prints."""
    pointer: str = NEVER
    """A line of carets under a line of source."""
    block: tuple[str, str] = (NEVER, NEVER)
    """First and last line of a passage of any content."""
    needs: frozenset[str] = frozenset({"message"})
    """Values that every record has."""
    repeats: bool = False
    """It prints a record, or counts it, more than once."""


def read(text: str, form: Format) -> Report | None:
    """Returns the records of ``text`` if all of its lines are known and its counts agree."""
    reader = _Reader(form, text.split("\n"))
    return reader.report() if all(reader.takes(line) for line in reader.lines) else None


@dataclass(slots=True)
class _Draft:
    values: dict[str, JsonValue]
    told_apart_by: tuple[str | None, ...]
    first: int
    last: int
    in_message: bool = True
    """Whether the next line can go on with the message."""


@dataclass(slots=True)
class _Reader:
    form: Format
    lines: list[str]
    number: int = 0
    records: list[_Draft] = field(default_factory=list[_Draft])
    open: _Draft | None = None
    shared: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    heads_nothing: bool = False
    in_block: bool = False
    summarized: bool = False
    counts: dict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[int]](list)
    )

    def takes(self, line: str) -> bool:
        """Uses the next line as what it is; returns whether it is anything known."""
        self.number += 1
        line = line.rstrip()
        return (
            self._block(line)
            or not line
            or self._summary(line)
            or _matches(self.form.noise, line)
            or _matches(_RUNNER, line)
            or self._record(line)
            or self._source(line)
            or self._more(line)
            or self._heading(line)
        )

    def report(self) -> Report | None:
        if self.form.repeats:
            self._drop_repeated()
        found = [draft.values for draft in self.records]
        known = self.summarized or any("file" in values for values in found)
        totals = Counter({group: 0 for _, group in self.counts} | {"total": len(found)})
        totals.update(kind for values in found if (kind := _kind(values)))
        if (
            not known
            or self.heads_nothing
            or (self.in_block and not _matches(self.form.block[1], ""))
            or not all(self.form.needs <= values.keys() for values in found)
            or not self._agree(totals)
        ):
            return None
        records = [Record(draft.values, draft.first, draft.last) for draft in self.records]
        return Report(self.form.name, records, dict(totals))

    def _block(self, line: str) -> bool:
        first, last = self.form.block
        if self.in_block:
            self.in_block = not _matches(last, line)
            self._extend()
            return True
        self.in_block = _matches(first, line)
        return self.in_block

    def _summary(self, line: str) -> bool:
        for pattern in self.form.summary:
            if match := _compiled(pattern).fullmatch(line):
                # A bare number is no sign of a program.
                self.summarized, self.open = self.summarized or not line.isdecimal(), None
                for group, count in match.groupdict().items():
                    if count is not None:
                        self.counts[pattern, group].append(_number(count))
                return True
        return False

    def _record(self, line: str) -> bool:
        match = _compiled(self.form.record).fullmatch(line)
        if not match:
            return False
        values = _added({}, match)
        others = tuple(text for name, text in match.groupdict().items() if _standard(name) not in _NAMES)
        self.open = _Draft({**self.shared, **values}, others, self.number, self.number)
        self.records.append(self.open)
        self.heads_nothing = False
        return True

    def _source(self, line: str) -> bool:
        """Takes a line of carets and the line above it, below a record or a heading."""
        follows = self.open is not None and self.number == self.open.last + 1
        below = self.lines[self.number] if self.number < len(self.lines) else ""
        if not (follows or self.heads_nothing) or not any(
            _matches(self.form.pointer, near) for near in (line, below)
        ):
            return False
        self._extend()
        return True

    def _more(self, line: str) -> bool:
        match = _compiled(self.form.more).fullmatch(line)
        if not match or self.open is None:
            return False
        draft, told = self.open, match.groupdict().get("message")
        if told and draft.in_message:
            draft.values["message"] = f"{draft.values.get('message', '')} {told}".strip()
        draft.in_message = draft.in_message and bool(told)
        draft.values = _added(draft.values, match)
        self._extend()
        return True

    def _heading(self, line: str) -> bool:
        match = _compiled(self.form.heading).fullmatch(line)
        if not match or self.heads_nothing:
            return False
        self.shared = _added({}, match)
        self.heads_nothing, self.open = True, None
        return True

    def _extend(self) -> None:
        if self.open:
            self.open.last = self.number

    def _drop_repeated(self) -> None:
        unique: dict[tuple[object, ...], _Draft] = {}
        for draft in self.records:
            # Without a column, only the lines of source tell two errors in a line apart.
            lines = (
                "" if "column" in draft.values else dedent("\n".join(self.lines[draft.first : draft.last]))
            )
            unique.setdefault((*draft.values.items(), *draft.told_apart_by, lines), draft)
        self.records = list(unique.values())

    def _agree(self, totals: Counter[str]) -> bool:
        return all(
            (max(counts) if self.form.repeats else sum(counts)) <= totals[group] <= sum(counts)
            for (_, group), counts in self.counts.items()
        )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _matches(pattern: str, line: str) -> bool:
    return _compiled(pattern).fullmatch(line) is not None


def _standard(group: str) -> str:
    return group.rstrip("0123456789")


def _added(values: dict[str, JsonValue], match: re.Match[str]) -> dict[str, JsonValue]:
    """Returns ``values`` with those of ``match`` that they lack."""
    added = dict(values)
    for group, text in match.groupdict().items():
        name = _standard(group)
        if text and name in _NAMES:
            value = int(text) if name in ("line", "column") else text.strip()
            added.setdefault(name, _SYMBOLS.get(text, value) if name == "severity" else value)
    return added


def _number(count: str) -> int:
    return int(count) if count.isdecimal() else _WORDS[count]


def _kind(values: dict[str, JsonValue]) -> str:
    """Returns the name of the total that counts a record."""
    severity = str(values.get("severity", "")).casefold()
    return next((kind for kind, severities in _COUNTED.items() if severity in severities), "")
