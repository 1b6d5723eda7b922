"""Finds values by rule: assigns each field of a record the candidate whose surroundings name it.

No model is asked and nothing is invented. A field is left out if no candidate scores high enough; two fields
share a candidate only if there is no other.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.extract.field_types import BY_NAME, WEAK, kind_of
from tools.extract.fields import Field
from tools.extract.formats.reports import reported
from tools.extract.layout import Layout, is_numeric
from tools.extract.value_formats import Kind
from tools.extract.values import Found, Tree
from tools.sources.words import COMMON, alike, shared, words

NAMED = 0.45
"""Least cue for a value without a telling form, such as a number: half the field's name beside it."""
SHORT = 300
"""Characters of a text in which a single date needs no label."""
TRUE = frozenset({"true", "yes", "on", "1", "enabled", "y", "✓", "x"})
FALSE = frozenset({"false", "no", "off", "0", "disabled", "n", "none"})

_STATUS = {
    "passed": (r"^\s*--- PASS:", r"\bPASSED\b", r"[.:] ?(?:ok|OK)$", r"^ok \d+", r"^\s*[✓✔√]", r"^\s*PASS\b"),
    "failed": (
        r"^\s*--- FAIL:",
        r"\bFAILED\b",
        r"[.:] ?FAIL$",
        r"^not ok \d+",
        r"^\s*[✗✘✕✖×]",
        r"^\s*FAIL\b",
    ),
    "skipped": (r"^\s*--- SKIP:", r"\bSKIPPED\b", r"[.:] ?(?:skipped|ignored)\b", r"^\s*SKIP\b"),
    "errors": (r"\b(?:ERROR|FATAL|CRITICAL)\b", r"\berror\b"),
    "warnings": (r"\bWARN(?:ING)?\b", r"\bwarning\b"),
}
"""How a line shows, in test runners and loggers, that it counts as one of these; the first in use counts."""

Records = Callable[[Field, Layout, Sequence[str]], list[Tree]]


def find_values(
    fields: Sequence[Field], layout: Layout, hints: Sequence[str], records: Records
) -> dict[str, Tree]:
    """Returns the values of ``fields`` found in ``layout``; ``hints`` are words of the instructions."""
    found: dict[str, Tree] = {}
    for failure in reported(fields, layout)[:1]:
        found |= failure
    scalars = [field for field in fields if field.type not in ("object", "array")]
    found |= _typed_values([field for field in scalars if field.name not in found], layout, hints)
    for field in fields:
        value = None if field.name in found else find_value(field, layout, hints, records)
        if value is not None:
            found[field.name] = value
    return found | _derived_counts(
        [f for f in scalars if is_numeric(f) and f.name not in found], layout, found
    )


def find_value(field: Field, layout: Layout, hints: Sequence[str], records: Records) -> Tree | None:
    """Returns the value of a field that is no scalar of a known kind, or ``None``."""
    if field.type == "object":
        inner = find_values(field.parts, _section(layout, field) or layout, (*hints, *field.words), records)
        return inner or None
    if field.type == "array":
        return _list_value(field, layout, hints, records)
    if field.enum:
        return _enum_value(field, layout, hints)
    if field.type == "boolean":
        return _boolean(field, layout)
    return _labelled_value(field, layout)


@dataclass(frozen=True, slots=True)
class _Claim:
    score: float
    field: Field
    found: Found


def _typed_values(fields: Sequence[Field], layout: Layout, hints: Sequence[str]) -> dict[str, Tree]:
    """Returns values of fields of a known kind; the best candidate is assigned first."""
    claims = [
        claim
        for field in fields
        if (kind := kind_of(field)) is not None
        for claim in _claims(kind, field, fields, layout, hints)
    ]
    values: dict[str, Tree] = {}
    taken: set[tuple[int, int]] = set()
    for claim in sorted(claims, key=lambda claim: -claim.score):
        span = (claim.found.start, claim.found.end)
        if claim.field.name not in values and span not in taken:
            values[claim.field.name] = claim.found
            taken.add(span)
    return values


def _claims(
    kind: Kind, field: Field, fields: Sequence[Field], layout: Layout, hints: Sequence[str]
) -> Iterable[_Claim]:
    candidates = layout.find(kind, field)
    if not candidates and kind.name in ("date", "time") and not field.format:
        candidates = layout.find(BY_NAME["moment"], field)
    pair = layout.labelled(field, 0.6 if kind.name in WEAK else 0.9)
    if pair is not None and field.type == "string" and not field.format and kind.name not in ("date", "time"):
        within = [found for found in candidates if pair.start <= found.start < pair.start + len(pair.value)]
        if kind.name in WEAK or not within:
            return
        candidates = within
    siblings = [other for other in fields if other is not field and is_numeric(other)]
    lone = len({kind_of(other) for other in fields if other.name != field.name} & {kind}) == 0
    for found in candidates:
        cue = layout.cue(found, field, candidates, hints)
        if kind.name == "number":
            if cue >= NAMED:
                yield _Claim(cue + _summary_bonus(found, siblings, candidates, layout), field, found)
            continue
        prominence = layout.prominence(found)
        alone = lone and (
            prominence >= 0.1 or len(layout.content) <= SHORT or not (field.nullable or not field.required)
        )
        if cue >= (0.25 if kind.telling else NAMED) or (kind.telling and alone):
            yield _Claim(cue + prominence, field, found)


def _summary_bonus(
    found: Found, siblings: Sequence[Field], candidates: Sequence[Found], layout: Layout
) -> float:
    """Scores a count by other counts of the record on its line and by position: summary lines come last."""
    first, last = (
        layout.text.rfind("\n", 0, found.start) + 1,
        layout.text.find("\n", found.end) % (len(layout.text) + 1),
    )
    at = bisect_left(candidates, first, key=lambda one: one.start)
    beside = [one for one in candidates[at : at + 8] if one.start < last and one is not found]
    counts_beside = sum(
        any(layout.cue(one, field, candidates) >= NAMED for one in beside) for field in siblings[:8]
    )
    return 0.1 * counts_beside + 0.05 * found.start / max(1, len(layout.text))


def _labelled_value(field: Field, layout: Layout) -> Tree | None:
    pair = layout.labelled(field)
    if pair is None or field.type == "string":
        return pair.found if pair else None
    return next(_numbers(pair.found, field), None)


def _numbers(found: Found, field: Field) -> Iterator[Found]:
    """Yields the numbers in a value."""
    for number in BY_NAME["number"].find(str(found.value), field):
        yield Found(number.value, found.start + number.start, found.start + number.end)


def _enum_value(field: Field, layout: Layout, hints: Sequence[str]) -> Tree | None:
    """Returns the value of an enumeration that the text contains, preferably beside the field's name."""
    found = _literal(field, layout)
    if not found:
        return None
    return max(found, key=lambda one: layout.cue(one, field, found, hints) + layout.prominence(one))


def _literal(field: Field, layout: Layout) -> list[Found]:
    found: list[Found] = []
    for value in field.enum:
        literal = re.escape(str(value)).replace("_", "[_ -]").replace(r"\-", "[_ -]").replace(r"\ ", r"[_ -]")
        pattern = re.compile(rf"(?<!\w){literal}(?!\w)", re.IGNORECASE)
        found += [Found(value, *m.span()) for m in pattern.finditer(layout.text, layout.start, layout.end)]
    return sorted(found, key=lambda one: one.start)


def _boolean(field: Field, layout: Layout) -> Tree | None:
    """Returns the value beside the name; else whether the text mentions it without a negation."""
    pair = layout.labelled(field)
    answer = pair.value.lower().split()[0].strip(".,;") if pair else ""
    if answer in TRUE | FALSE:
        return Found(answer in TRUE)
    wanted = [word for word in field.words if word not in (*COMMON, "has", "is", "are", "was")]
    lines = [words(line) for line in layout.content.split("\n")]
    near = [line for line in lines if wanted and all(any(alike(w, s) for s in line) for w in wanted)]
    if not near:
        return None if field.nullable or not field.required else Found(False)
    denied = ("no", "not", "without", "never", "non", "t")
    return Found(any(not any(word in denied for word in line) for line in near))


def _list_value(field: Field, layout: Layout, hints: Sequence[str], records: Records) -> Tree | None:
    item = field.parts[0]
    if item.type == "object":
        return records(field, layout, hints) or None
    kind = kind_of(item)
    if item.enum:
        found: Iterable[Found] = _literal(item, layout)
    elif kind is None or kind.name in ("number", "message", "code"):
        found = _enumerated(field, item, layout)
    else:
        found = layout.find(kind, item)
    return _ordered(found, field) or None


def _ordered(found: Iterable[Found], field: Field) -> list[Tree]:
    """Returns distinct values in reading order, unless the schema's words ask for another order."""
    kept: dict[str, Found] = {}
    for one in found:
        kept.setdefault(str(one.value), one)
    about = f"{field.about} {field.parts[0].about}".lower()
    if not re.search(r"\b(?:ascending|sorted|in order|increasing|descending|decreasing|alphabetical)", about):
        return list(kept.values())
    ordered: list[Tree] = []
    ordered += sorted(kept.values(), key=_rank, reverse=bool(re.search(r"descending|decreasing", about)))
    return ordered


def _rank(found: Found) -> tuple[float, str]:
    value = found.value
    return (float(value), "") if isinstance(value, (int, float)) else (0.0, str(value))


def _enumerated(field: Field, item: Field, layout: Layout) -> Iterator[Found]:
    """Yields the entries beside the list's name, or under it as bullets."""
    pair = layout.labelled(field)
    entries = _bullets(layout, field) or (_split(pair.found) if pair else [])
    for entry in entries:
        if item.type == "string":
            yield entry
        else:
            yield from _numbers(entry, item)


def _split(found: Found) -> list[Found]:
    parts = re.finditer(r"[^,;\[\]{}\"']+?(?=\s*(?:[,;\[\]{}\"']|$)|\s+and\s)", str(found.value))
    trimmed = ((m[0].removeprefix(" and ").strip(), m) for m in parts)
    return [
        Found(entry, found.start + m.start() + m[0].find(entry), found.start + m.end())
        for entry, m in trimmed
        if entry
    ]


def _bullets(layout: Layout, field: Field) -> list[Found]:
    section = _section(layout, field)
    if section is None:
        return []
    entry = re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
    return [Found(m[1], *m.span(1)) for m in entry.finditer(layout.text, section.start, section.end)]


_TITLE = re.compile(
    r"^(?P<indent>[ \t]*)(?:#{1,6} +(?P<heading>.+?)|\[(?P<table>[\w.-]+)\]"
    r"|[*_]*(?P<key>[A-Za-z][\w /-]*?)[*_]*:[*_]*)[ \t]*$",
    re.MULTILINE,
)


def _section(layout: Layout, field: Field) -> Layout | None:
    """Returns the part under a heading that matches the name of ``field``."""
    titles = list(_TITLE.finditer(layout.text, layout.start, layout.end))
    for index, title in enumerate(titles):
        title_words = words(title["heading"] or title["table"] or title["key"])
        if len(title_words) <= 4 and shared(field.words, title_words) >= 0.6:
            below = (one.start() for one in titles[index + 1 :] if len(one["indent"]) <= len(title["indent"]))
            return Layout(layout.text, title.end(), next(below, layout.end))
    return None


def _derived_counts(fields: Sequence[Field], layout: Layout, found: dict[str, Tree]) -> dict[str, Tree]:
    """Returns counts that the text does not state: matching lines, lengths of lists, or 0 beside others."""
    counts: dict[str, Tree] = {}
    counts_known = any(isinstance(one, Found) and isinstance(one.value, int) for one in found.values())
    lists = {name: len(tree) for name, tree in found.items() if isinstance(tree, list)}
    for field in fields:
        kind = kind_of(field)
        if kind is None or kind.name != "number" or field.type != "integer":
            continue
        number = _status_lines(field, layout)
        lengths = [
            n for name, n in lists.items() if any(alike(a, b) for a in words(name) for b in field.words)
        ]
        if lengths:
            counts[field.name] = Found(lengths[0])
        elif number is not None and (number or counts_known):
            counts[field.name] = Found(number)
    return counts


def _status_lines(field: Field, layout: Layout) -> int | None:
    for name, marks in _STATUS.items():
        if any(alike(name, word) for word in field.words):
            lines = layout.content.split("\n")
            counts = (sum(re.search(mark, line) is not None for line in lines) for mark in marks)
            return next(filter(None, counts), 0)
    return _lines_with_counted_word(field, layout)


def _lines_with_counted_word(field: Field, layout: Layout) -> int | None:
    """Counts lines that contain the word named in the description."""
    request = re.search(r"\b(?:number|count) of (?:the )?(\w+)|\bhow many (\w+)", field.about, re.IGNORECASE)
    if request is None:
        return None
    wanted = (request[1] or request[2]).lower()
    return (
        sum(any(alike(wanted, word) for word in words(line)) for line in layout.content.split("\n")) or None
    )
