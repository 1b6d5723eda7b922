"""Finds dates in text, in the notations and month names of eight languages."""

import re
from collections.abc import Iterator
from datetime import date

from tools.sources.words import without_accents

Span = tuple[int, int]

_NAMES = (
    "jan january gen gener gennaio ene enero janv janvier janeiro januar januari",
    "feb february febr febrer febrero febbraio fev fevereiro fevr fevrier februar februari",
    "mar march marc marco mars marz marzo maart mrt",
    "apr april abr abril aprile avr avril d'abr d'abril",
    "may mai maig maio maggio mag mayo mei",
    "jun june juin juni junho junio juny giu giugno",
    "jul july juil juillet juli julho julio juliol lug luglio",
    "aug august augustus ag ago agost agosto aout d'ag d'agost",
    "sep sept september septembre septiembre set setembre setembro settembre",
    "oct october octobre octubre okt oktober ott ottobre out outubro d'oct d'octubre",
    "nov november noviembre novembre novembro",
    "dec december decembre des desembre dez dezember dezembro dic dicembre diciembre",
)
"""Names and abbreviations in English, Spanish, German, French, Portuguese, Italian, Dutch and Catalan,
without accents, January first; from Unicode CLDR."""
_MONTHS = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_LINK = r"(?:[ -]|,? |\.? ?(?:of|de|del|di|d') ?)"
_YEAR = r"(?P<y>\d{4})"

_NUMERIC = tuple(
    re.compile(rf"(?<![a-z\d.,/-]){notation}(?![\d/-]|[.,]\d)")
    for notation in (
        r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
        r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
        r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)",
        r"(?P<d>\d{1,2})\. (?P<m>\d{1,2})\. (?P<y>\d{4})",
    )
)
_WORDED = tuple(
    re.compile(rf"(?<![a-z\d]){notation}(?!\d)")
    for notation in (
        rf"{_MONTH} (?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? {_YEAR})?",
        rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|º|o|\.)?{_LINK}{_MONTH}(?:{_LINK}{_YEAR})?",
    )
)
_FULL_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def dates(text: str, *, day_first: bool = False) -> Iterator[tuple[date, Span]]:
    """Yields every date in the folded ``text`` with its span.

    A date that may be read in two ways (``03/04/2022``) is yielded twice unless ``day_first``, one without a
    year once for every year that the text names.
    """
    plain = without_accents(text).replace("’", "'")
    years = {int(year) for year in _FULL_YEAR.findall(plain)}
    for notation in (*_NUMERIC, *_WORDED):
        for found in notation.finditer(plain):
            for day in _days(found.groupdict(), years, day_first=day_first):
                yield day, found.span()


def _days(parts: dict[str, str | None], years: set[int], *, day_first: bool) -> Iterator[date]:
    year = parts.get("y")
    if year and len(year) == 2:
        year = f"20{year}"
    if "a" in parts:
        a, b = int(parts["a"] or 0), int(parts["b"] or 0)
        pairs = {(b, a)} if day_first and b <= 12 else {(b, a), (a, b)}
    elif parts.get("month"):
        pairs = {(_MONTHS[parts["month"] or ""], int(parts["d"] or 0))}
    else:
        pairs = {(int(parts["m"] or 0), int(parts["d"] or 0))}
    for each in [int(year)] if year else sorted(years):
        for month, day in sorted(pairs):
            if 1 <= month <= 12 and 1 <= day <= 31:
                try:
                    yield date(each, month, day)
                except ValueError:
                    continue
