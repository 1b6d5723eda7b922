"""Text, items and paths become documents; files are read here, so that no caller has to.

Only regular text files inside the project's root and the operator's folders are read, after
symlinks are resolved, and never one whose name says it holds secrets. A path the caller named
that cannot be used is an error that names it; a file that a folder or glob merely turned up is
skipped and said so.
"""

import codecs
import fnmatch
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import cast

from engines.errors import AgentError, InvalidArgumentsError
from tools.base import Project

MAX_FILE_BYTES = 16 * 2**20
MAX_TOTAL_BYTES = 64 * 2**20
MAX_FILES = 2_000
MAX_VISITED = 50_000
"""Folder entries looked at before a glob or folder is refused as too large."""

SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".idea", ".cache",
})  # fmt: skip
SECRET_FOLDERS = frozenset({".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store"})
SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf",
    ".htpasswd", ".git-credentials", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "*.ppk", "*.asc", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials", "credentials.*",
    "secret", "secret.*", "secrets", "secrets.*", "*.secret", "*.secrets", "service-account*.json",
    "service_account*.json", "*.tfstate", "*.tfstate.*", "shadow", "htpasswd",
    ".vault-token", ".token", "*.token",
)  # fmt: skip
HARMLESS_NAMES = ("*.example", "*.sample", "*.template", "*.dist", "*.pub")


class SourceRefusedError(AgentError):
    kind = "caller"
    code = "path_refused"


class SourceNotFoundError(AgentError):
    kind = "caller"
    code = "path_not_found"


class SourceUnusableError(AgentError):
    """Empty, binary, too large, or not what ``split`` expects."""

    kind = "caller"
    code = "source_unusable"


@dataclass(frozen=True, slots=True)
class Document:
    """A text and where it begins. ``id`` is what results call it."""

    id: str
    text: str
    path: str = ""
    """Relative to the project root; empty for text the caller sent."""
    line: int = 1
    """Line of ``path`` that ``text`` begins on."""


@dataclass(frozen=True, slots=True)
class Sources:
    documents: tuple[Document, ...] = ()
    read_from_files: bool = False
    notes: tuple[str, ...] = ()


def load(
    project: Project,
    *,
    text: str | None = None,
    items: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    split: str = "file",
) -> Sources:
    """The documents of a call. Blocks on the disk: call it in a worker thread.

    Raises:
        SourceRefusedError: a path leads outside, or names a secret.
        SourceNotFoundError: a path or glob matches nothing.
        SourceUnusableError: a named file is empty, binary or too large.
        InvalidArgumentsError: ``split`` is none of the known ones.
    """
    if text is not None:
        if not text.strip():
            raise SourceUnusableError("text is empty", hint="send some text, or name files in paths")
        return Sources((Document("text", text),))
    if items is not None:
        return Sources(tuple(_item(index, item) for index, item in enumerate(items)))
    if paths is None:
        return Sources()
    return _Reader(project).read(paths, split)


def _item(index: int, item: str) -> Document:
    if not item.strip():
        raise SourceUnusableError(f"item {index} is empty", hint="leave empty items out")
    return Document(str(index), item)


class _Reader:
    """Reads the files of one call, counting what it has read against the limits."""

    def __init__(self, project: Project) -> None:
        self._project = project
        roots = ([project.root] if project.root is not None else []) + list(project.folders)
        self._roots = [root.resolve() for root in roots]
        self._bytes = 0
        self._notes: list[str] = []

    def read(self, paths: Sequence[str], split: str) -> Sources:
        if not self._roots:
            raise SourceRefusedError(
                f"project {self._project.name!r} may read no files here",
                hint="the operator must list its folders under [projects.NAME] paths, or send text instead",
            )
        files: dict[Path, str] = {}
        for path in paths:
            for file, shown in self._expand(path):
                files.setdefault(file, shown)
        if len(files) > MAX_FILES:
            raise SourceUnusableError(
                f"{len(files)} files match, more than {MAX_FILES}", hint="name a smaller folder or glob"
            )
        named = {self._anchor(path) for path in paths if not has_magic(path)}
        documents: list[Document] = []
        for file, shown in files.items():
            documents += self._documents(file, shown, split, named=file in named)
        if not documents:
            raise SourceUnusableError(f"nothing to read in {', '.join(paths)}", hint="; ".join(self._notes))
        return Sources(tuple(documents), read_from_files=True, notes=tuple(self._notes))

    def _documents(self, file: Path, shown: str, split: str, *, named: bool) -> list[Document]:
        try:
            text = self._text(file, shown)
        except AgentError as error:
            if named:
                raise
            self._notes.append(f"skipped: {error.message}")
            return []
        return list(split_document(Document(shown, text, shown), split))

    def _anchor(self, path: str) -> Path:
        """``path`` as the caller means it, symlinks resolved: a relative one starts at the first root."""
        return Path(os.path.realpath(self._roots[0] / Path(path).expanduser()))

    def _inside(self, resolved: Path, shown: str) -> None:
        if not any(resolved == root or root in resolved.parents for root in self._roots):
            raise SourceRefusedError(
                f"{shown} is outside of the project ({self._roots[0]})",
                hint="the operator can allow more folders: [projects.NAME] paths in the settings",
            )
        secret = _secret_part(resolved, self._roots)
        if secret:
            raise SourceRefusedError(
                f"{shown} is not read: {secret!r} usually holds secrets",
                hint="copy what may be shared into a file of another name",
            )

    def _expand(self, path: str) -> Iterator[tuple[Path, str]]:
        """The files behind one path, folder or glob, each with the name results show."""
        if "\0" in path or not path.strip():
            raise InvalidArgumentsError(f"{path!r} is not a path", hint="paths are files, folders or globs")
        if has_magic(path) and not self._anchor(path).exists():
            yield from self._glob(path)
            return
        resolved = self._anchor(path)
        self._inside(resolved, path)
        if resolved.is_dir():
            yield from self._walk(resolved)
        elif resolved.exists():
            yield resolved, self._shown(resolved)
        else:
            raise SourceNotFoundError(
                f"{path} does not exist in {self._roots[0]}", hint="paths are relative to the project root"
            )

    def _glob(self, pattern: str) -> Iterator[tuple[Path, str]]:
        fixed = pattern
        while has_magic(fixed):
            fixed = os.path.dirname(fixed)
        folder = self._anchor(fixed or ".")
        self._inside(folder, pattern)
        wanted = _glob_regex(pattern[len(fixed) :].lstrip("/"))
        found = False
        for file, shown in self._walk(folder) if folder.is_dir() else ():
            if wanted.match(file.relative_to(folder).as_posix()):
                found = True
                yield file, shown
        if not found:
            raise SourceNotFoundError(
                f"no file matches {pattern} in {self._roots[0]}",
                hint="globs are relative to the project root",
            )

    def _walk(self, folder: Path) -> Iterator[tuple[Path, str]]:
        """Regular files below ``folder`` in a stable order; symlinked folders are not entered."""
        visited = 0
        for top, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS | SECRET_FOLDERS)
            visited += len(names) + len(folders)
            if visited > MAX_VISITED:
                raise SourceUnusableError(
                    f"{folder} holds more than {MAX_VISITED} entries", hint="name a smaller folder or glob"
                )
            for name in sorted(names):
                file = Path(top, name)
                yield file, self._shown(file)

    def _shown(self, file: Path) -> str:
        root = self._roots[0]
        return file.relative_to(root).as_posix() if root in file.parents else str(file)

    def _text(self, file: Path, shown: str) -> str:
        """The decoded file. What is checked is what was opened, so a swapped symlink gains nothing."""
        resolved = Path(os.path.realpath(file))
        self._inside(resolved, shown)
        # Non-blocking, or opening a FIFO would wait for its writer.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(resolved, flags)
        except OSError as error:
            raise SourceUnusableError(f"{shown} cannot be read: {error.strerror}") from error
        with open(descriptor, "rb") as opened:
            self._check_opened(os.fstat(descriptor), resolved, shown)
            raw = opened.read(MAX_FILE_BYTES + 1)
        self._bytes += len(raw)
        if len(raw) > MAX_FILE_BYTES or self._bytes > MAX_TOTAL_BYTES:
            raise _too_large(shown)
        return self._decode(raw, shown)

    def _check_opened(self, opened: os.stat_result, resolved: Path, shown: str) -> None:
        if not stat.S_ISREG(opened.st_mode):
            raise SourceRefusedError(f"{shown} is not a regular file", hint="name a text file")
        if opened.st_size > MAX_FILE_BYTES:
            raise _too_large(shown)
        again = Path(os.path.realpath(resolved))
        self._inside(again, shown)
        try:
            same = os.path.samestat(opened, os.stat(again))
        except OSError:
            same = False
        if not same:
            raise SourceRefusedError(f"{shown} changed while it was opened", hint="try again")

    def _decode(self, raw: bytes, shown: str) -> str:
        for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
                               (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
            if raw.startswith(mark):
                return _not_empty(raw.decode(encoding, errors="replace"), shown)
        if b"\0" in raw[:8192]:
            raise SourceUnusableError(f"{shown} is a binary file", hint="only text files are read")
        try:
            return _not_empty(raw.decode(), shown)
        except UnicodeDecodeError as error:
            self._notes.append(f"{shown} is not UTF-8 at byte {error.start}; read as Windows-1252")
            return _not_empty(raw.decode("cp1252", errors="replace"), shown)


def _not_empty(text: str, shown: str) -> str:
    if not text.strip():
        raise SourceUnusableError(f"{shown} is empty", hint="name a file with text in it")
    return text


def _too_large(shown: str) -> SourceUnusableError:
    return SourceUnusableError(
        f"{shown} is too large (one file: {MAX_FILE_BYTES >> 20} MiB, one call: {MAX_TOTAL_BYTES >> 20} MiB)",
        hint="name a part of it, or fewer files",
    )


def _secret_part(resolved: Path, roots: Sequence[Path]) -> str:
    """The part of the path below its root that looks like a secret, or an empty string."""
    root = next((root for root in roots if root in resolved.parents), None)
    parts = resolved.relative_to(root).parts if root else (resolved.name,)
    for part in parts:
        name = part.lower()
        if name in SECRET_FOLDERS or (_matches(name, SECRET_NAMES) and not _matches(name, HARMLESS_NAMES)):
            return part
    return ""


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _glob_regex(pattern: str) -> re.Pattern[str]:
    """``**`` spans folders, ``*`` and ``?`` stay within one, ``[...]`` is a set."""
    parts: list[str] = []
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", pattern, flags=re.DOTALL):
        match token:
            case "**/":
                parts.append("(?:[^/]+/)*")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _ if token.startswith("[") and len(token) > 1:
                body = token[1:-1].replace("\\", "\\\\")
                parts.append("[" + ("^" + body[1:] if body.startswith("!") else body) + "]")
            case _:
                parts.append(re.escape(token))
    try:
        return re.compile("".join(parts) + r"\Z", re.DOTALL)
    except re.error as error:
        raise InvalidArgumentsError(f"{pattern!r} is not a glob: {error}", hint="use *, ** and ?") from error


def split_document(document: Document, split: str) -> Iterator[Document]:
    """The items of a file: the whole of it, its lines, its paragraphs, or one field of its JSON lines.

    Raises:
        InvalidArgumentsError: ``split`` is none of ``file``, ``line``, ``paragraph``, ``jsonl:FIELD``.
        SourceUnusableError: a line is not JSON or has no such field.
    """
    if split == "file":
        yield document
    elif split == "line":
        for number, line in enumerate(document.text.splitlines(), 1):
            if line.strip():
                yield _part(document, line, number)
    elif split == "paragraph":
        for match in re.finditer(r"\S(?:.|\n(?!\s*\n))*", document.text):
            yield _part(document, match[0], document.text.count("\n", 0, match.start()) + 1)
    elif split.startswith("jsonl:") and len(split) > len("jsonl:"):
        for number, line in enumerate(document.text.splitlines(), 1):
            if line.strip():
                yield _part(document, _json_field(document, number, line, split[len("jsonl:") :]), number)
    else:
        raise InvalidArgumentsError(
            f"split {split!r} is not known", hint="use file, line, paragraph or jsonl:FIELD"
        )


def _part(document: Document, text: str, line: int) -> Document:
    return Document(f"{document.path}:{line}", text, document.path, line)


def _json_field(document: Document, number: int, line: str, name: str) -> str:
    try:
        row: object = json.loads(line)
    except ValueError as error:
        raise SourceUnusableError(
            f"{document.path}:{number} is not JSON: {error}", hint="use split=line for plain text"
        ) from error
    if not isinstance(row, dict) or name not in row:
        raise SourceUnusableError(f"{document.path}:{number} has no field {name!r}", hint="check jsonl:FIELD")
    value = cast("dict[str, object]", row)[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
