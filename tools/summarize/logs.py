"""Summarizes a log by counting its kinds of lines, the most severe first."""

import re
from collections.abc import Sequence

from tools.sources.kinds import TooManyKindsError, kinds_of

LEAST_LINES = 20
"""Fewer lines are not treated as a log."""
REPEATED = 0.5
"""Most kinds per line: a text whose lines hardly repeat is not treated as a log."""

_WORD = re.compile(r"[^\W\d_]{2,}")
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
    lines = [line.strip() for text in texts for line in text.split("\n") if line.strip()]
    if len(lines) < LEAST_LINES:
        return []
    try:
        kinds = {kind.pattern: len(kind.members) for kind in kinds_of(lines)}
    except TooManyKindsError:
        return []
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


def _hits(kind: str, sought: Sequence[str]) -> int:
    lowered = kind.lower()
    return sum(word in lowered for word in sought)


def _severity(kind: str) -> int:
    """Returns the rank of the severity; 0 is the worst."""
    return next((rank for rank, words in enumerate(_WORST) if words.search(kind)), len(_WORST))
