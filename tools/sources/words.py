"""Splits labels and names into words, and matches synonyms such as ``qty`` and ``quantity``."""

import re
import unicodedata
from functools import cache

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
# Words that occur in descriptions of any field. Own list: English function words and the
# vocabulary of schemas.
COMMON = frozenset(
    """
    a all an and any are array as at be by each empty every extract field fields find for from given has have
    if in into is it its list named no not null of on one only or out per string text that the their there
    these they this to type types value values was were what when where which who with you your
    """.split()  # noqa: SIM905 (words, not code)
)

# English suffixes, longest first. A stem has at least three letters, except ids and prs.
_ENDINGS = ("ures", "ings", "ions", "ure", "ing", "ion", "ers", "ed", "er", "es", "ly", "s", "e", "d")
# Abbreviations and synonyms of labels in forms, logs and code; own list, from no data set.
_GROUPS = (
    "number no nr num",
    "phone telephone tel mobile cell",
    "email mail",
    "quantity qty count amount",
    "amount amt sum",
    "company organisation organization employer firm",
    "address addr",
    "url link website homepage web site webpage",
    "customer client buyer",
    "vendor seller supplier merchant",
    "duration elapsed took runtime time",
    "author by writer",
    "price cost",
    "failed fail failure failing fails ko",
    "passed pass passing ok success succeeded successful",
    "skipped skip ignored pending",
    "released release published",
    "due deadline until",
    "title subject heading",
    "role position job",
    "reference ref",
    "description desc details item",
    "department dept",
    "maximum max",
    "minimum min",
    "average avg mean",
    "message msg",
    "zip zipcode postcode postal",
    "id identifier",
    "language lang",
    "licence license",
    "place location where venue",
    "start begin from since",
    "end stop finish to till",
)


_PLAIN = {code: unicodedata.normalize("NFD", chr(code))[0] for code in range(0xC0, 0x250)}


def without_accents(text: str) -> str:
    """Returns composed ``text`` with the accents of Latin letters removed; every position is kept."""
    return text.translate(_PLAIN)


def words(text: str) -> tuple[str, ...]:
    """Returns the words of ``text`` in lower case; identifiers are split."""
    return tuple(word.lower() for word in _WORDS.findall(text))


@cache
def stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= (2 if ending == "s" else 3):
            return word if word.endswith("ss") else word[: -len(ending)]
    return word


@cache
def _meanings() -> dict[str, frozenset[int]]:
    known: dict[str, set[int]] = {}
    for index, group in enumerate(_GROUPS):
        for word in group.split():
            known.setdefault(stem(word), set()).add(index)
    return {word: frozenset(groups) for word, groups in known.items()}


@cache
def alike(one: str, other: str) -> bool:
    first, second = stem(one), stem(other)
    if first == second:
        return True
    meanings = _meanings()
    return not meanings.get(first, frozenset()).isdisjoint(meanings.get(second, frozenset()))
