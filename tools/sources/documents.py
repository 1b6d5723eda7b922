"""Loads text, items and paths as documents; files are read by the server, so that callers need not.

A path named by the caller that cannot be used raises an error; a file that only a folder or glob matched is
skipped with a note. ``tools/sources/files.py`` decides which files may be read.
"""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from engines.errors import AgentError, InvalidArgumentsError
from tools.base import Project
from tools.sources.files import Files, Found, SourceUnusableError

MAX_DOCUMENTS = 250_000
"""Items, lines and files of one call."""
NOTES_SHOWN = 5

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NEVER_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Document:
    """A text and its position in its source. ``id`` is its name in results."""

    id: str
    text: str
    path: str = ""
    """Relative to the project root; empty for text the caller sent."""
    line: int = 1
    """Line of ``path`` on which ``text`` begins."""


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
    """Returns the documents of a call. Blocks on disk access: call it in a worker thread.

    Raises:
        SourceRefusedError: a path leads outside, or names a secret.
        SourceNotFoundError: a path or glob matches nothing.
        SourceUnusableError: a named file is empty, binary or too large, or there is too much of it.
        InvalidArgumentsError: ``split`` is unknown, or a path is malformed.
    """
    check_split(split)
    loaded = _Loaded()
    if paths is not None:
        files = Files(project)
        for found in files.find(paths):
            loaded.add_file(files, found, split)
        loaded.skip(files.skipped)
    elif items is not None:
        for index, item in enumerate(items):
            loaded.add([_item(index, item)])
    elif text is not None:
        if not text.strip():
            raise SourceUnusableError("text is empty", hint="send some text, or name files in paths")
        loaded.add(split_document(Document("text", _clean(text)), split))
    else:
        return Sources()
    if not loaded.documents:
        where = ", ".join(paths or ["text"])[:200]
        raise SourceUnusableError(f"nothing to read in {where}", hint="; ".join(loaded.notes()))
    return Sources(tuple(loaded.documents), paths is not None, tuple(loaded.notes()))


class _Loaded:
    """Documents and notes collected so far."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self._notes: list[str] = []
        self._skipped: list[str] = []

    def add(self, documents: Iterator[Document] | Sequence[Document]) -> None:
        empty = 0
        for document in documents:
            if not document.text.strip():
                empty += 1
                continue
            if len(self.documents) == MAX_DOCUMENTS:
                raise SourceUnusableError(
                    f"more than {MAX_DOCUMENTS} items, at {document.id}", hint="send fewer at once"
                )
            self.documents.append(document)
        if empty:
            self._notes.append(f"{empty} items without text were left out")

    def add_file(self, files: Files, found: Found, split: str) -> None:
        try:
            text, note = decode(files.read(found), found.shown)
        except AgentError as error:
            if found.named:
                raise
            self.skip([error.message])
            return
        self._notes += [note] if note else []
        self.add(split_document(Document(found.shown, _clean(text), found.shown), split))

    def skip(self, reasons: Sequence[str]) -> None:
        self._skipped += [f"skipped: {reason}" for reason in reasons]

    def notes(self) -> list[str]:
        """Returns all warnings, and the first few skipped files."""
        more = len(self._skipped) - NOTES_SHOWN
        return [*self._notes, *self._skipped[:NOTES_SHOWN], *([f"{more} more skipped"] if more > 0 else [])]


def _item(index: int, item: str) -> Document:
    if not item.strip():
        raise SourceUnusableError(f"item {index} is empty", hint="leave empty items out")
    return Document(str(index), _clean(item))


def _clean(text: str) -> str:
    """Normalises line ends and replaces lone surrogates, which no engine accepts."""
    return text.replace("\r\n", "\n").encode(errors="replace").decode()


def decode(raw: bytes, shown: str) -> tuple[str, str]:
    """Returns the text of a file, and a note if the encoding was guessed or faulty.

    UTF-8, or UTF-16 and UTF-32 with a byte order mark; else Windows-1252, which also reads Latin-1.

    Raises:
        SourceUnusableError: the file is binary or empty.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS if raw.startswith(m)), (b"", "utf-8"))
    note = ""
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if not mark and _NEVER_IN_TEXT.search(raw):
            raise _binary(shown) from None
        encoding = encoding if mark else "cp1252"
        text = raw[len(mark) :].decode(encoding, errors="replace")
        note = f"{shown} is not {error.encoding} at byte {error.start}; read as {encoding}"
    if "\0" in text:
        raise _binary(shown)
    if not text.strip():
        raise SourceUnusableError(f"{shown} is empty", hint="name a file with text in it")
    return text, note


def _binary(shown: str) -> SourceUnusableError:
    return SourceUnusableError(
        f"{shown} is a binary file",
        hint="only text is read: UTF-8, Latin-1, or UTF-16 with a byte order mark",
    )


def check_split(split: str) -> None:
    """Returns if ``split`` is ``file``, ``line``, ``paragraph`` or ``jsonl:FIELD``.

    Raises:
        InvalidArgumentsError: ``split`` is none of these.
    """
    if split not in {"file", "line", "paragraph"} and not re.fullmatch(r"jsonl:.+", split):
        raise InvalidArgumentsError(
            f"split: {split!r} is not known", hint="use file, line, paragraph or jsonl:FIELD"
        )


def split_document(document: Document, split: str) -> Iterator[Document]:
    """Yields the items of a document: all of it, its lines, its paragraphs, or one field of its JSON lines.

    Raises:
        SourceUnusableError: a line is not JSON or has no such field.
    """
    if split == "file":
        yield document
        return
    lines = enumerate(document.text.split("\n"), document.line)
    for filled, group in groupby(lines, key=lambda line: bool(line[1].strip())):
        if not filled:
            continue
        if split == "paragraph":
            paragraph = list(group)
            yield _part(document, "\n".join(text for _, text in paragraph), paragraph[0][0])
            continue
        for number, line in group:
            text = line if split == "line" else _json_field(document, number, line, split[len("jsonl:") :])
            yield _part(document, text, number)


def _part(document: Document, text: str, line: int) -> Document:
    name = f"{document.path}:{line}" if document.path else str(line)
    return Document(name, text, document.path, line)


def _fields_of(row: object) -> str:
    """Returns a hint that lists the fields the line has."""
    if not isinstance(row, dict):
        return "jsonl:FIELD needs an object on each line; split=file reads the file as one text"
    names = list(cast("dict[str, object]", row))
    return f"it has {', '.join(names)[:200]}" if names else "it is an empty object"


def _json_field(document: Document, number: int, line: str, name: str) -> str:
    """Returns the field as text; empty where it is null."""
    where = f"{document.path or 'text'}:{number}"
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceUnusableError(
            f"{where} is not JSON: {error}", hint="use split=line for plain text"
        ) from None
    if not isinstance(row, dict) or name not in row:
        raise SourceUnusableError(f"{where} has no field {name!r}", hint=_fields_of(cast("object", row)))
    value = cast("dict[str, object]", row)[name]
    if value is None:
        return ""
    return _clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
