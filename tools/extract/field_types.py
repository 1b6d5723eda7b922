"""Infers the kind of value a field holds from its format, type, name and description."""

import re
from functools import cache
from types import MappingProxyType

from tools.extract.fields import Field
from tools.extract.value_formats import KINDS, Kind
from tools.sources.words import stem

BY_NAME = MappingProxyType({kind.name: kind for kind in KINDS})
FORMATS = MappingProxyType({
    "date": "date", "date-time": "datetime", "time": "time", "email": "email", "idn-email": "email",
    "uri": "url", "uri-reference": "url", "iri": "url", "ipv4": "ip", "ipv6": "ip", "uuid": "uuid",
})  # fmt: skip
"""JSON Schema's formats."""
NUMERIC = frozenset({"integer", "number"})
WEAK = frozenset({"code"})
"""Kinds with general cue words; tried after the words have been tried for all other kinds."""
SHADOWING = ("email", "url", "datetime", "date", "time", "uuid", "ip", "version", "cve", "percent")
"""Kinds whose digits are not searched for numbers."""


@cache
def _cued() -> dict[str, list[Kind]]:
    known: dict[str, list[Kind]] = {}
    for kind in KINDS:
        for cue in kind.cues:
            known.setdefault(stem(cue), []).append(kind)
    return known


def kind_of(field: Field) -> Kind | None:
    """Returns the kind of value of ``field``, or ``None`` for words of no particular kind."""
    if field.enum or field.type not in NUMERIC | {"string"}:
        return None
    if field.format in FORMATS:
        return BY_NAME[FORMATS[field.format]]
    if field.type == "string" and re.search(r"y{4}-mm-dd", field.about, re.IGNORECASE):
        return BY_NAME["date"]
    # The last word of a name decides: a test file is a file.
    kind = _by_words(field.words[::-1], field) or _by_words(field.hints, field)
    return BY_NAME["number"] if kind is None and field.type in NUMERIC else kind


def _by_words(cues: tuple[str, ...], field: Field) -> Kind | None:
    fitting = [kind for word in cues for kind in _cued().get(stem(word), ()) if field.type in kind.types]
    return next((kind for kind in fitting if kind.name not in WEAK), fitting[0] if fitting else None)
