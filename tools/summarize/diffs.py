"""Parses a diff into the changes of each file."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_FILE = re.compile(r"^diff --git a/(?P<old>\S+) b/(?P<new>\S+)$|^\+\+\+ (?:b/)?(?P<plain>\S+)", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*? @@ ?(?P<within>.*)$")
DEFINED = re.compile(
    r"^\s*(?:async |export |pub |public |private |protected |static |default )*"
    r"(?P<kind>def|class|function|func|fn|interface|struct|enum|trait)\s+(?:\([^)]*\)\s*)?(?P<name>\w+)"
)


@dataclass(slots=True)
class Change:
    """Changes of a diff to one file."""

    path: str
    old: str = ""
    added: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    within: list[str] = field(default_factory=list[str])
    """Definitions named in hunk headers, and those whose lines appear around a change."""
    made: bool = False
    deleted: bool = False

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def is_diff(text: str) -> bool:
    """Returns whether ``text`` is output of ``git diff`` or ``diff -u``."""
    head = text[:20_000]
    return (
        _FILE.search(head) is not None
        and re.search(r"^@@ .*@@|^(?:new|deleted) file mode|^rename ", head, re.M) is not None
    )


def changes(text: str) -> list[Change]:
    """Returns the change of every file in the diff."""
    found: list[Change] = []
    for line in text.split("\n"):
        if line.startswith("diff --git ") or (line.startswith("+++ ") and not found):
            header = _FILE.match(line)
            if header:
                found.append(Change(header["new"] or header["plain"], header["old"] or ""))
        elif found:
            _take(found[-1], line)
    return found


def _take(change: Change, line: str) -> None:
    if line.startswith("new file"):
        change.made = True
    elif line.startswith("deleted file"):
        change.deleted = True
    elif hunk := _HUNK.match(line):
        if defined := DEFINED.match(hunk["within"]):
            change.within.append(defined["name"])
    elif line.startswith("+") and not line.startswith("+++ "):
        change.added.append(line[1:])
    elif line.startswith("-") and not line.startswith("--- "):
        change.removed.append(line[1:])
    elif line.startswith(" ") and (defined := DEFINED.match(line[1:])):
        change.within.append(defined["name"])
