"""Summarizes a log by counting its kinds of lines, the most severe first.

Lines are of one kind if they differ only in words that contain a digit: times, numbers, ids, addresses (the
first step of log parsers such as Drain, He et al. 2017).
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

LEAST_LINES = 20
"""Fewer lines are not treated as a log."""
REPEATED = 0.5
"""Most kinds per line: a text whose lines hardly repeat is not treated as a log."""
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
    """Returns a total line, then one for each kind, in at most about ``max_words``; none if ``texts`` are no
    log, or mostly rows of figures.

    Kinds that contain a word of ``focus`` come first, then the most severe, then the most frequent.
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
    result = [f"{len(lines):,} lines of {len(kinds):,} kinds"]
    words = len(result[0].split())
    for kind in ranked:
        entry = f"{kinds[kind]:,} times: {kind}"
        words += len(entry.split())
        if words > max_words and len(result) > 1:
            break
        result.append(entry)
    return result


def _kind(line: str) -> str:
    """Replaces words with digits, word by word: one pattern would take quadratic time on a long word."""
    masked = [GAP if _DIGIT.search(word) else word for word in line.split()]
    return " ".join(word for word, _ in groupby(masked))


def _hits(kind: str, sought: Sequence[str]) -> int:
    lowered = kind.lower()
    return sum(word in lowered for word in sought)


def _severity(kind: str) -> int:
    """Returns the rank of the severity; 0 is the worst."""
    return next((rank for rank, words in enumerate(_WORST) if words.search(kind)), len(_WORST))
