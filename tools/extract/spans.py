"""Finds names and phrases for fields without a notation of their own: a person, a title, a kind of thing.

Candidates are quoted words, runs of capitalised words, number words, and in a short text the phrases between
function words. Embeddings give their similarity to the field's name and to well-known examples of its values;
the words around them add to the score. The best pairs are assigned until none scores high enough.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from engines.base import Embeddings
from tools.extract.field_types import WEAK, kind_of
from tools.extract.fields import Field
from tools.extract.layout import Layout
from tools.extract.phrases import COUNT, NAMES, SORTS, VAGUE, Span, candidates
from tools.extract.values import Found, Tree
from tools.sources.words import alike, words

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Embeddings]]

NEAR = 0.38
"""Least score of a candidate. Set on the texts of this project's tests."""
NEAR_IF_DEMANDED = 0.25
"""Least score for a required field: a near phrase of the text is better than a model's invention."""
CANDIDATES = 300
"""Phrases tried in one text."""

# Cue words of field names, with well-known example values; own list.
EXAMPLES: tuple[tuple[str, str], ...] = (
    (
        "person people name artist author singer actor director speaker owner user employee customer writer"
        " composer",
        "John Smith|Maria Garcia|Wei Chen|Mohammed Ali|Anna Kowalska|Barack Obama|Peter|Emma|Lucas|Linda",
    ),
    ("artist band musician group", "The Beatles|Rolling Stones|Pink Floyd|Coldplay|Metallica"),
    ("city town location place", "Paris|Tokyo|Berlin|Chicago|Nairobi|Springfield"),
    ("country nation location place", "Germany|Brazil|Japan|Kenya|United States|Canada"),
    ("state province region location", "California|Texas|Bavaria|Ontario|NY|TX|Nevada"),
    ("poi landmark place location park venue", "Eiffel Tower|Lake Superior|Yosemite National Park"),
    (
        "organisation organization company corporation employer vendor firm brand institution",
        "Microsoft|Toyota|Reuters|Siemens|Deutsche Bank|Walmart|Stanford University",
    ),
    ("product device item model", "iPhone 12|PlayStation|Toyota Corolla|Photoshop|Coca-Cola|Windows 10"),
    (
        "work movie film book album song track game show title novel series object",
        "Star Wars|The Great Gatsby|Game of Thrones|Bohemian Rhapsody|The Godfather|War and Peace",
    ),
    ("group team club party", "Manchester United|Democratic Party|Los Angeles Lakers|Boy Scouts"),
    ("cuisine food dish meal", "Italian|sushi|pizza|Thai|barbecue|pasta"),
    ("genre style", "jazz|rock|hip hop|classical|country music"),
    ("service app platform provider", "Spotify|Netflix|YouTube|Apple Music|Amazon"),
)
LIMITS = frozenset("best max maximum total limit".split())  # noqa: SIM905 (words, not code)
PLACES = frozenset("city country state location place poi region town address venue".split())  # noqa: SIM905 (words, not code)
PERSONS = frozenset("artist author singer writer director person composer".split())  # noqa: SIM905 (words, not code)


async def named(
    fields: Sequence[Field], layout: Layout, topic: Iterable[str], known_values: Sequence[Found], embed: Embed
) -> dict[str, Tree]:
    """Returns values for those of ``fields`` that hold names or phrases.

    ``topic`` are words of the instructions about the subject, ``known_values`` are values found already.
    """
    lists = [field for field in fields if field.type == "array" and _is_plain(field.parts[0])]
    single = [field for field in fields if _is_plain(field)]
    spans = [span for span in candidates(layout, single) if not span.covers(known_values)][:CANDIDATES]
    if not spans or not (single or lists):
        return {}
    scores = await _scores([*single, *lists], spans, embed)
    pairs = [
        (scores[row][column] + bonus, field, span)
        for column, span in enumerate(spans)
        for row, field in enumerate([*single, *lists])
        if (bonus := _surroundings(field, span, layout, set(topic))) is not None
    ]
    return _taken(sorted(pairs, key=lambda pair: -pair[0]))


def _is_plain(field: Field) -> bool:
    kind = kind_of(field)
    return (
        field.type == "string" and not field.enum and not field.format and (kind is None or kind.name in WEAK)
    )


def _taken(pairs: Sequence[tuple[float, Field, Span]]) -> dict[str, Tree]:
    """Returns the best pairs, using no words twice; a field that is no list has one value."""
    values: dict[str, Tree] = {}
    used: list[Span] = []
    for score, field, span in pairs:
        least = NEAR if field.nullable or not field.required or field.type == "array" else NEAR_IF_DEMANDED
        free = all(span.end <= other.start or other.end <= span.start for other in used)
        if score < least or not free or (field.type != "array" and field.name in values):
            continue
        used.append(span)
        if field.type == "array":
            held = values.setdefault(field.name, [])
            assert isinstance(held, list)
            held.append(span.found)
        else:
            values[field.name] = span.found
    for value in values.values():
        if isinstance(value, list):
            value.sort(key=lambda found: found.start if isinstance(found, Found) else 0)
    return values


async def _scores(fields: Sequence[Field], spans: Sequence[Span], embed: Embed) -> list[list[float]]:
    """Returns the similarity of each span to each field: to its name, or to examples of its values."""
    import numpy as np

    examples = _examples(fields)
    known = list(dict.fromkeys(example for several in examples for example in several))
    phrases = [" ".join(_sought(field)) for field in fields]
    made = await embed([*phrases, *known, *(span.text for span in spans)])
    vectors = np.array(made.vectors, dtype=np.float32)
    there = vectors[len(phrases) + len(known) :]
    named = vectors[: len(phrases)] @ there.T
    shown = vectors[len(phrases) : len(phrases) + len(known)] @ there.T
    rows: list[list[float]] = []
    for index, several in enumerate(examples):
        best = named[index]
        if several:
            # The three nearest examples: one alone may be near by chance.
            like = np.sort(shown[[known.index(example) for example in several]], axis=0)[-3:].mean(axis=0)
            best = np.maximum(best, like)
        rows.append([float(score) for score in best])
    return rows


def _sought(field: Field) -> Sequence[str]:
    """Returns the words of the field's name without its sort: a ``device_type`` is a device."""
    return [word for word in field.words if word not in SORTS | NAMES] or field.words


def _examples(fields: Sequence[Field]) -> list[list[str]]:
    """Returns example values for each field. A group goes to the field whose word it lists first.

    Where persons are asked for beside artists, a plain name is a person's.
    """
    found: list[list[str]] = [[] for _ in fields]
    for cues, names in EXAMPLES:
        ranks = {word: rank for rank, word in enumerate(cues.split())}
        nearest = [
            min((ranks[word] for word in (*field.words, *field.hints) if word in ranks), default=len(ranks))
            for field in fields
        ]
        for index, rank in enumerate(nearest):
            if rank == min(nearest) < len(ranks):
                found[index] += names.split("|")
    return found


def _surroundings(field: Field, span: Span, layout: Layout, topic: set[str]) -> float | None:
    """Returns the score of a span's form and neighbouring words; ``None`` if it does not fit the field."""
    field_words = set(field.words)
    before = words(layout.text[max(layout.start, span.start - 40) : span.start])[-1:]
    after = words(layout.text[span.end : min(layout.end, span.end + 40)])[:1]
    beside = before[0] if before else ""
    if span.shape == "owner" or "owner" in field_words:
        return 0.5 if span.shape == "owner" and "owner" in field_words else None
    if "unit" in field_words:
        return 0.5 if _is_unit(span, beside) else None
    counted = kind_of(field) is not None and "description" not in field_words
    if span.shape == "count" or counted:
        return _of_count(span, beside, field_words) if span.shape == "count" and counted else None
    sort = bool(field.words) and field.words[-1] in SORTS
    if span.shape == "noun":
        return 0.1 if sort and any(alike(a, b) for a in words(span.text) for b in field.words) else None
    if set(words(span.text)) <= topic or (span.shape == "name" and sort):
        return None
    return _form(span, field_words) + _beside(field, field_words, beside, after)


def _form(span: Span, field_words: set[str]) -> float:
    """Scores a span's form: names for name fields; longer phrases score higher."""
    unlike = span.shape == "phrase" and bool(field_words & NAMES)
    return 0.1 * (span.shape == "name") - 0.1 * unlike + 0.04 * min(3, span.text.count(" "))


def _beside(field: Field, field_words: set[str], beside: str, after: Sequence[str]) -> float:
    """Scores the field's own words next to the span, and prepositions that fit it."""
    telling = [word for word in field.words if word not in VAGUE]
    return (
        0.25 * any(alike(word, other) for word in after for other in telling)
        + 0.2 * any(alike(beside, other) for other in telling)
        + 0.15 * (beside in ("in", "at", "near", "from") and bool(field_words & PLACES))
        + 0.25 * (beside == "by" and bool(field_words & PERSONS))
        + 0.3 * (beside in ("called", "named", "titled") and bool(field_words & (NAMES | {"object"})))
    )


def _is_unit(span: Span, beside: str) -> bool:
    """Returns whether the span is the single word after a number."""
    return span.shape in ("phrase", "noun") and COUNT.fullmatch(beside) is not None and " " not in span.text


def _of_count(span: Span, beside: str, field_words: set[str]) -> float | None:
    """Scores a number word: after "of" it is a maximum, else a count."""
    if "year" in field_words:
        return 0.5 if re.fullmatch(r"(?:19|20)\d\d", span.text) else None
    limit = bool(field_words & LIMITS)
    return 0.5 if limit == (beside == "of") else 0.0
