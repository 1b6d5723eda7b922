"""What a log says, told by counting: how often which kind of line is there, the worst kinds first.

Lines are of one kind when they differ only in words that hold a digit: times, numbers, ids, addresses. That
is the first step of log parsers such as Drain (He et al. 2017), and enough for a summary.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

LEAST_LINES = 20
"""Fewer are no log."""
REPEATED = 0.5
"""Kinds a line at most: where most lines are the only one of their kind it is none either."""
GAP = "…"

_WORD = re.compile(r"[^\W\d_]{2,}")
_DIGIT = re.compile(r"\d")
_WORST = (
    re.compile(r"\b(?:fatal|critical|panic|emerg(?:ency)?|alert)\b", re.IGNORECASE),
    re.compile(
        r"\berr(?:or)?\b|\w(?:Error|Exception)\b|\bfail(?:ed|ure|s)?\b|\btimed? ?out\b", re.IGNORECASE
    ),
    re.compile(r"\bwarn(?:ing)?\b", re.IGNORECASE),
)


def counted(texts: Sequence[str], *, focus: str = "", max_words: int) -> list[str]:
    """A line on all, then one for each kind, in at most about ``max_words``; none if ``texts`` are no log, or
    mostly rows of figures.

    Kinds that hold a word of ``focus`` come first, then the worst, then the most frequent.
    """
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    if len(lines) < LEAST_LINES:
        return []
    kinds = Counter(map(_kind, lines))
    worded = sum(count for kind, count in kinds.items() if _WORD.search(kind))
    if len(kinds) > REPEATED * len(lines) or worded < len(lines) / 2:
        return []
    sought = re.findall(r"[^\W\d_]{3,}", focus.lower())
    ranked = sorted(kinds, key=lambda kind: (-_hits(kind, sought), _severity(kind), -kinds[kind]))
    told = [f"{len(lines):,} lines of {len(kinds):,} kinds"]
    words = len(told[0].split())
    for kind in ranked:
        said = f"{kinds[kind]:,} times: {kind}"
        words += len(said.split())
        if words > max_words and len(told) > 1:
            break
        told.append(said)
    return told


def _kind(line: str) -> str:
    """Word by word: one pattern for it all would take the square of a long word's length."""
    said = [GAP if _DIGIT.search(word) else word for word in line.split()]
    return " ".join(word for word, _ in groupby(said))


def _hits(kind: str, sought: Sequence[str]) -> int:
    said = kind.lower()
    return sum(word in said for word in sought)


def _severity(kind: str) -> int:
    """0 for the worst."""
    return next((rank for rank, words in enumerate(_WORST) if words.search(kind)), len(_WORST))
