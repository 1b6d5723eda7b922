"""Splits long texts into chunks that fit a token budget, at natural borders.

A border is, best first: a heading or a top-level definition, a blank line, a line end, a sentence end, a
space. A chunk is as long as fits, ended at the last of the best borders in its second half; together the
chunks are the text, without loss or overlap.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engines.errors import ContextTooLongError
from tools.sources.documents import Document

BORDERS: Sequence[re.Pattern[str]] = (
    # A Markdown or underlined heading, the next file of a diff, an unindented definition.
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
    """Yields chunks of ``document`` of at most ``budget`` tokens each, by ``count``, in order.

    A single character is never split, whatever its count. Each chunk is counted about twice.

    Raises:
        ContextTooLongError: ``budget`` is too small for any text.
    """
    if budget < 1:
        raise ContextTooLongError(
            "the context leaves no room for the text", hint="use a larger context, or shorter instructions"
        )
    line = document.line
    for text in _parts(document.text, budget, count):
        if text.strip():
            yield Chunk(document, text, line)
        line += text.count("\n")


def _parts(text: str, budget: int, count: Callable[[str], int]) -> Iterator[str]:
    start, size = 0, count(text)
    width = len(text) if size <= budget else _scaled(len(text), budget, size)
    while start < len(text):
        rest = len(text) - start
        # The rest of the text as one part if it may fit: avoids a tiny last part.
        part, size = _fitting(text, start, rest if rest <= 1.2 * width else width, budget, count)
        yield part
        start += len(part)
        width = _scaled(len(part), budget, size)


def _fitting(text: str, start: int, width: int, budget: int, count: Callable[[str], int]) -> tuple[str, int]:
    """Returns the chunk that begins at ``start``, of at most ``width`` characters, and its tokens."""
    while True:
        part = text[start : start + width]
        if start + width < len(text):
            part = part[: _border(part)]
        size = count(part)
        if size <= budget or len(part) == 1:
            return part, size
        width = min(_scaled(len(part), budget, size), len(part) - 1)


def _scaled(characters: int, budget: int, size: int) -> int:
    """Estimates, slightly low, the characters that fill ``budget`` if ``characters`` took ``size`` tokens."""
    return max(1, int(0.95 * characters * budget / max(size, 1)))


def _border(part: str) -> int:
    """Returns the end of ``part``: after the last of the best borders in its second half, or its length."""
    for border in BORDERS:
        ends = [found.end() for found in border.finditer(part, len(part) // 2)]
        if ends:
            return ends[-1]
    return len(part)
