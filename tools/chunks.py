"""Long texts in parts that fit, cut at the borders a reader would choose.

A border is, best first: a heading or a top-level definition, a blank line, a line end, a
sentence end, a space. Parts are packed greedily up to the budget; together they are the text,
no character lost and none twice.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tools.sources import Document

BORDERS: Sequence[re.Pattern[str]] = (
    # A Markdown or underlined heading, a diff's next file, a definition at the left margin.
    re.compile(
        r"\n(?=#{1,6} |diff --git |(?:async )?(?:def|class|func|fn|function) |[^\n]+\n(?:={3,}|-{3,})\n)"
    ),
    re.compile(r"\n[ \t]*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?;])\s"),
    re.compile(r"\s"),
)


@dataclass(frozen=True, slots=True)
class Chunk:
    document: Document
    text: str
    line: int
    """Line of the document's file on which the chunk begins."""


def split(document: Document, budget: int, count: Callable[[str], int]) -> Iterator[Chunk]:
    """Parts of ``document`` of at most ``budget`` tokens each, by ``count``, in order."""
    line = document.line
    for text in _pack(_pieces(document.text, budget, count, 0), budget, count):
        if text.strip():
            yield Chunk(document, text, line)
        line += text.count("\n")


def _pieces(text: str, budget: int, count: Callable[[str], int], level: int) -> Iterator[str]:
    """``text`` cut at the best border that makes every piece fit."""
    if count(text) <= budget:
        yield text
    elif level == len(BORDERS):
        # No border left: halves, each at least one character.
        half = max(1, len(text) // 2)
        if len(text) == 1:
            yield text
            return
        yield from _pieces(text[:half], budget, count, level)
        yield from _pieces(text[half:], budget, count, level)
    else:
        start = 0
        ends = [match.end() for match in BORDERS[level].finditer(text)]
        for end in [*ends, len(text)]:
            if end > start:
                yield from _pieces(text[start:end], budget, count, level + 1)
                start = end


def _pack(pieces: Iterator[str], budget: int, count: Callable[[str], int]) -> Iterator[str]:
    """Neighbours joined while they fit. Token counts add up to at least the count of the whole."""
    packed: list[str] = []
    used = 0
    for piece in pieces:
        size = count(piece)
        if packed and used + size > budget:
            yield "".join(packed)
            packed, used = [], 0
        packed.append(piece)
        used += size
    if packed:
        yield "".join(packed)
