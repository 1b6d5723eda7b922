"""Globs and ``.gitignore`` lines as regular expressions that cannot blow up.

A repository's own ``.gitignore`` is read unasked, so a hostile one must cost no more than an
honest one: a wildcard takes the nearest match of what follows it and never comes back (an atomic
group, the way ``fnmatch`` does it), so no pattern backtracks over all ways to match.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

MAX_ALTERNATIVES = 256
"""Patterns that the braces of one glob may stand for."""

_MAGIC = re.compile(r"[*?\[{]")
_TOKEN = re.compile(r"\\.|\[!?\]?[^\]/]*\]|\*+|.", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


def is_glob(path: str) -> bool:
    return _MAGIC.search(path) is not None


def glob(pattern: str) -> re.Pattern[str]:
    """What ``pattern`` matches: ``**`` spans folders, ``*`` and ``?`` stay in one, ``{a,b}`` is either.

    Raises:
        ValueError: saying what is wrong with the pattern.
    """
    alternatives = [pattern]
    while any(_BRACES.search(each) for each in alternatives):
        alternatives = [one for each in alternatives for one in _unbraced(each)]
        if len(alternatives) > MAX_ALTERNATIVES:
            raise ValueError(f"its braces stand for more than {MAX_ALTERNATIVES} patterns")
    return _compiled(alternatives)


def _unbraced(pattern: str) -> Iterator[str]:
    """``pattern`` with its first innermost braces written out."""
    found = _BRACES.search(pattern)
    for choice in found[1].split(",") if found else ():
        yield _BRACES.sub(lambda _, choice=choice: choice, pattern, count=1)
    if not found:
        yield pattern


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
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
    """A part without ``**/``; a ``**`` at its end is everything below."""
    if pattern == "**" or pattern.endswith("/**"):
        return _folders(pattern[:-2]) + ".+"
    return "/".join(map(_segment, pattern.split("/")))


def _segment(pattern: str) -> str:
    """One name. Its stars are lazy and atomic but the last, which must reach the end."""
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
class _Rule:
    """Neighbouring lines of one kind, as one expression."""

    pattern: re.Pattern[str]
    ignores: bool
    folders_only: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """What the ``.gitignore`` files of a folder and those above it leave out."""

    files: tuple[tuple[Path, tuple[_Rule, ...]], ...] = ()
    """The folder of each file with its rules, outermost first."""

    def below(self, folder: Path, text: str) -> "Ignored":
        """These, and the ``.gitignore`` in ``folder`` that says ``text``."""
        return Ignored((*self.files, (folder, tuple(_rules(text)))))

    def __call__(self, path: Path, *, is_folder: bool) -> bool:
        """Whether ``path`` is left out: the last line that matches says so, of the nearest file."""
        for folder, rules in reversed(self.files):
            name = path.relative_to(folder).as_posix()
            for rule in reversed(rules):
                if (is_folder or not rule.folders_only) and rule.pattern.match(name):
                    return rule.ignores
        return False


def _rules(text: str) -> Iterator[_Rule]:
    lines = filter(None, map(_line, text.splitlines()))
    for (ignores, folders_only), group in groupby(lines, key=lambda line: line[1:]):
        try:
            pattern = _compiled([pattern for pattern, *_ in group])
        except ValueError:
            continue  # git, too, passes over a line it cannot understand
        yield _Rule(pattern, ignores, folders_only)


def _line(line: str) -> tuple[str, bool, bool] | None:
    """A line as pattern, whether it ignores (or takes back), and whether it means folders alone."""
    line = re.sub(r"(?<!\\)[ \t]+\Z", "", line)
    if not line or line.startswith("#"):
        return None
    ignores = not line.startswith("!")
    line = line.removeprefix("!")
    pattern = line.rstrip("/")
    anchored = "/" in pattern
    return pattern.removeprefix("/") if anchored else f"**/{pattern}", ignores, line != pattern
