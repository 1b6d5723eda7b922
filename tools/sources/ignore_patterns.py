"""Compiles globs and ``.gitignore`` lines to regular expressions without catastrophic backtracking.

A repository's ``.gitignore`` is read unasked, so a hostile one must cost no more than others: a wildcard
takes the nearest match of what follows it and does not backtrack (an atomic group, as in ``fnmatch``).
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

MAX_ALTERNATIVES = 256
"""Patterns that the braces of one glob may expand to."""

_MAGIC = re.compile(r"[*?\[{]")
_TOKEN = re.compile(r"\\.|\[!?\]?[^\]/]{0,100}\]|\*+|.", re.DOTALL)
_NOTHING = re.compile(r"(?!)")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


def is_glob(path: str) -> bool:
    return _MAGIC.search(path) is not None


def glob(pattern: str) -> re.Pattern[str]:
    """Compiles ``pattern``: ``**`` spans folders, ``*`` and ``?`` stay in one, ``{a,b}`` is either.

    Raises:
        ValueError: describes what is wrong with the pattern.
    """
    alternatives = [pattern]
    while any(_BRACES.search(each) for each in alternatives):
        alternatives = [one for each in alternatives for one in _unbraced(each)]
        if len(alternatives) > MAX_ALTERNATIVES:
            raise ValueError(f"its braces expand to more than {MAX_ALTERNATIVES} patterns")
    return _compiled(alternatives)


def _unbraced(pattern: str) -> Iterator[str]:
    """Yields ``pattern`` with its first innermost braces expanded."""
    found = _BRACES.search(pattern)
    for choice in found[1].split(",") if found else ():
        yield _BRACES.sub(lambda _, choice=choice: choice, pattern, count=1)
    if not found:
        yield pattern


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    if not patterns:
        return _NOTHING
    try:
        return re.compile(f"(?:{'|'.join(map(_translated, patterns))})\\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(str(error)) from None


def _translated(pattern: str) -> str:
    first, *rest = re.split(r"(?:(?<=/)|^)\*\*/", pattern)
    if not rest:
        return _folders(first)
    *middle, last = map(_folders, rest)
    spanned = "".join(f"(?>(?:[^/]+/)*?{part})" for part in middle)
    return f"{_folders(first)}{spanned}(?:[^/]+/)*{last}"


def _folders(pattern: str) -> str:
    """Translates a part without ``**/``; a final ``**`` matches everything below."""
    if pattern == "**" or pattern.endswith("/**"):
        return _folders(pattern[:-2]) + ".+"
    return "/".join(map(_segment, pattern.split("/")))


def _segment(pattern: str) -> str:
    """Translates one name. Stars are lazy and atomic except the last, which must reach the end."""
    fixed = [""]
    for token in _TOKEN.findall(pattern):
        if token.startswith("*"):
            fixed.append("")
        elif token == "?":
            fixed[-1] += "[^/]"
        elif token.startswith("[") and len(token) > 2:
            fixed[-1] += _set(token[1:-1])
        else:
            fixed[-1] += re.escape(token[1:] if token.startswith("\\") and len(token) > 1 else token)
    first, *rest = fixed
    if not rest:
        return first
    return first + "".join(f"(?>[^/]*?{part})" for part in rest[:-1]) + f"[^/]*{rest[-1]}"


def _set(body: str) -> str:
    negated = body.startswith(("!", "^"))
    escaped = re.sub(r"([\\\[\]^&|~])", r"\\\1", body[negated:])
    return f"(?!/)[{'^' if negated else ''}{escaped}]"


@dataclass(frozen=True, slots=True)
class _Rules:
    """Consecutive lines that all ignore, or all re-include, as one expression for each kind of entry."""

    files: re.Pattern[str]
    folders: re.Pattern[str]
    ignore: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """Rules of the ``.gitignore`` files of a folder and those above it."""

    files: tuple[tuple[str, tuple[_Rules, ...]], ...] = ()
    """The folder of each file, with a trailing separator, and its rules; outermost first."""

    def below(self, folder: Path, text: str) -> "Ignored":
        """Returns these rules plus those of the ``.gitignore`` in ``folder`` with content ``text``."""
        return Ignored((*self.files, (os.path.join(folder, ""), tuple(_rules(text)))))

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Returns whether ``path`` is ignored: the last matching line of the nearest file decides."""
        for folder, rules in reversed(self.files):
            name = path.removeprefix(folder).replace(os.sep, "/")
            for each in reversed(rules):
                if (each.folders if is_folder else each.files).match(name):
                    return each.ignore
        return False


def _rules(text: str) -> Iterator[_Rules]:
    lines = filter(None, map(_line, text.split("\n")))
    for ignore, group in groupby(lines, key=lambda line: line.ignore):
        kind = list(group)
        files = _compiled([line.pattern for line in kind if not line.folders_only])
        yield _Rules(files, _compiled([line.pattern for line in kind]), ignore)


class _Line(NamedTuple):
    pattern: str
    ignore: bool
    folders_only: bool


def _line(text: str) -> _Line | None:
    """Parses a line of a ``.gitignore``; ``None`` for blank, comment and, as in git, malformed lines."""
    text = text.removesuffix("\r")
    kept = text.rstrip(" \t")
    text = text[: len(kept) + 1] if kept.endswith("\\") else kept
    if not text or text.startswith("#"):
        return None
    ignore = not text.startswith("!")
    text = text.removeprefix("!")
    pattern = text.rstrip("/")
    anchored = pattern.removeprefix("/") if "/" in pattern else f"**/{pattern}"
    try:
        _compiled([anchored])
    except ValueError:
        return None
    return _Line(anchored, ignore, folders_only=text != pattern)
