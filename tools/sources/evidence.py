"""Finds the place of a value in its source, or reports that it is not there.

Values are compared in normal form: white space, case, quotation marks and dashes folded, whole words only,
numbers by value (``1,234`` is ``1_234`` is ``1234.0``), dates by year, month and day, texts also without
punctuation. A reworded value is unsupported.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import chain

from tools.sources.chunks import Chunk
from tools.sources.dates import Span, dates
from tools.sources.words import without_accents

_TYPOGRAPHY = str.maketrans(dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″«»", '"')
                            | dict.fromkeys("‐‑‒–—−", "-"))  # fmt: skip

_TIME = re.compile(r"(?:t|,? (?:at )?)(?P<clock>\d{1,2}:\d\d)(?P<seconds>:\d\d)?(?! ?[ap]\.?m)")
_ZONE = re.compile(r"(?:\.\d+)?(?: ?(?:z|utc|gmt|[-+]\d\d:?\d\d))?")

# Digits are found only if a word has no others: 2 in v2, 12 in 12ms, nothing in the hash a1b2.
_NUMBER = re.compile(
    r"(?<!\w)(?P<sign>(?<![\w)])[-+][$€£]?)?[^\W\d]*"
    r"(?P<digits>\d{1,3}(?: \d{3}){1,6}(?!\d)(?:[.,]\d{1,2}(?!\d))?|\d(?:[\d.,_']{0,60}\d)?)"
    r"(?P<power>e[-+]?\d{1,3}(?!\w))?[^\W\d]*(?!\w)"
)
_WORD = re.compile(r"\w+")
_NUMBER_WORDS = {
    word: Decimal(number)
    for number, words in enumerate(
        (
            "one un uno una ein eine um uma", "two dos zwei deux dois duas due", "three tres drei trois tre",
            "four cuatro vier quatre quatro quattro", "five cinco funf cinq cinque", "six seis sechs sei",
            "seven siete sieben sept sete sette", "eight ocho acht huit oito otto",
            "nine nueve neun neuf nove", "ten diez zehn dix dez dieci", "eleven once elf onze undici",
            "twelve doce zwolf douze doze dodici",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip
"""English, Spanish, German, French, Portuguese and Italian, without accents."""
_CLOCK = re.compile(
    r"(?<![\d.:])(?P<hour>\d{1,2})(?:[:.h] ?(?P<minute>\d\d)(?::00)?)?(?![\d:])"
    r" ?(?P<half>[ap]\.? ?m\b\.?|h\b|uhr\b|o'clock\b)?"
)
_NUMERIC = re.compile(r"[-+]?[#$€£]?\d(?:[\d.,_']*\d)?(?:e[-+]?\d{1,3})? ?%?")


class EvidenceIndex:
    """Chunks in which values are looked up; each is folded once, when first needed."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._folded_chunks = [_FoldedChunk(chunk) for chunk in chunks]
        self._known: dict[str | float, int | None] = {}

    def find(self, value: str | float) -> int | None:
        """Returns the line on which ``value`` first begins, or ``None``."""
        if value not in self._known:
            self._known[value] = self._find(value)
        return self._known[value]

    def _find(self, value: str | float) -> int | None:
        folded = _folded(value) if isinstance(value, str) else ""
        if isinstance(value, str) and not folded:
            return None
        for chunk in self._folded_chunks:
            at = chunk.words(folded) if isinstance(value, str) else chunk.number(Decimal(repr(value)))
            if at is not None:
                return chunk.line_of(at)
        return None


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
            # "25,30" and "1 200" may be one number or two columns of a table.
            parts = re.split(r"[, ]", digits)
            for number in (*_readings(found), *chain(*map(numbers_of, parts if len(parts) > 1 else ()))):
                numbers.setdefault(number, span)
        for word in _WORD.finditer(self._joined[0]):
            if (number := _NUMBER_WORDS.get(without_accents(word[0]))) is not None:
                numbers.setdefault(number, word.span())
        return numbers

    @cached_property
    def _dates(self) -> dict[date, list[Span]]:
        found: dict[date, list[Span]] = {}
        for day, span in dates(self._joined[0]):
            found.setdefault(day, []).append(span)
        return found

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
        if numeric:
            return self._number_in(value)
        return self._date(value) or self._time(value) or self._loosely(value)

    def number(self, value: Decimal) -> Span | None:
        return self._numbers.get(value)

    @cached_property
    def _words(self) -> tuple[str, list[int]]:
        """The words of the text, each after a space, and the end of each in the folded text."""
        found = list(_WORD.finditer(self._joined[0]))
        return "".join(f" {without_accents(word[0])}" for word in found) + " ", [word.end() for word in found]

    def _loosely(self, value: str) -> Span | None:
        """Returns the span of a value of letters whose words stand in the text.

        Accents, and what is between the words, do not matter.
        """
        if not any(character.isalpha() for character in value):
            return None
        wanted = " ".join(map(without_accents, _WORD.findall(value)))
        text, ends = self._words
        at = text.find(f" {wanted} ") if wanted else -1
        if at == -1:
            return None
        end = ends[text.count(" ", 0, at + 1) + wanted.count(" ") - 1]
        return end - 1, end

    def _time(self, value: str) -> Span | None:
        wanted = _CLOCK.fullmatch(value)
        if wanted is None:
            return None
        return self._times.get(min(_minutes(wanted)))

    @cached_property
    def _times(self) -> dict[int, Span]:
        """The first place of each time, by its minutes of the day."""
        times: dict[int, Span] = {}
        for found in _CLOCK.finditer(self._joined[0]):
            if found["minute"] or found["half"]:
                for minutes in _minutes(found):
                    times.setdefault(minutes, found.span())
        return times

    def _number_in(self, value: str) -> Span | None:
        found = _NUMBER.search(value.replace("#", ""))
        # A code with leading zeros is no quantity.
        if found is None or re.match(r"0\d", found["digits"]):
            return None
        return next(filter(None, map(self.number, _readings(found))), None)

    def _date(self, value: str) -> Span | None:
        wanted, (start, end) = next(dates(value), (None, (0, 0)))
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

    def line_of(self, span: Span) -> int:
        return self._lines[bisect_right(self._joined[1], span[0]) - 1][0]


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


def _minutes(found: re.Match[str]) -> set[int]:
    """Returns the minutes of the day that a time may mean: a clock of twelve hours has two."""
    hour, half = int(found["hour"]), found["half"] or ""
    minutes = hour * 60 + int(found["minute"] or 0)
    if half.startswith("p") and hour < 12:
        return {minutes + 720}
    if half.startswith("a"):
        return {minutes % 720}
    return {minutes, minutes + 720} if hour < 12 else {minutes}


def _joins(character: str) -> bool:
    """Returns whether ``character`` continues a word. Scripts from Thai on do not separate words."""
    return character == "_" or (character.isalnum() and character < "\u0e00")


def _readings(found: re.Match[str]) -> list[Decimal]:
    sign, power = (found["sign"] or "")[:1], found["power"] or ""
    return [Decimal(f"{sign}{value}{power}") for value in numbers_of(found["digits"])]


_NOTATIONS = (
    (r"\d+(?:\.\d+)?", "", "."),
    (r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", ",", "."),
    (r"\d{1,3}(?:'\d{3})+(?:\.\d+)?", "'", "."),
    (r"\d+(?:_\d+)+(?:\.\d+)?", "_", "."),
    (r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", ".", ","),
    (r"\d+,\d+", "", ","),
    (r"\d{1,3}(?: \d{3})+(?:[.,]\d+)?", " ", ","),
)
"""Pattern, separator of groups and decimal sign of the usual ways to write a number."""


def numbers_of(digits: str) -> list[Decimal]:
    """Returns the numbers that ``digits`` with separators may mean: 1.250 is 1.25 or, in Spanish, 1250."""
    return [
        Decimal(digits.replace(group, "").replace(point, "."))
        for notation, group, point in _NOTATIONS
        if re.fullmatch(notation, digits)
    ]


def _clock(text: str, at: int) -> tuple[str, int] | None:
    """Returns the time of day that follows a date, to the second, and its end; the zone is not compared."""
    found = _TIME.match(text, at)
    return (found["clock"].zfill(5) + (found["seconds"] or ":00"), found.end()) if found else None
