"""Parses unified diffs of git, ``diff -u``, Mercurial and Subversion into one record a file.

Every hunk has as many lines as its header says, and the files as many as a diffstat says. The commits of
``git show``, ``git log -p`` and ``git format-patch`` may stand between the files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engines.base import JsonValue
from tools.extract.formats.report import Record, Report

_GIT = re.compile(r"diff --git (?P<names>\S.*)")
_HUNK = re.compile(r"@@ -\d+(?:,(?P<old>\d{1,9}))? \+\d+(?:,(?P<new>\d{1,9}))? @@.*")
_EXTENDED = re.compile(
    r"(?P<made>new|deleted) file mode \d+|(?:old|new) mode \d+|index [\da-f]+\.\.[\da-f]+(?: \d+)?"
    r"|(?:dis)?similarity index \d+%|(?P<move>rename|copy) (?P<end>from|to) (?P<path>.+)"
)
_BINARY = re.compile(
    r"Binary files? .+ differ|GIT binary patch|(?:literal|delta) \d+"
    r"|[A-Za-z][0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{5,65}"
)
_INTRODUCTION = re.compile(r"Index: .+|={20,}|diff -\w.*")
_NO_NEWLINE = re.compile(r"\\ \S.*")
_ABSENT = re.compile(r"[^\t]*+\t.*(?:\b1970-01-01|\b1969-12-31|\(nonexistent\)|\(revision 0\))")
"""What ``diff -N`` and Subversion say of a file that does not exist."""
_PREFIX = re.compile(r"[abciow12]/")
"""Letters that git puts before paths: ``a/ b/``, and by ``diff.mnemonicPrefix`` others."""
_NO_FILE = "/dev/null"

_COMMIT = re.compile(r"commit [\da-f]{7,64}(?: .*)?")
_ABOUT_COMMIT = re.compile(r"(?:Author|AuthorDate|Commit|CommitDate|Date|Merge): .*|    .*|---")
_MAIL = re.compile(r"From [\da-f]{40} Mon Sep 17 00:00:00 2001|(?:From|Subject|Date): .+")
_SIGNATURE = re.compile(r"-- ?|\d+\.\d[\w.]*(?: .*)?")
_STAT = re.compile(
    r" (?:.+ \| +(?:\d+(?: [+-]+)?|Bin.*)|(?:create|delete) mode .+|(?:mode change|rename|copy) .+"
    r"|(?P<files>\d{1,9}) files? changed"
    r"(?:, (?P<added>\d{1,9}) insertions?\(\+\))?(?:, (?P<removed>\d{1,9}) deletions?\(-\))?)"
)


@dataclass(slots=True)
class _File:
    first: int
    last: int
    file: str = ""
    old_file: str = ""
    status: str = "modified"
    added: int = 0
    removed: int = 0
    is_binary: bool = False

    def record(self) -> Record:
        values: dict[str, JsonValue] = {"file": self.file, "status": self.status}
        if self.status == "renamed":
            values["old_file"] = self.old_file
        if not self.is_binary:
            values |= {"added": self.added, "removed": self.removed}
        return Record(values, self.first, self.last)


def parse(text: str) -> Report | None:
    """Reads a diff into one record a file."""
    reader = _Reader(text.split("\n"))
    if not reader.read():
        return None
    files, added, removed = _sum(reader.files)
    totals = {"files": files, "added": added, "removed": removed}
    return Report("diff", [file.record() for file in reader.files], totals)


def _sum(files: Sequence[_File]) -> tuple[int, int, int]:
    return len(files), sum(file.added for file in files), sum(file.removed for file in files)


class _Reader:
    """Reads a diff line by line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.files: list[_File] = []
        self._lines = lines
        self._at = 0
        self._within = ""
        """``commit``, ``mail``, ``introduction`` or ``header`` of a file, ``hunks``."""
        self._first = 0
        """First line of the introduction."""
        self._stat: tuple[int, int, int] | None = None
        """Files, added and removed lines by the last diffstat."""
        self._before_stat = 0
        """Number of files before it."""

    def read(self) -> bool:
        """Returns whether the text is a diff and all of it is understood."""
        while self._at < len(self._lines):
            if not self._take(self._lines[self._at]):
                return False
            self._at += 1
        ended = self._within in ("header", "hunks") and all(file.file for file in self.files)
        return ended and self._agrees_with_stat()

    def _take(self, line: str) -> bool:
        """Reads what ``line`` begins, to its last line; returns whether it is understood."""
        if hunk := _HUNK.fullmatch(line):
            return self._within == "hunks" and self._take_hunk(hunk)
        if line.startswith("--- ") and self._is_name():
            self._take_names(line[4:], self._lines[self._at + 1][4:])
            return True
        if git := _GIT.fullmatch(line):
            self._open("header", _common_name(git["names"]))
            return True
        if self._within == "header" and self._take_header(line):
            self.files[-1].last = self._at + 1
            return True
        return self._take_other(line)

    def _open(self, within: str, name: str) -> None:
        first = self._first if self._within == "introduction" else self._at + 1
        self.files.append(_File(first, self._at + 1, name))
        self._within = within

    def _is_name(self) -> bool:
        """Returns whether the names of a file begin here: ``---``, ``+++`` and a hunk."""
        following = self._lines[self._at + 1 : self._at + 3]
        return len(following) == 2 and following[0].startswith("+++ ") and bool(_HUNK.match(following[1]))

    def _take_names(self, old: str, new: str) -> None:
        if self._within != "header":
            self._open("hunks", "")
        file = self.files[-1]
        old_name, new_name = _names(old, new)
        file.file = file.file or (old_name if new_name == _NO_FILE else new_name)
        if old_name == _NO_FILE or _ABSENT.match(old):
            file.status = "added"
        elif new_name == _NO_FILE or _ABSENT.match(new):
            file.status = "deleted"
        self._within = "hunks"
        self._at += 1
        file.last = self._at + 1

    def _take_header(self, line: str) -> bool:
        """Reads a line between ``diff --git`` and the first hunk."""
        file = self.files[-1]
        if _BINARY.fullmatch(line):
            file.is_binary = True
            return True
        header = _EXTENDED.fullmatch(line)
        if not header:
            return False
        if header["made"]:
            file.status = "added" if header["made"] == "new" else "deleted"
        if header["end"] == "from":
            file.old_file = _unquoted(header["path"])
        elif header["end"] == "to":
            file.file = _unquoted(header["path"])
            file.status = "renamed" if header["move"] == "rename" else "added"
        return True

    def _take_hunk(self, hunk: re.Match[str]) -> bool:
        """Reads as many lines as the header of the hunk says."""
        file = self.files[-1]
        old, new = int(hunk["old"] or 1), int(hunk["new"] or 1)
        while old > 0 or new > 0:
            self._at += 1
            mark = self._lines[self._at][:1] or " " if self._at < len(self._lines) else ""
            if mark not in (" ", "-", "+", "\\"):
                return False
            old -= mark in " -"
            new -= mark in " +"
            file.removed += mark == "-"
            file.added += mark == "+"
        file.last = self._at + 1
        return old == new == 0

    def _take_other(self, line: str) -> bool:
        """Reads a line that is not of a file: of a commit, a mail, a diffstat or an introduction."""
        if not line:
            return True
        if self._within == "hunks" and _NO_NEWLINE.fullmatch(line):
            self.files[-1].last = self._at + 1
            return True
        is_new = self._within not in ("commit", "mail")
        if _COMMIT.fullmatch(line) or (is_new and _MAIL.fullmatch(line)):
            self._within = "commit" if line.startswith("commit") else "mail"
            return self._agrees_with_stat()
        if stat := _STAT.fullmatch(line) if self._within in ("", "commit", "mail") else None:
            self._take_stat(stat)
            return True
        if self._within == "commit":
            return _ABOUT_COMMIT.fullmatch(line) is not None
        return self._within == "mail" or self._take_introduction(line)

    def _take_stat(self, stat: re.Match[str]) -> None:
        if stat["files"]:
            self._stat = int(stat["files"]), int(stat["added"] or 0), int(stat["removed"] or 0)
            self._before_stat = len(self.files)

    def _take_introduction(self, line: str) -> bool:
        if not _INTRODUCTION.fullmatch(line):
            return bool(self.files) and _SIGNATURE.fullmatch(line) is not None
        if self._within != "introduction":
            self._within, self._first = "introduction", self._at + 1
        return True

    def _agrees_with_stat(self) -> bool:
        stat, self._stat = self._stat, None
        return stat is None or stat == _sum(self.files[self._before_stat :])


def _common_name(names: str) -> str:
    """Returns ``x`` for ``a/x b/x`` and ``x x``; empty for a renamed file."""
    middle = len(names) // 2
    old, new = _unquoted(names[:middle]), _unquoted(names[middle + 1 :])
    if names[middle : middle + 1] != " ":
        return ""
    if old == new:
        return new
    return new[2:] if _PREFIX.match(old) and _PREFIX.match(new) and old[2:] == new[2:] else ""


def _names(old: str, new: str) -> tuple[str, str]:
    """Returns the names after ``---`` and ``+++``, without dates and the prefixes of git."""
    names = [_unquoted(side.partition("\t")[0]) for side in (old, new)]
    present = [name for name in names if name != _NO_FILE]
    if all(_PREFIX.match(name) for name in present) and names[0][0] != names[1][0]:
        names = [name if name == _NO_FILE else name[2:] for name in names]
    return names[0], names[1]


def _unquoted(name: str) -> str:
    """Returns a path without the quotes and octal escapes of git."""
    if not (name.startswith('"') and name.endswith('"')):
        return name
    raw = name[1:-1].encode("latin-1", "replace").decode("unicode_escape", "replace")
    return raw.encode("latin-1", "replace").decode("utf-8", "replace")
