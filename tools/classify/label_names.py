"""Reads label names: splits them into words, and tells those for texts that fit no other label."""

import re

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
