"""The layout of a text: its lines, label-value pairs, and what stands near a candidate value."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tools.extract.field_types import BY_NAME, NUMERIC, SHADOWING
from tools.extract.fields import Field
from tools.extract.value_formats import Kind
from tools.extract.values import Found
from tools.sources.words import COMMON, alike, shared, words

_KEY = r"[^\W\d_][\w./()#'&+-]{0,40}(?:[ ][\w./()#'&+-]{1,20}){0,4}?"
_COLON = r"(?::=|[:=](?!//))"
_LABELLED = re.compile(
    # Key: value, key = value, key.....value; one a line, or several with a gap or a comma between
    r"(?:^|(?<=[,;|])|(?<=[.] )|(?<=[ \t]{2}))[ \t>*+#|(\[{-]{0,40}"
    rf"(?P<key>[\"'*_`]{{0,3}}{_KEY}[\"'*_`]{{0,3}})[ \t]{{0,40}}(?:(?P<sep>{_COLON})|\.{{3,}}|\t)"
    r"[ \t]{0,40}[*_]{0,2}[ \t]{0,40}(?P<value>\"[^\"\n]*\"|'[^'\n]*'|\S.*?)"
    rf"(?=[ \t]{{0,40}}(?:$|[,;|.]\s{{0,9}}[\"']?{_KEY}[\"']?[ \t]{{0,40}}(?P=sep)|[ \t]{{2,}}\S|\t))",
    re.MULTILINE,
)
_ASSIGNED = re.compile(
    r"(?<![\w.-])(?P<key>[A-Za-z_][\w.-]{0,60})=(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&)\]}]+)"
)
# listen 443 ssl; or Port 2222
_DIRECTIVE = re.compile(
    r"^[ \t]{0,40}(?P<key>[A-Za-z][\w-]{1,40})[ \t]{1,40}"
    r"(?P<value>\S[^;{}\n]{0,200}(?=;$)|[^\s;{}]{1,200}$)",
    re.MULTILINE,
)
_TAGGED = re.compile(r"<(?P<key>[A-Za-z][\w:-]*)[^<>]*>(?P<value>[^<>]+)</(?P=key)>")
_CELLS = re.compile(
    r"^\|[ \t]*(?P<key>[^|\n]+?)[ \t]*\|[ \t]*(?P<value>[^|\n]+?)[ \t]*\|[ \t]*$", re.MULTILINE
)
_UNDER = re.compile(
    rf"^[ \t#*_]*(?P<key>{_KEY})[ \t]*:?[*_]*[ \t]*\n(?:[=~-]{{3,}}\n)?\s*(?P<value>\S.*)$", re.MULTILINE
)
_BREAKS = re.compile(r"[,;|(){}\[\]<>]|\.\s")
_DECIMAL = re.compile(r"\d+\.\d+")
"""Matches versions of two numbers, which may also be quantities."""
_CLOSE = 60
"""Characters on either side of a value that are searched for its label."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and the value beside it."""

    key: tuple[str, ...]
    value: str
    start: int
    trust: float = 1.0

    @property
    def found(self) -> Found:
        return Found(self.value, self.start, self.start + len(self.value))


class Layout:
    """The layout of a text, or of the part from ``start`` to ``end``."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self.text = text
        self.start = start
        self.end = len(text) if end is None else end
        self._found: dict[tuple[str, str, str], list[Found]] = {}

    @property
    def content(self) -> str:
        return self.text[self.start : self.end]

    @cached_property
    def _first_lines(self) -> list[tuple[int, int]]:
        """The spans of the first non-empty lines."""
        spans = [match.span() for match in re.finditer(r"[^\n]*\S[^\n]*", self.content[:2_000])]
        return [(self.start + first, self.start + last) for first, last in spans[:3]]

    @cached_property
    def pairs(self) -> list[Pair]:
        """All label-value pairs, in reading order."""
        found: list[Pair] = []
        for notation in (_LABELLED, _ASSIGNED, _DIRECTIVE, _TAGGED, _CELLS, _UNDER):
            for match in notation.finditer(self.text, self.start, self.end):
                value = _unquoted(match["value"])
                if value:
                    start = match.start("value") + match["value"].find(value)
                    found.append(Pair(words(match["key"]), value, start, _trust(match)))
        return sorted(found, key=lambda pair: pair.start)

    @cached_property
    def _typed_spans(self) -> list[tuple[int, int]]:
        text = Field("", {}, "string")
        kinds = (BY_NAME[name] for name in SHADOWING)
        found = [f for kind in kinds for f in kind.find(self.text, text, self.start, self.end)]
        return sorted((f.start, f.end) for f in found if not _DECIMAL.fullmatch(str(f.value)))

    def find(self, kind: Kind, field: Field) -> list[Found]:
        """Returns the candidates for ``field``; digits of dates, addresses and the like are no numbers."""
        key = (kind.name, field.type, field.about)
        if key not in self._found:
            found = list(kind.find(self.text, field, self.start, self.end))
            if kind.name in ("number", "money", "code", "phone", "version"):
                found = [one for one in found if not self._is_in_typed_span(one, kind.name)]
            self._found[key] = found
        return self._found[key]

    def _is_in_typed_span(self, found: Found, name: str) -> bool:
        at = bisect_right(self._typed_spans, (found.start, len(self.text)))
        around = self._typed_spans[max(0, at - 4) : at]
        inside = any(first <= found.start and found.end <= last for first, last in around)
        return inside and not (name == "version" and (found.start, found.end) in around)

    def labelled(self, field: Field, least: float = 0.6) -> Pair | None:
        """Returns the pair whose label matches ``field`` best; the first of equals."""
        best, score = None, least
        for pair in self.pairs:
            agreement = likeness(field, pair.key) * pair.trust
            if agreement > score or (agreement == score and best is None):
                best, score = pair, agreement
        return best

    def cue(self, found: Found, field: Field, others: Sequence[Found], hints: Sequence[str] = ()) -> float:
        """Scores how clearly the words around a candidate name ``field``: 0 not at all, 1 its exact name."""
        before, after = self._around(found, others)
        named = [_closeness(word, before, after) for word in field.words if word not in COMMON]
        hinted = max((_closeness(word, before, after) for word in field.hints), default=0.0)
        asked = max((_closeness(word, before, after) for word in hints), default=0.0)
        name = sum(named) / len(named) if named else 0.0
        return max(name, 0.6 * hinted, 0.3 * asked)

    def _around(self, found: Found, others: Sequence[Found]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns the words just before and after, within line and punctuation, up to other candidates."""
        at = bisect_left(others, found.start, key=lambda other: other.start)
        line = self.text.rfind("\n", self.start, found.start) + 1
        first = max(line, self.start, found.start - _CLOSE, others[at - 1].end if at else 0)
        later = others[at + 1].start if at + 1 < len(others) else self.end
        until = min(self.end, found.end + _CLOSE, max(later, found.end))
        before, after = self.text[first : found.start], self.text[found.end : until].split("\n")[0]
        if not before.strip(" \t|*-") and line > self.start:
            above = self.text[: line - 1].rsplit("\n", 1)[-1]
            before = above if len(above.split()) <= 4 else ""
        near = _BREAKS.split(before.rstrip(" \t([{<\"'`*$"))[-1]
        # Words before a bracket name its content less clearly than words after it: "3 failed (5)".
        apart = ("(",) if before.rstrip().endswith(("(", "[")) else ()
        return (*apart, *words(near)[::-1]), words(_BREAKS.split(after)[0])[:4]

    def prominence(self, found: Found) -> float:
        """Scores the prominence of a position: the first lines, headings, then earlier before later."""
        row = next(
            (i for i, (first, last) in enumerate(self._first_lines) if first <= found.start <= last), 3
        )
        line = self.text.rfind("\n", 0, found.start) + 1
        heading = (0.75, 0.0, 0.0, 0.15)[row] if self.text.startswith("#", line) else 0.0
        return (
            (0.3, 0.2, 0.15, 0.0)[row]
            + heading
            - 0.05 * (found.start - self.start) / max(1, len(self.content))
        )


def _trust(match: re.Match[str]) -> float:
    """Returns the reliability of a match: two words on a line, or a line above another, are less sure."""
    if match.re is _UNDER and ":" not in match[0].split("\n")[0]:
        return 0.7
    return 0.8 if match.re is _DIRECTIVE and match.string[match.end() : match.end() + 1] != ";" else 1.0


def likeness(field: Field, key: Sequence[str]) -> float:
    """Returns how far a label matches the name of ``field``."""
    label = [word for word in key if word not in ("the", "of", "and", "your", "is")]
    if label and "".join(field.words) == "".join(label):
        return 1.0
    hinted = shared(field.hints, label) if len(field.hints) <= 3 else 0.0
    return max(shared(field.words, label), 0.9 * hinted)


def _closeness(word: str, before: Sequence[str], after: Sequence[str]) -> float:
    near = [1 - 0.1 * i for i, other in enumerate(before) if alike(word, other)]
    beside = [0.95 - 0.15 * i for i, other in enumerate(after) if alike(word, other)]
    return max([*near, *beside, 0.0])


def _unquoted(value: str) -> str:
    value = value.strip().rstrip(",;|").strip(" *_`")
    quoted = len(value) > 1 and value[0] + value[-1] in ('""', "''", "{}")
    return value[1:-1].strip() if quoted else value


def is_numeric(field: Field) -> bool:
    return field.type in NUMERIC
