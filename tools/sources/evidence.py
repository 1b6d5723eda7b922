"""Finds the place of a value in its source, or reports that it is not there.

Values are compared in normal form: white space, case, quotation marks and dashes folded, whole words only,
numbers by value (``1,234`` is ``1_234`` is ``1234.0``), dates by year, month and day. A reworded value is
unsupported, and so is a date whose source is ambiguous (``03/04/2022``), so that supported values are
reliable.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from engines.base import JsonObject, JsonValue
from tools.sources.chunks import Chunk

QUOTE_CHARACTERS = 160

_TYPOGRAPHY = str.maketrans(dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″«»", '"')
                            | dict.fromkeys("‐‑‒–—−", "-"))  # fmt: skip

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DATES = tuple(
    re.compile(rf"(?<![a-z\d]){notation}(?!\d)")
    for notation in (
        r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
        r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
        # With dots the day comes first everywhere; with slashes and hyphens either may.
        r"(?P<d>\d{1,2})\. ?(?P<m>\d{1,2})\. ?(?P<y>\d{4})",
        r"(?P<a>\d{1,2})(?P<sep>[-/])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4})",
        _MONTH + r" (?P<d>\d{1,2})(?:st|nd|rd|th)?,? (?P<y>\d{4})",
        r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?(?: of |[ -])" + _MONTH + r",?[ -](?P<y>\d{4})",
    )
)
_TIME = re.compile(r"(?:t|,? (?:at )?)(?P<clock>\d{1,2}:\d\d)(?P<seconds>:\d\d)?(?! ?[ap]\.?m)")
_ZONE = re.compile(r"(?:\.\d+)?(?: ?(?:z|utc|gmt|[-+]\d\d:?\d\d))?")

# Digits are found only if a word has no others: 2 in v2, 12 in 12ms, nothing in the hash a1b2.
_NUMBER = re.compile(
    r"(?<!\w)(?P<sign>(?<![\w)])[-+][$€£]?)?[^\W\d]*"
    r"(?P<digits>\d(?:[\d.,_']{0,60}\d)?)(?P<power>e[-+]?\d{1,3}(?!\w))?[^\W\d]*(?!\w)"
)
_NUMERIC = re.compile(r"[-+]?[#$€£]?\d(?:[\d.,_']*\d)?(?:e[-+]?\d{1,3})? ?%?")


@dataclass(frozen=True, slots=True)
class Evidence:
    path: str
    line: int
    quote: str

    def as_json(self) -> JsonObject:
        return {"path": self.path, "line": self.line, "quote": self.quote}


def leaves(value: JsonValue, pointer: str = "") -> Iterator[tuple[str, str | int | float]]:
    """Yields every string and number in ``value`` with its JSON pointer; null and booleans are skipped."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, f"{pointer}/{index}")
    elif not isinstance(value, bool) and value is not None and str(value).strip():
        yield pointer, value


class EvidenceIndex:
    """Chunks in which values are looked up; each is folded once, when first needed."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._folded_chunks = [_FoldedChunk(chunk) for chunk in chunks]
        self._known: dict[str | float, Evidence | None] = {}

    def find(self, value: str | float) -> Evidence | None:
        """Returns the first place of ``value``, or ``None``."""
        if value not in self._known:
            self._known[value] = self._find(value)
        return self._known[value]

    def _find(self, value: str | float) -> Evidence | None:
        folded = _folded(value) if isinstance(value, str) else ""
        if isinstance(value, str) and not folded:
            return None
        for chunk in self._folded_chunks:
            at = chunk.words(folded) if isinstance(value, str) else chunk.number(Decimal(repr(value)))
            if at is not None:
                return chunk.evidence(*at)
        return None


Span = tuple[int, int]


class _FoldedChunk:
    """A chunk with its lines joined in normal form; spans are positions in that form."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        """Non-empty lines with their numbers, white space collapsed."""
        lines = enumerate(self._chunk.text.split("\n"), self._chunk.line)
        return [(number, " ".join(line.split())) for number, line in lines if line.strip()]

    @cached_property
    def _joined(self) -> tuple[str, list[int]]:
        """The folded text, and the offset at which each line begins."""
        folded = [_folded(line) for _, line in self._lines]
        starts: list[int] = []
        at = 0
        for line in folded:
            starts.append(at)
            at += len(line) + 1
        return " ".join(folded), starts

    @cached_property
    def _numbers(self) -> dict[Decimal, Span]:
        numbers: dict[Decimal, Span] = {}
        for found in _NUMBER.finditer(self._joined[0]):
            digits, span = found["digits"], found.span("digits")
            whole = _reading(found)
            # "25,30" may be one number or two columns of a table.
            for number in (whole, *map(_value, digits.split(",") if "," in digits else ())):
                if number is not None:
                    numbers.setdefault(number, span)
        return numbers

    @cached_property
    def _dates(self) -> dict[date, list[Span]]:
        dates: dict[date, list[Span]] = {}
        for day, span in _dates(self._joined[0]):
            dates.setdefault(day, []).append(span)
        return dates

    def words(self, value: str) -> Span | None:
        """Returns the span of the folded ``value`` as whole words, as a number, or as a date."""
        numeric = _NUMERIC.fullmatch(value) is not None
        text = self._joined[0]
        start = text.find(value)
        while start != -1:
            end = start + len(value)
            if not _cuts(text, start, numeric=numeric) and not _cuts(text, end, numeric=numeric):
                return start, end
            start = text.find(value, start + 1)
        return self._number_in(value) if numeric else self._date(value)

    def number(self, value: Decimal) -> Span | None:
        return self._numbers.get(value)

    def _number_in(self, value: str) -> Span | None:
        found = _NUMBER.search(value.replace("#", ""))
        # A code with leading zeros is no quantity.
        if found is None or re.match(r"0\d", found["digits"]):
            return None
        number = _reading(found)
        return None if number is None else self.number(number)

    def _date(self, value: str) -> Span | None:
        wanted, (start, end) = next(_dates(value), (None, (0, 0)))
        if wanted is None or start:
            return None
        clock = _clock(value, end)
        if value[end:] and (clock is None or not _ZONE.fullmatch(value, clock[1])):
            return None
        for span in self._dates.get(wanted, ()):
            found_clock = _clock(self._joined[0], span[1])
            if clock is None or (found_clock and found_clock[0] == clock[0]):
                return span
        return None

    def evidence(self, start: int, end: int) -> Evidence:
        """Returns the lines of a span, cut around it if they are long."""
        starts = self._joined[1]
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1)
        quote = " ".join(line for _, line in self._lines[first:last])
        if len(quote) > QUOTE_CHARACTERS:
            cut = max(0, min(start - starts[first] - QUOTE_CHARACTERS // 4, len(quote) - QUOTE_CHARACTERS))
            quote = quote[cut : cut + QUOTE_CHARACTERS].strip()
        return Evidence(self._chunk.document.path, self._lines[first][0], quote)


def _folded(text: str) -> str:
    """Returns normal form: composed letters, plain quotes and dashes, lower case."""
    folded = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).casefold()
    return " ".join(folded.split())


def _cuts(text: str, at: int, *, numeric: bool) -> bool:
    """Returns whether a border at ``at`` cuts a word or a number: "2" is no evidence in "2024" or "1.2"."""
    if not 0 < at < len(text):
        return False
    if _joins(text[at - 1]) and _joins(text[at]):
        return True
    return numeric and re.search(r"\d[.,]\d", text[max(0, at - 2) : at + 2]) is not None


def _joins(character: str) -> bool:
    """Returns whether ``character`` continues a word. Scripts from Thai on do not separate words."""
    return character == "_" or (character.isalnum() and character < "\u0e00")


def _reading(found: re.Match[str]) -> Decimal | None:
    value = _value(found["digits"])
    return None if value is None else Decimal(f"{(found['sign'] or '')[:1]}{value}{found['power'] or ''}")


def _value(digits: str) -> Decimal | None:
    """Returns the number that ``digits`` with separators mean, in one of the usual notations."""
    for notation, group, point in (
        (r"\d+(?:\.\d+)?", "", "."),
        (r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", ",", "."),
        (r"\d{1,3}(?:'\d{3})+(?:\.\d+)?", "'", "."),
        (r"\d+(?:_\d+)+(?:\.\d+)?", "_", "."),
        (r"\d{1,3}(?:\.\d{3})+,\d+", ".", ","),
        (r"\d+,\d{1,2}", "", ","),
    ):
        if re.fullmatch(notation, digits):
            return Decimal(digits.replace(group, "").replace(point, "."))
    return None


def _dates(text: str) -> Iterator[tuple[date, Span]]:
    """Yields every unambiguous date in the folded ``text``."""
    for notation in _DATES:
        for found in notation.finditer(text):
            day = _day(found.groupdict())
            if day is not None:
                yield day, found.span()


def _day(parts: dict[str, str]) -> date | None:
    if "a" in parts:
        first, second = sorted((int(parts["a"]), int(parts["b"])))
        if second <= 12 and first != second:
            return None
        month, day = first, second
    else:
        month = _MONTHS.index(parts["month"][:3]) + 1 if "month" in parts else int(parts["m"])
        day = int(parts["d"])
    try:
        return date(int(parts["y"]), month, day)
    except ValueError:
        return None


def _clock(text: str, at: int) -> tuple[str, int] | None:
    """Returns the time of day that follows a date, to the second, and its end; the zone is not compared."""
    found = _TIME.match(text, at)
    return (found["clock"].zfill(5) + (found["seconds"] or ":00"), found.end()) if found else None
