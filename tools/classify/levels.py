"""Reads the level word of log lines, and which of the caller's labels it speaks for."""

import re
from collections.abc import Sequence

from tools.classify.label_names import words

# Ranks of syslog's severities (RFC 5424), with the names that common loggers give them.
_RANKS = {
    name: rank
    for rank, names in enumerate((
        "trace trc verbose finest finer", "debug dbg fine", "info information informational", "notice",
        "warn warning wrn", "error err severe", "crit critical", "fatal panic alert emerg emergency",
    ))
    for name in names.split()
}  # fmt: skip

INFO = _RANKS["info"]

READ = 200
"""Characters of a line in which its level word stands."""

_NAMES = "|".join(sorted(_RANKS, key=len, reverse=True))
_LEVEL = re.compile(
    rf"\b(?P<upper>{_NAMES.upper()})\b|(?:\blevel\"?[=:] ?\"?|[\[<(])(?P<field>(?i:{_NAMES}))\b"
    rf"|(?<![\w-])(?P<prefix>(?i:{_NAMES})): "
)


def level_of(line: str) -> int | None:
    """Returns the rank of the line's level word, 0 for trace to 7 for fatal; ``None`` without one."""
    found = _LEVEL.search(line[:READ])
    return None if found is None else _RANKS[found[0 if found.lastgroup is None else found.lastgroup].lower()]


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
    return _RANKS.get(name, _RANKS.get(name.removesuffix("s")))
