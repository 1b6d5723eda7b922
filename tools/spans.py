"""Names and phrases for fields of no notation of their own: a person, a title, the kind of a thing.

Candidates are read off the text: what stands in quotes, runs of capitalised words, number words, and in a
short text whatever stands between function words. Embeddings say how near each lies to what a field is
called and to well-known examples of what it may hold; the words around it add to that. The best pairs
are taken until none is near enough.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engines.base import Embeddings
from tools.fields import Field, words
from tools.kinds import NUMBER_WORDS, WEAK, Found, Tree, kind_of
from tools.likeness import alike
from tools.pages import Page

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Embeddings]]

NEAR = 0.38
"""Least score of a candidate. Set on the texts of this project's tests, between what they hold and do not."""
NEAR_IF_DEMANDED = 0.25
"""The same for a field that must be there: the nearest words of the text rather than a model's own."""
SHORT = 600
"""Characters of a text of which every phrase is tried; in longer ones only names are."""
CANDIDATES = 300
"""Phrases tried in one text."""

# Well-known examples of what fields hold, and the words of field names that say so; own list.
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
# Words that name no thing: function words, and verbs of requests; own list.
STOPS = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being below between
    both but by can could did do does doing down during each few for from further had has have having he her
    here hers him his how i if in into is it its just let like may me might more most must my need no nor not
    now of off on once only or other our out over own please same she should so some such than that the their
    them then there these they this those through to too under until up us very was we were what when where
    which while who whom whose why will with would you your yours i'd i'll i'm i've it's let's what's don't
    name add book find give get go help look make play put rate reserve search see show start tell think use
    want wants watch hear called named titled
    """.split()  # noqa: SIM905
)
JOINTS = frozenset("of the and & a an de la le del von van der da di y".split())  # noqa: SIM905
"""Small words inside of names: War and Peace, Game of Thrones."""
LOOSE = frozenset("in on at for to by with without from".split())  # noqa: SIM905
"""Small words inside of titles, and as often between two names: Singin' in the Rain, Anna in Rome."""
# Words of field names that say what sort of words the value is, not what it is about.
SORTS = frozenset("type kind category item genre class sort".split())  # noqa: SIM905
NAMES = frozenset("name title".split())  # noqa: SIM905
VAGUE = (
    SORTS
    | NAMES
    | frozenset(
        "size number value description relation part of current best object entity unit range time".split()  # noqa: SIM905
    )
)
LIMITS = frozenset("best max maximum total limit".split())  # noqa: SIM905
PLACES = frozenset("city country state location place poi region town address venue".split())  # noqa: SIM905
PERSONS = frozenset("artist author singer writer director person composer".split())  # noqa: SIM905

_TOKEN = re.compile(r"[^\s,;!?()\"“”]+")
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,80})[\"”]")
_COUNT = re.compile(rf"\b(?:\d+(?:\.\d+)?|{NUMBER_WORDS.replace(' ', '|')})\b", re.IGNORECASE)
_OWNER = re.compile(r"\b(?:my|our|his|her|their)\b|\b\w+['’]s\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Span:
    text: str
    start: int
    end: int
    shape: str
    """name, opening (its capital may be the sentence's), phrase, noun (of a field's name), count, owner."""

    @property
    def found(self) -> Found:
        return Found(self.text, self.start, self.end)


async def named(
    fields: Sequence[Field], page: Page, topic: Iterable[str], told: Sequence[Found], embed: Embed
) -> dict[str, Tree]:
    """Values for those of ``fields`` that hold names or phrases.

    ``topic`` are words of the caller's that say what the text is about, ``told`` values known already.
    """
    lists = [field for field in fields if field.type == "array" and _is_plain(field.parts[0])]
    single = [field for field in fields if _is_plain(field)]
    spans = [span for span in _candidates(page, single) if not _covered(span, told)][:CANDIDATES]
    if not spans or not (single or lists):
        return {}
    scores = await _scores([*single, *lists], spans, embed)
    pairs = [
        (scores[row][column] + bonus, field, span)
        for column, span in enumerate(spans)
        for row, field in enumerate([*single, *lists])
        if (bonus := _surroundings(field, span, page, set(topic))) is not None
    ]
    return _taken(sorted(pairs, key=lambda pair: -pair[0]))


def _covered(span: _Span, told: Sequence[Found]) -> bool:
    return any(found.start < span.end and span.start < found.end for found in told)


def _is_plain(field: Field) -> bool:
    kind = kind_of(field)
    return (
        field.type == "string" and not field.enum and not field.format and (kind is None or kind.name in WEAK)
    )


def _taken(pairs: Sequence[tuple[float, Field, _Span]]) -> dict[str, Tree]:
    """The best pairs, no words used twice; a field that is no list has one value."""
    values: dict[str, Tree] = {}
    used: list[_Span] = []
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


async def _scores(fields: Sequence[Field], spans: Sequence[_Span], embed: Embed) -> list[list[float]]:
    """How near each span lies to each field: to its name, or to examples of what it holds."""
    import numpy as np

    examples = [_examples(field) for field in fields]
    known = list(dict.fromkeys(example for several in examples for example in several))
    phrases = [" ".join(field.words) for field in fields]
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


def _examples(field: Field) -> list[str]:
    said = {*field.words, *field.hints}
    return [name for cues, names in EXAMPLES if said & set(cues.split()) for name in names.split("|")]


def _candidates(page: Page, fields: Sequence[Field]) -> list[_Span]:
    """Every phrase of the text that could be a value."""
    text = page.said
    cues = {word for field in fields for word in field.words if word not in VAGUE}
    spans = [_span(page, m.start(1), m.end(1), "name") for m in _QUOTED.finditer(text)]
    spans += _names(page)
    if len(text) <= SHORT and fields:
        spans += [_span(page, *m.span(), "count") for m in _COUNT.finditer(text)]
        spans += [_span(page, *m.span(), "owner") for m in _OWNER.finditer(text)]
        spans += _phrases(page, spans, cues)
    return list({(span.start, span.end): span for span in reversed(spans)}.values())[::-1]


def _span(page: Page, first: int, last: int, shape: str) -> _Span:
    """The span of ``page.said`` in the page's text, without the full stop of a sentence."""
    said = page.said[first:last].rstrip(".:")
    return _Span(said, page.start + first, page.start + first + len(said), shape)


def _names(page: Page) -> list[_Span]:
    """Runs of capitalised words, with the small words between them."""
    text = page.said
    tokens = list(_TOKEN.finditer(text))
    if sum(token[0].isupper() for token in tokens) > len(tokens) / 2:
        return []
    spans: dict[tuple[int, int], _Span] = {}
    for joints in (JOINTS, JOINTS | LOOSE):
        at = 0
        while at < len(tokens):
            last = _run(text, tokens, at, joints)
            if last >= at:
                first, end = tokens[at].start(), tokens[last].end()
                opens = not text[:first].strip() or text[:first].rstrip()[-1] in ".!?:"
                spans[first, end] = _span(page, first, end, "opening" if opens and last == at else "name")
            at = max(at, last) + 1
    return [span for span in spans.values() if len(span.text) > 1]


def _run(text: str, tokens: Sequence[re.Match[str]], at: int, joints: frozenset[str]) -> int:
    """Index of the last token of the name that begins at ``at``, or less where none begins."""
    begins = tokens[at][0]
    follows = at + 1 < len(tokens) and tokens[at + 1][0][:1].isupper()
    if not begins[:1].isupper() or (begins.lower() in STOPS and not (follows and at)) or begins == "I":
        return at - 1
    last = at
    for index in range(at + 1, min(at + 12, len(tokens))):
        said, before = tokens[index][0], tokens[index - 1]
        gap = text[before.end() : tokens[index].start()]
        ends = before[0].endswith(":") or (before[0].endswith(".") and len(before[0]) > 4)
        if gap.strip() or "\n" in gap or said == "I" or ends:
            break
        if said[:1].isupper() or said[:1].isdigit() or said == "&":
            last = index
        elif said.lower() not in joints:
            break
    return last


def _phrases(page: Page, taken: Sequence[_Span], cues: set[str]) -> list[_Span]:
    """What stands between function words, and each word of it; a field's own word is a border."""
    text = page.said
    used = [
        (span.start - page.start, span.end - page.start)
        for span in taken
        if span.shape in ("name", "opening")
    ]
    spans: list[_Span] = []
    held: list[re.Match[str]] = []
    for token in [*_TOKEN.finditer(text), None]:
        word = token[0].lower().strip(".:") if token else ""
        noun = any(alike(word, cue) for cue in cues)
        border = token is None or word in STOPS or noun or _OWNER.fullmatch(word) is not None
        border = border or any(first < token.end() and token.start() < last for first, last in used if token)
        gap = text[held[-1].end() : token.start()].strip() if held and token else ""
        if held and (border or gap):
            spans.append(_span(page, held[0].start(), held[-1].end(), "phrase"))
            spans += [_span(page, *one.span(), "phrase") for one in held if len(held) > 1]
            held = []
        if noun and token:
            spans.append(_span(page, *token.span(), "noun"))
        elif not border and token:
            held.append(token)
    return spans


def _surroundings(field: Field, span: _Span, page: Page, topic: set[str]) -> float | None:
    """What the form of a span and the words beside it add to its score; ``None``: not this field's."""
    said = set(field.words)
    before = words(page.text[max(page.start, span.start - 40) : span.start])[-2:]
    after = words(page.text[span.end : min(page.end, span.end + 40)])[:1]
    beside = before[-1] if before else ""
    if span.shape == "owner" or "owner" in said:
        return 0.5 if span.shape == "owner" and "owner" in said else None
    counted = kind_of(field) is not None and "description" not in said
    if "unit" in said:
        return (
            0.5
            if span.shape in ("phrase", "noun") and _COUNT.fullmatch(beside) and " " not in span.text
            else None
        )
    if span.shape == "count" or counted:
        return _of_count(span, beside, said) if span.shape == "count" and counted else None
    if span.shape == "noun":
        mine = any(alike(a, b) for a in words(span.text) for b in field.words)
        return 0.1 if mine and field.words[-1] in SORTS else None
    if set(words(span.text)) <= topic or (
        span.shape == "name" and field.words[-1:] and field.words[-1] in SORTS
    ):
        return None
    bonus = 0.1 * (span.shape == "name") - 0.1 * (span.shape == "phrase" and bool(said & NAMES))
    bonus += 0.04 * min(3, span.text.count(" "))
    telling = [word for word in field.words if word not in VAGUE]
    bonus += 0.25 * any(alike(word, other) for word in after for other in telling)
    bonus += 0.2 * any(alike(beside, other) for other in telling)
    bonus += 0.15 * (beside in ("in", "at", "near", "from") and bool(said & PLACES))
    bonus += 0.25 * (beside == "by" and bool(said & PERSONS))
    return bonus + 0.3 * (beside in ("called", "named", "titled") and bool(said & (NAMES | {"object"})))


def _of_count(span: _Span, beside: str, said: set[str]) -> float | None:
    """A number word: after "of" it is the most there is, before it how many there are."""
    if "year" in said:
        return 0.5 if re.fullmatch(r"(?:19|20)\d\d", span.text) else None
    limit = bool(said & LIMITS)
    return 0.5 if limit == (beside == "of") else 0.0
