"""Values found in a text by rule: each field of a record gets the candidate that its surroundings name.

Nothing is asked of a model and nothing is made up. A field stays out of the answer when no candidate is
near enough; two fields never share a candidate while there is another.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.extract.field_types import BY_NAME, WEAK, kind_of
from tools.extract.fields import Field
from tools.extract.formats.reports import reported
from tools.extract.layout import Page, is_numeric
from tools.extract.value_formats import Kind
from tools.extract.values import Found, Tree
from tools.sources.words import COMMON, alike, shared, words

NAMED = 0.45
"""Least cue for a value that shows nothing by itself, such as a number: half the name beside it."""
SHORT = 300
"""Characters of a text in which one date is the date."""
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

Records = Callable[[Field, Page, Sequence[str]], list[Tree]]


def spot(fields: Sequence[Field], page: Page, hints: Sequence[str], records: Records) -> dict[str, Tree]:
    """The values of ``fields`` that ``page`` shows; ``hints`` are words of the caller's instructions."""
    found: dict[str, Tree] = {}
    for failure in reported(fields, page)[:1]:
        found |= failure
    scalars = [field for field in fields if field.type not in ("object", "array")]
    found |= _kinded([field for field in scalars if field.name not in found], page, hints)
    for field in fields:
        value = None if field.name in found else spot_one(field, page, hints, records)
        if value is not None:
            found[field.name] = value
    return found | _counted([f for f in scalars if is_numeric(f) and f.name not in found], page, found)


def spot_one(field: Field, page: Page, hints: Sequence[str], records: Records) -> Tree | None:
    """The value of a field that is no scalar of a known kind; ``None`` where nothing is near enough."""
    if field.type == "object":
        inner = spot(field.parts, _section(page, field) or page, (*hints, *field.words), records)
        return inner or None
    if field.type == "array":
        return _listed(field, page, hints, records)
    if field.enum:
        return _chosen(field, page, hints)
    if field.type == "boolean":
        return _switched(field, page)
    return _labelled(field, page)


@dataclass(frozen=True, slots=True)
class _Claim:
    score: float
    field: Field
    found: Found


def _kinded(fields: Sequence[Field], page: Page, hints: Sequence[str]) -> dict[str, Tree]:
    """Fields whose kind is known; the clearest claim first."""
    claims = [
        claim
        for field in fields
        if (kind := kind_of(field)) is not None
        for claim in _claims(kind, field, fields, page, hints)
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
    kind: Kind, field: Field, fields: Sequence[Field], page: Page, hints: Sequence[str]
) -> Iterable[_Claim]:
    candidates = page.find(kind, field)
    if not candidates and kind.name in ("date", "time") and not field.format:
        candidates = page.find(BY_NAME["moment"], field)
    pair = page.labelled(field, 0.6 if kind.name in WEAK else 0.9)
    if pair is not None and field.type == "string" and not field.format and kind.name not in ("date", "time"):
        within = [found for found in candidates if pair.start <= found.start < pair.start + len(pair.value)]
        if kind.name in WEAK or not within:
            return
        candidates = within
    siblings = [other for other in fields if other is not field and is_numeric(other)]
    lone = len({kind_of(other) for other in fields if other.name != field.name} & {kind}) == 0
    for found in candidates:
        cue = page.cue(found, field, candidates, hints)
        if kind.name == "number":
            if cue >= NAMED:
                yield _Claim(cue + _company(found, siblings, candidates, page), field, found)
            continue
        prominence = page.prominence(found)
        alone = lone and (
            prominence >= 0.1 or len(page.said) <= SHORT or not (field.nullable or not field.required)
        )
        if cue >= (0.25 if kind.telling else NAMED) or (kind.telling and alone):
            yield _Claim(cue + prominence, field, found)


def _company(found: Found, siblings: Sequence[Field], candidates: Sequence[Found], page: Page) -> float:
    """Counts stand together, and at the end: a line with more of the record's counts is its summary."""
    first, last = (
        page.text.rfind("\n", 0, found.start) + 1,
        page.text.find("\n", found.end) % (len(page.text) + 1),
    )
    at = bisect_left(candidates, first, key=lambda one: one.start)
    beside = [one for one in candidates[at : at + 8] if one.start < last and one is not found]
    told = sum(any(page.cue(one, field, candidates) >= NAMED for one in beside) for field in siblings[:8])
    return 0.1 * told + 0.05 * found.start / max(1, len(page.text))


def _labelled(field: Field, page: Page) -> Tree | None:
    pair = page.labelled(field)
    if pair is None or field.type == "string":
        return pair.found if pair else None
    return next(_numbers(pair.found, field), None)


def _numbers(found: Found, field: Field) -> Iterator[Found]:
    """The numbers in a value."""
    for number in BY_NAME["number"].find(str(found.value), field):
        yield Found(number.value, found.start + number.start, found.start + number.end)


def _chosen(field: Field, page: Page, hints: Sequence[str]) -> Tree | None:
    """The value of an enumeration that the text names; beside the field's name if it can be."""
    found = _literal(field, page)
    if not found:
        return None
    return max(found, key=lambda one: page.cue(one, field, found, hints) + page.prominence(one))


def _literal(field: Field, page: Page) -> list[Found]:
    found: list[Found] = []
    for value in field.enum:
        said = re.escape(str(value)).replace("_", "[_ -]").replace(r"\-", "[_ -]").replace(r"\ ", r"[_ -]")
        pattern = re.compile(rf"(?<!\w){said}(?!\w)", re.IGNORECASE)
        found += [Found(value, *m.span()) for m in pattern.finditer(page.text, page.start, page.end)]
    return sorted(found, key=lambda one: one.start)


def _switched(field: Field, page: Page) -> Tree | None:
    """What stands beside the name; else whether the text speaks of it without denying it."""
    pair = page.labelled(field)
    told = pair.value.lower().split()[0].strip(".,;") if pair else ""
    if told in TRUE | FALSE:
        return Found(told in TRUE)
    wanted = [word for word in field.words if word not in (*COMMON, "has", "is", "are", "was")]
    lines = [words(line) for line in page.said.split("\n")]
    near = [line for line in lines if wanted and all(any(alike(w, s) for s in line) for w in wanted)]
    if not near:
        return None if field.nullable or not field.required else Found(False)
    denied = ("no", "not", "without", "never", "non", "t")
    return Found(any(not any(word in denied for word in line) for line in near))


def _listed(field: Field, page: Page, hints: Sequence[str], records: Records) -> Tree | None:
    item = field.parts[0]
    if item.type == "object":
        return records(field, page, hints) or None
    kind = kind_of(item)
    if item.enum:
        found: Iterable[Found] = _literal(item, page)
    elif kind is None or kind.name in ("number", "message", "code"):
        found = _enumerated(field, item, page)
    else:
        found = page.find(kind, item)
    return _ordered(found, field) or None


def _ordered(found: Iterable[Found], field: Field) -> list[Tree]:
    """Without repeats, in reading order unless the schema's words ask for another."""
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


def _enumerated(field: Field, item: Field, page: Page) -> Iterator[Found]:
    """What stands beside the list's name, or under it as bullets."""
    pair = page.labelled(field)
    entries = _bullets(page, field) or (_split(pair.found) if pair else [])
    for entry in entries:
        if item.type == "string":
            yield entry
        else:
            yield from _numbers(entry, item)


def _split(found: Found) -> list[Found]:
    parts = re.finditer(r"[^,;\[\]{}\"']+?(?=\s*(?:[,;\[\]{}\"']|$)|\s+and\s)", str(found.value))
    trimmed = ((m[0].removeprefix(" and ").strip(), m) for m in parts)
    return [
        Found(said, found.start + m.start() + m[0].find(said), found.start + m.end())
        for said, m in trimmed
        if said
    ]


def _bullets(page: Page, field: Field) -> list[Found]:
    section = _section(page, field)
    if section is None:
        return []
    entry = re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)])[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
    return [Found(m[1], *m.span(1)) for m in entry.finditer(page.text, section.start, section.end)]


_TITLE = re.compile(
    r"^(?P<indent>[ \t]*)(?:#{1,6} +(?P<heading>.+?)|\[(?P<table>[\w.-]+)\]"
    r"|[*_]*(?P<key>[A-Za-z][\w /-]*?)[*_]*:[*_]*)[ \t]*$",
    re.MULTILINE,
)


def _section(page: Page, field: Field) -> Page | None:
    """The part of the page under a heading that says what ``field`` is called."""
    titles = list(_TITLE.finditer(page.text, page.start, page.end))
    for index, title in enumerate(titles):
        said = words(title["heading"] or title["table"] or title["key"])
        if len(said) <= 4 and shared(field.words, said) >= 0.6:
            below = (one.start() for one in titles[index + 1 :] if len(one["indent"]) <= len(title["indent"]))
            return Page(page.text, title.end(), next(below, page.end))
    return None


def _counted(fields: Sequence[Field], page: Page, found: dict[str, Tree]) -> dict[str, Tree]:
    """Counts no number in the text tells: lines that show it, entries of a list; none beside others is 0."""
    counts: dict[str, Tree] = {}
    told = any(isinstance(one, Found) and isinstance(one.value, int) for one in found.values())
    lists = {name: len(tree) for name, tree in found.items() if isinstance(tree, list)}
    for field in fields:
        kind = kind_of(field)
        if kind is None or kind.name != "number" or field.type != "integer":
            continue
        number = _tallied(field, page)
        lengths = [
            n for name, n in lists.items() if any(alike(a, b) for a in words(name) for b in field.words)
        ]
        if lengths:
            counts[field.name] = Found(lengths[0])
        elif number is not None and (number or told):
            counts[field.name] = Found(number)
    return counts


def _tallied(field: Field, page: Page) -> int | None:
    for name, marks in _STATUS.items():
        if any(alike(name, word) for word in field.words):
            lines = page.said.split("\n")
            counts = (sum(re.search(mark, line) is not None for line in lines) for mark in marks)
            return next(filter(None, counts), 0)
    return _mentioned(field, page)


def _mentioned(field: Field, page: Page) -> int | None:
    """Lines that hold the word a description says to count."""
    said = re.search(r"\b(?:number|count) of (?:the )?(\w+)|\bhow many (\w+)", field.about, re.IGNORECASE)
    if said is None:
        return None
    wanted = (said[1] or said[2]).lower()
    return sum(any(alike(wanted, word) for word in words(line)) for line in page.said.split("\n")) or None
