"""Selects and cleans the parts of a text to embed, without form boilerplate, code and links."""

import re

PIECES = 250
"""Length of an embedded view: about 150 English words, within the 256 tokens of all-MiniLM-L6-v2."""

READ = 8_000
"""Characters of a text that are cleaned; more would let a hostile text take seconds."""

# Cleaning a hostile text can take quadratic time, so only a bounded beginning is cleaned.
_READ = 8_000

_NOISE = (
    # Comments and blocks of code.
    (re.compile(r"<!--.*?-->|```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL), " "),
    # Images and bare addresses are removed, links keep their words.
    (re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)"), " "),
    (re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"https?://\S+"), " "),
    # Headings and check boxes of a form are the same in every text that fills it in.
    (re.compile(r"^[ \t]*(?:#{1,6} .*|[-*] \[[ xX]\].*|_No response_[ \t]*)$", re.MULTILINE), " "),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"\s*\n\s*"), "\n"),
)
# A word-piece token never spans two of these; common words take fewer tokens than pieces.
_PIECE = re.compile(r"[A-Za-z]{1,4}|\S")


def text_views(text: str) -> tuple[str, ...]:
    """Returns the texts whose mean embedding represents ``text``: its first line and the whole, cleaned."""
    clean = text[:READ]
    for pattern, replacement in _NOISE:
        clean = pattern.sub(replacement, clean)
    clean = clean.strip() or text[:READ].strip() or "empty"
    return tuple(dict.fromkeys((_cut(clean.split("\n", 1)[0]), _cut(clean))))


def is_cut(text: str) -> bool:
    """Returns whether the views of ``text`` leave out its end."""
    return len(text) > READ or len(_PIECE.findall(text)) > PIECES


def _cut(text: str) -> str:
    for count, piece in enumerate(_PIECE.finditer(text)):
        if count == PIECES:
            return text[: piece.start()].rstrip()
    return text
