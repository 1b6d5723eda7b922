"""Reads a text of a known format into the fields of a schema, or leaves it to the model.

``formats/`` holds the parsers. A format is used only if the schema's fields are all among its values and the
instructions ask for nothing but all of its records, or those of a severity.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engines.base import JsonValue
from tools.extract.fields import Field
from tools.extract.formats.report import FAMILIES, Record, Report
from tools.sources.words import alike, words

SYNONYMS: Mapping[str, str] = MappingProxyType({
    "file": "file path filename source",
    "line": "line row lineno",
    "column": "column col",
    "severity": "severity level",
    "code": "code rule check id",
    "message": "message msg description text reason problem detail details error wrong said went",
    "test": "test name title id case",
    "error": "error exception type class kind",
    "references": "references refs issues pull requests numbers",
    "changes": "changes entries items notes",
    "version": "version release tag",
    "time": "time timestamp date",
    "ip": "ip address client host",
    "status": "status code",
})  # fmt: skip
"""Words of field names by standard name; other names in a text stand for themselves."""
GENERIC = frozenset("name number no value text the a of in that it its where what".split())  # noqa: SIM905 (words, not code)
"""Words that tell fields apart only if a name has no others."""
SEVERITIES: Mapping[str, re.Pattern[str]] = MappingProxyType({
    "error": re.compile(r"\berror(?:s|es)?\b", re.IGNORECASE),
    "warning": re.compile(r"\b(?:warnings?|advertencias?|avisos?)\b", re.IGNORECASE),
})  # fmt: skip
NEGATION = re.compile(
    r"\b(?:no|not|without|except|excluding|leav\w+ out|ignor\w+|omit\w*|sin|salvo|excepto)\b[^.;]{0,12}$",
    re.IGNORECASE,
)
"""Words before a severity that is not wanted."""
RESTRICTION = re.compile(
    r"\b(?:only|just|first|last|except|without|excluding|but|not|ignor\w+|most|least|unique|distinct"
    r"|solo|s[oó]lo|primer\w*|[uú]ltim\w*|excepto|salvo|sin|menos)\b|\w[.:]\w|\w/(?:\W|$)|/\w+/|[\"`]|\d",
    re.IGNORECASE,
)
"""Words and names that ask for some of the records."""
ANSI = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
"""Colours and cursor movements of a terminal."""


@dataclass(frozen=True, slots=True)
class Reading:
    format: str
    value: JsonValue
    lines: Mapping[str, tuple[int, int]]
    """First and last line of each record, from 1, by JSON pointer; ``""`` for a single record."""


def read(shape: Field, text: str, instructions: str) -> Reading | None:
    """Returns what ``shape`` asks for, if ``text`` is of a known format that has all of it."""
    # Imported here: its patterns take 40 ms to compile, which a server that is only started need not pay.
    from tools.extract.formats.catalog import parsed

    # Some programs indent by no-break spaces.
    report = parsed(ANSI.sub("", text).replace("\xa0", " "))
    return None if report is None else _reading(shape, report, instructions)


def _reading(shape: Field, report: Report, instructions: str) -> Reading | None:
    records = _asked_for(report.records, instructions)
    if records is None:
        return None
    if shape.type == "array":
        rows = _rows(shape.parts[0], records)
        return None if rows is None else _of_rows(report, rows, records, "")
    if shape.type != "object":
        return None
    lists = [part for part in shape.parts if part.type == "array" and part.parts[0].type == "object"]
    if not lists and len(records) == 1:
        rows = _rows(shape, records)
        lines = {"": (records[0].first, records[0].last)}
        return Reading(report.format, rows[0], lines) if rows else None
    if len(lists) != 1:
        return None
    totals = {part.name: _total(part, report.totals) for part in shape.parts if part not in lists}
    rows = _rows(lists[0].parts[0], records)
    if rows is None or None in totals.values():
        return None
    reading = _of_rows(report, rows, records, f"/{lists[0].name}")
    value: JsonValue = {**totals, lists[0].name: reading.value}
    return Reading(report.format, value, reading.lines)


def _of_rows(report: Report, rows: Sequence[JsonValue], records: Sequence[Record], prefix: str) -> Reading:
    lines = {f"{prefix}/{n}": (record.first, record.last) for n, record in enumerate(records)}
    return Reading(report.format, list(rows), lines)


def _asked_for(records: Sequence[Record], instructions: str) -> Sequence[Record] | None:
    """Returns the records of the severities that ``instructions`` name, all if none; ``None``: not clear."""
    known = {_severity(record) for record in records} & SEVERITIES.keys()
    named = {name: SEVERITIES[name].search(instructions) for name in known}
    wanted = {
        name for name, found in named.items() if found and not NEGATION.search(instructions[: found.start()])
    }
    if wanted:
        return [record for record in records if _severity(record) in wanted]
    return None if RESTRICTION.search(instructions) else records


def _severity(record: Record) -> str:
    printed = str(record.values.get("severity", "")).lower()
    return next((name for name in SEVERITIES if name[:4] in printed), printed)


def _rows(shape: Field, records: Sequence[Record]) -> list[JsonValue] | None:
    """Returns the records as objects of ``shape``; ``None`` unless every field has its own standard name."""
    if shape.type != "object":
        return None
    if not records:
        return []
    names = _names(shape.parts, _known(records))
    if names is None:
        return None
    rows: list[JsonValue] = []
    for record in records:
        row = {part.name: _typed(part, record.values.get(name)) for part, name in names}
        missing = [part for part, _ in names if row[part.name] is None and not part.nullable]
        if any(part.required for part in missing):
            return None
        rows.append({name: value for name, value in row.items() if name not in {p.name for p in missing}})
    return rows


def _known(records: Sequence[Record]) -> list[str]:
    """Returns the names of all values, and those of their family."""
    printed = dict.fromkeys(name for record in records for name in record.values)
    family = max(FAMILIES, key=lambda names: len(printed.keys() & set(names.split())))
    return list(
        dict.fromkeys([*printed, *(family.split() if len(printed.keys() & set(family.split())) > 1 else ())])
    )


def _names(parts: Sequence[Field], known: Sequence[str]) -> list[tuple[Field, str]] | None:
    scored = sorted(
        (
            (_score(part, name, known), -at, part.name, name)
            for part in parts
            for at, name in enumerate(known)
        ),
        reverse=True,
    )
    chosen: dict[str, str] = {}
    for score, _, part, name in scored:
        if score >= 1 and part not in chosen and name not in chosen.values():
            chosen[part] = name
    return [(part, chosen[part.name]) for part in parts] if len(chosen) == len(parts) else None


def _score(part: Field, name: str, known: Sequence[str]) -> float:
    """Returns 1 for each word of the field's name that means ``name``, and more for those that come last.

    Half a point for its description; a name that stands in the text as it is wins.
    """
    if part.name == name:
        return 100
    meant = (*words(name), *SYNONYMS.get(name, "").split())
    own = [word for word in part.words if word not in GENERIC] or list(part.words)
    score = sum(any(alike(word, other) for other in meant) for word in own)
    score += bool(own) and any(alike(own[-1], other) for other in meant)
    return score + 0.5 * any(alike(word, other) for word in part.hints for other in meant) if score else 0


def _total(part: Field, totals: Mapping[str, int]) -> int | None:
    own = set(part.words)
    return next((count for name, count in totals.items() if any(alike(name, word) for word in own)), None)


def _typed(part: Field, value: JsonValue) -> JsonValue:
    """Returns ``value`` in the field's type, or ``None``."""
    if part.type == "array":
        return value if isinstance(value, list) else []
    if value is None or isinstance(value, (list, dict)):
        return None
    if part.type == "string":
        return str(value)
    if part.type == "integer" and re.fullmatch(r"[-+]?\d+", str(value)):
        return int(str(value))
    if part.type == "number" and re.fullmatch(r"[-+]?\d+(?:\.\d+)?", str(value)):
        return float(str(value))
    return value if part.type == "boolean" and isinstance(value, bool) else None
