"""Reads the header of a GGUF file: metadata and tensor shapes.

Faster than the ``gguf`` package, which takes seconds for a vocabulary: lists of texts are skipped.
Format: docs/gguf.md of ggml, versions 2 and 3, little-endian.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.base import JsonValue
from engines.errors import InvalidArgumentsError

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Header:
    metadata: Mapping[str, JsonValue]
    """Lists of texts, such as the vocabulary, are empty."""
    shapes: Mapping[str, tuple[int, ...]]
    """Shapes of the tensors, fastest dimension first."""
    data_bytes: int
    """Bytes of all tensors."""


def read_header(path: Path) -> Header:
    """Returns the header of the file at ``path``; blocks for well under a second.

    Raises:
        InvalidArgumentsError: the file cannot be read or is not GGUF.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Cursor(data).header()
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise InvalidArgumentsError(f"{path} cannot be read as a GGUF file: {error}") from error


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> Header:
        if self._data[:4] != MAGIC:
            raise ValueError("it does not begin with GGUF")
        self._at = 8  # magic and version
        tensors, entries = self._number("Q"), self._number("Q")
        metadata = {self._text(): self._value(self._number("I")) for _ in range(entries)}
        shapes = dict(self._tensor() for _ in range(tensors))
        alignment = int(str(metadata.get("general.alignment", ALIGNMENT)))
        start = -(-self._at // alignment) * alignment
        return Header(metadata, shapes, len(self._data) - start)

    def _tensor(self) -> tuple[str, tuple[int, ...]]:
        name, dimensions = self._text(), self._number("I")
        shape = self._take(f"{dimensions}Q")
        self._take("IQ")  # type and offset
        return name, tuple(map(int, shape))

    def _value(self, kind: int) -> JsonValue:
        if kind == STRING:
            return self._text()
        if kind != ARRAY:
            return self._take(SCALARS[kind])[0]
        kind, count = self._number("I"), self._number("Q")
        if kind in SCALARS:
            return list(self._take(f"{count}{SCALARS[kind]}"))
        if kind == STRING:
            self._skip_texts(count)
            return []
        return [self._value(kind) for _ in range(count)]

    def _skip_texts(self, count: int) -> None:
        length_at, at = struct.Struct("<Q").unpack_from, self._at
        for _ in range(count):
            at += 8 + length_at(self._data, at)[0]
        self._at = at

    def _text(self) -> str:
        length = self._number("Q")
        self._at += length
        return self._data[self._at - length : self._at].decode(errors="replace")

    def _number(self, form: str) -> int:
        return int(self._take(form)[0])

    def _take(self, form: str) -> tuple[int | float | bool, ...]:
        values = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return values
