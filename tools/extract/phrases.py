"""Finds candidate phrases: quoted words, names, number words, and in a short text every phrase."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.extract.fields import Field
from tools.extract.layout import Layout
from tools.extract.value_formats import NUMBER_WORDS
from tools.extract.values import Found
from tools.sources.words import alike

SHORT = 600
"""Characters of a text in which every phrase is tried; in longer ones only names are."""
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
    """.split()  # noqa: SIM905 (words, not code)
)
JOINTS = frozenset("of the and & a an de la le del von van der da di y".split())  # noqa: SIM905 (words, not code)
"""Small words inside names: War and Peace, Game of Thrones."""
LOOSE = frozenset("in on at for to by with without from".split())  # noqa: SIM905 (words, not code)
"""Small words inside titles, but also between two names: Singin' in the Rain, Anna in Rome."""
# Words of field names that describe the form of the value rather than its subject.
SORTS = frozenset("type kind category item genre class sort".split())  # noqa: SIM905 (words, not code)
NAMES = frozenset("name title".split())  # noqa: SIM905 (words, not code)
VAGUE = frozenset(
    "size number value description relation part of current best object entity unit range time".split()  # noqa: SIM905 (words, not code)
).union(SORTS, NAMES)

_TOKEN = re.compile(r"[^\s,;!?()\"“”]+")
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,80})[\"”]")
COUNT = re.compile(rf"\b(?:\d+(?:\.\d+)?|{NUMBER_WORDS.replace(' ', '|')})\b", re.IGNORECASE)
_OWNER = re.compile(r"\b(?:my|our|his|her|their)\b|\b\w+['’]s\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text, and its shape."""

    text: str
    start: int
    end: int
    shape: str
    """name, opening (its capital may be the sentence's), phrase, noun (of a field's name), count, owner."""

    @property
    def found(self) -> Found:
        return Found(self.text, self.start, self.end)

    def covers(self, known: Sequence[Found]) -> bool:
        """Returns whether a known value overlaps this span."""
        return any(found.start < self.end and self.start < found.end for found in known)


def candidates(layout: Layout, fields: Sequence[Field]) -> list[Span]:
    """Returns every phrase of the text that could be a value."""
    text = layout.content
    cues = {word for field in fields for word in field.words if word not in VAGUE}
    spans = [_span(layout, m.start(1), m.end(1), "name") for m in _QUOTED.finditer(text)]
    spans += _names(layout)
    if len(text) <= SHORT and fields:
        spans += [_span(layout, *m.span(), "count") for m in COUNT.finditer(text)]
        spans += [_span(layout, *m.span(), "owner") for m in _OWNER.finditer(text)]
        spans += _phrases(layout, spans, cues)
    return list({(span.start, span.end): span for span in reversed(spans)}.values())[::-1]


def _span(layout: Layout, first: int, last: int, shape: str) -> Span:
    """Returns the span of ``layout.content`` in the whole text, without a sentence's full stop."""
    phrase = layout.content[first:last].rstrip(".:")
    return Span(phrase, layout.start + first, layout.start + first + len(phrase), shape)


def _names(layout: Layout) -> list[Span]:
    """Returns runs of capitalised words, with the small words between them."""
    text = layout.content
    tokens = list(_TOKEN.finditer(text))
    if sum(token[0].isupper() for token in tokens) > len(tokens) / 2:
        return []
    spans: dict[tuple[int, int], Span] = {}
    for joints in (JOINTS, JOINTS | LOOSE):
        at = 0
        while at < len(tokens):
            last = _run(text, tokens, at, joints)
            if last >= at:
                first, end = tokens[at].start(), tokens[last].end()
                opens = not text[:first].strip() or text[:first].rstrip()[-1] in ".!?:"
                spans[first, end] = _span(layout, first, end, "opening" if opens and last == at else "name")
            at = max(at, last) + 1
    return [span for span in spans.values() if len(span.text) > 1]


def _run(text: str, tokens: Sequence[re.Match[str]], at: int, joints: frozenset[str]) -> int:
    """Returns the index of the last token of the name that begins at ``at``, or less if there is none."""
    begins = tokens[at][0]
    follows = at + 1 < len(tokens) and tokens[at + 1][0][:1].isupper()
    if not begins[:1].isupper() or (begins.lower() in STOPS and not (follows and at)) or begins == "I":
        return at - 1
    last = at
    for index in range(at + 1, min(at + 12, len(tokens))):
        phrase, before = tokens[index][0], tokens[index - 1]
        gap = text[before.end() : tokens[index].start()]
        ends = before[0].endswith(":") or (before[0].endswith(".") and len(before[0]) > 4)
        if gap.strip() or "\n" in gap or phrase == "I" or ends:
            break
        if phrase[:1].isupper() or phrase[:1].isdigit() or phrase == "&":
            last = index
        elif phrase.lower() not in joints:
            break
    return last


def _phrases(layout: Layout, taken: Sequence[Span], cues: set[str]) -> list[Span]:
    """Returns phrases between function words, and each of their words; a field's own word is a border."""
    text = layout.content
    used = [
        (span.start - layout.start, span.end - layout.start)
        for span in taken
        if span.shape in ("name", "opening")
    ]
    spans: list[Span] = []
    held: list[re.Match[str]] = []
    for token in [*_TOKEN.finditer(text), None]:
        word = token[0].lower().strip(".:") if token else ""
        noun = any(alike(word, cue) for cue in cues)
        border = token is None or word in STOPS or noun or _OWNER.fullmatch(word) is not None
        border = border or any(first < token.end() and token.start() < last for first, last in used if token)
        gap = text[held[-1].end() : token.start()].strip() if held and token else ""
        if held and (border or gap):
            spans.append(_span(layout, held[0].start(), held[-1].end(), "phrase"))
            spans += [_span(layout, *one.span(), "phrase") for one in held if len(held) > 1]
            held = []
        if noun and token:
            spans.append(_span(layout, *token.span(), "noun"))
        elif not border and token:
            held.append(token)
    return spans
