"""What of a text to embed, so that its meaning is not drowned by forms, code and links."""

import re

PIECES = 250
"""Of a text are read: about 150 English words, inside the 256 tokens all-MiniLM-L6-v2 was trained on."""

READ = 8_000
"""Characters of a text looked at to find those; more would let a hostile text cost seconds."""

# Cleaning is quadratic in what a hostile text may hold, so a bounded beginning is cleaned.
_READ = 8_000

_NOISE = (
    # Comments and blocks of code.
    (re.compile(r"<!--.*?-->|```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL), " "),
    # Images go, links keep their words, bare addresses go.
    (re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)"), " "),
    (re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"https?://\S+"), " "),
    # Headings and ticks of a form: the same in every text that fills it in.
    (re.compile(r"^[ \t]*(?:#{1,6} .*|[-*] \[[ xX]\].*|_No response_[ \t]*)$", re.MULTILINE), " "),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"\s*\n\s*"), "\n"),
)
# No token of a word-piece tokenizer spans these; common words are shorter in tokens than in pieces.
_PIECE = re.compile(r"[A-Za-z]{1,4}|\S")


def text_views(text: str) -> tuple[str, ...]:
    """The texts whose mean embedding stands for ``text``: its first line, and the whole, both cleaned."""
    clean = text[:READ]
    for pattern, replacement in _NOISE:
        clean = pattern.sub(replacement, clean)
    clean = clean.strip() or text[:READ].strip() or "empty"
    return tuple(dict.fromkeys((_cut(clean.split("\n", 1)[0]), _cut(clean))))


def is_cut(text: str) -> bool:
    """Whether the views of ``text`` leave out its end."""
    return len(text) > READ or len(_PIECE.findall(text)) > PIECES


def _cut(text: str) -> str:
    for count, piece in enumerate(_PIECE.finditer(text)):
        if count == PIECES:
            return text[: piece.start()].rstrip()
    return text
