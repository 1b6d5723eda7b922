"""What is classified once: each kind of line of a log, else each different text."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.sources.kinds import Kind, TooManyKindsError, kinds_of
from tools.sources.levels import READ, level_of

FEWEST = 20
"""Different texts from which repetition alone makes a log."""
REPEATED = 0.5
"""Most kinds per different text of what is a log by its repetition."""

_TIME = re.compile(r"\b[012]?\d:[0-5]\d:[0-5]\d\b")


@dataclass(frozen=True, slots=True)
class Kinds:
    each: Sequence[Kind]
    log: bool
    """Whether the texts are lines of a log."""


def kinds_in(texts: Sequence[str]) -> Kinds:
    """Returns the kinds of ``texts``; every text is in one of them. Those of a log begin with the largest.

    Texts of one line are a log if half of them hold a time or a level word, or if they hardly differ in kind.
    """
    different = list(_different(texts, range(len(texts))))
    if any("\n" in text for text in texts):
        return Kinds(different, log=False)
    marked = sum(bool(_TIME.search(text[:READ])) or level_of(text) is not None for text in texts)
    log = len(texts) > 1 and 2 * marked >= len(texts)
    if not log and len(different) < FEWEST:
        return Kinds(different, log)
    try:
        kinds = kinds_of(texts)
    except TooManyKindsError:
        return Kinds(different, log)
    if not log and len(kinds) > REPEATED * len(different):
        return Kinds(different, log)
    parts = [part for kind in kinds for part in _uniform(texts, kind)]
    return Kinds(sorted(parts, key=lambda kind: -len(kind.members)), log=True)


def _uniform(texts: Sequence[str], kind: Kind) -> Iterator[Kind]:
    """Yields the kind, or each of its texts where they may mean different things."""
    return _different(texts, kind.members) if kind.varied else iter((kind,))


def _different(texts: Sequence[str], members: Sequence[int]) -> Iterator[Kind]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index in members:
        places[texts[index]].append(index)
    return (Kind(text, indices, varied=False) for text, indices in places.items())
