"""Reads label names: their words, those for texts that fit no other label, and those that are levels."""

import re
from collections.abc import Sequence

from tools.sources.levels import RANKS

_FALLBACKS = frozenset(
    (
        "other",
        "others",
        "none",
        "neither",
        "none of the above",
        "none of these",
        "misc",
        "miscellaneous",
        "unknown",
        "unclear",
        "unsure",
        "n a",
        "na",
        "out of scope",
        "oos",
        "something else",
        "anything else",
        "everything else",
        "uncategorized",
        "unclassified",
        "no label",
    )
)


def words(label: str) -> str:
    """Returns ``label`` as lower-case words: ``AddToPlaylist`` -> ``add to playlist``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", label)
    return " ".join(re.sub(r"[^\w&+#']|_", " ", split).lower().split())


def is_fallback(label: str) -> bool:
    """Returns whether ``label`` stands for texts no other label fits: ``other``, ``none of the above``."""
    return words(label) in _FALLBACKS


def spoken_for(rank: int, labels: Sequence[str]) -> list[int]:
    """Returns the indices of the labels a level word of ``rank`` speaks for; none if no label is a level.

    That is the highest level that is not above it, else the labels that are no levels.
    """
    ranks = [_rank(label) for label in labels]
    below = [other for other in ranks if other is not None and other <= rank]
    if below:
        return [index for index, other in enumerate(ranks) if other == max(below)]
    if all(other is None for other in ranks):
        return []
    return [index for index, other in enumerate(ranks) if other is None]


def _rank(label: str) -> int | None:
    """Returns the rank of a label that is a level: ``error``, ``Errors``, ``WARNING``."""
    name = words(label)
    return RANKS.get(name, RANKS.get(name.removesuffix("s")))
