"""Where a value stands in its source, or that it does not.

Values are compared in normal form: white space and case folded, numbers by value, dates by
year, month and day. A value that is only reworded counts as unsupported: the caller can trust
what is not listed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engines.base import JsonObject, JsonValue
from tools.chunks import Chunk

QUOTE_CHARACTERS = 160

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(_MONTH + r"\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<d>\d{1,2})(?:st|nd|rd|th)?[\s-]+" + _MONTH + r",?[\s-]+(?P<y>\d{4})", re.IGNORECASE),
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")


@dataclass(frozen=True, slots=True)
class Evidence:
    path: str
    line: int
    quote: str

    def as_json(self) -> JsonObject:
        return {"path": self.path, "line": self.line, "quote": self.quote}


def leaves(value: JsonValue, pointer: str = "") -> Iterator[tuple[str, str | int | float]]:
    """Every string and number in ``value`` with its JSON pointer; null and booleans claim no words."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, f"{pointer}/{index}")
    elif value is not None and not isinstance(value, bool) and value != "":
        yield pointer, value


def find(value: str | float, chunks: Sequence[Chunk]) -> Evidence | None:
    """Where ``value`` stands in ``chunks``, or ``None``."""
    for chunk in chunks:
        at = _position(value, chunk.text)
        if at is not None:
            return _evidence(chunk, *at)
    return None


def _position(value: str | float, text: str) -> tuple[int, int] | None:
    if isinstance(value, str):
        return _find_words(value, text) or _find_date(value, text)
    return _find_number(float(value), text)


def _find_words(value: str, text: str) -> tuple[int, int] | None:
    words = value.split()
    if not words:
        return None
    # Whole words: "2" is not evidence in "2024".
    pattern = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    pattern += r"\s+".join(map(re.escape, words))
    pattern += r"(?!\w)" if re.search(r"\w\Z", words[-1]) else ""
    found = re.search(pattern, text, re.IGNORECASE)
    return found.span() if found else None


def _find_number(value: float, text: str) -> tuple[int, int] | None:
    for found in _NUMBER.finditer(text):
        if float(found[0].replace(",", "").replace("_", "")) == value:
            return found.span()
    # A number glued to a unit or sign: "#1648", "v2", "12ms".
    bare = f"{value:g}" if value != int(value) else str(int(value))
    glued = re.search(rf"(?<![\d.]){re.escape(bare)}(?![\d]|\.\d)", text)
    return glued.span() if glued else None


def _find_date(value: str, text: str) -> tuple[int, int] | None:
    wanted = _date(next(_all_dates(value), None))
    if wanted is None:
        return None
    return next((found.span() for found in _all_dates(text) if _date(found) == wanted), None)


def _all_dates(text: str) -> Iterator[re.Match[str]]:
    for pattern in _DATES:
        yield from pattern.finditer(text)


def _date(found: re.Match[str] | None) -> tuple[int, int, int] | None:
    if found is None:
        return None
    parts = found.groupdict()
    month = parts.get("m") or MONTHS.index(parts["month"][:3].lower()) + 1
    return int(parts["y"]), int(month), int(parts["d"])


def _evidence(chunk: Chunk, start: int, end: int) -> Evidence:
    """The line around the found place, cut around it when it is long."""
    text = chunk.text
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last == -1 else last
    if last - first > QUOTE_CHARACTERS:
        first = max(first, start - QUOTE_CHARACTERS // 4)
        last = min(last, max(end, first + QUOTE_CHARACTERS))
    quote = text[first:last].strip()[:QUOTE_CHARACTERS]
    return Evidence(chunk.document.path, chunk.line + text.count("\n", 0, start), quote)
