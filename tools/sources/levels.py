"""Level words of log lines, and their order."""

import re

RANKS = {
    name: rank
    for rank, names in enumerate((
        "trace trc verbose", "debug dbg", "info inf", "notice", "warn warning wrn", "error err severe",
        "crit critical", "fatal ftl panic alert emerg emergency",
    ))
    for name in names.split()
}  # fmt: skip
"""Ranks of syslog's severities (RFC 5424), by the names that common loggers give them."""

INFO = RANKS["info"]

READ = 200
"""Characters of a line in which its level word stands."""

_NAMES = "|".join(sorted(RANKS, key=len, reverse=True))
_LEVEL = re.compile(
    rf"\b(?P<upper>{_NAMES.upper()})\b|(?:\blevel\"?[=:] ?\"?|[\[<(])(?P<field>(?i:{_NAMES}))\b"
    rf"|(?<![\w-])(?P<prefix>(?i:{_NAMES})): "
)


def level_of(line: str) -> int | None:
    """Returns the rank of the line's level word, 0 for trace to 7 for fatal; ``None`` without one."""
    found = _LEVEL.search(line[:READ])
    return None if found is None else RANKS[found[0 if found.lastgroup is None else found.lastgroup].lower()]
