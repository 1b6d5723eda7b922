"""Splits a text into quotable sentences: no code, headings, tables or link lists; speakers' names are kept.

Handles plain text, Markdown, reStructuredText, transcripts with ``Name:`` before each turn, and source code,
whose comments and docstrings are the sentences.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 70
"""Words of a sentence; a longer one is cut at a comma or another border."""
SHORTEST = 4

# Full stops that end no sentence. Own list, English.
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|al|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Eq|Sec|Vol|pp|Inc|Ltd|Co|Corp|Jan|Feb|Mar"
    r"|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)|\b[A-Z])\.$"
)
_LOOKED_BACK = 40
"""Characters in which an abbreviation and the space after it fit."""
_END = re.compile(r"[.!?…]{1,5}[\"'”’)\]*_`]{0,5}\s{1,9}(?=[\"'“‘(\[*_`]*[A-Z\d])|[。！？]+")
_SPEAKER = re.compile(
    r"^[ \t]*(?:\[[\d:.]+\] *)?(?P<who>[A-Z][\w.'’-]{0,40}(?: [\w.'’-]{1,40}){0,4})(?: \([^)\n]{0,30}\))?:"
    r" +(?P<said>\S.*)$"
)
_NOISE = re.compile(
    r"\{(?:vocalsound|disfmarker|pause|gap|nonvocalsound|comment)\}|\[(?:laughter|inaudible|pause|crosstalk)\]"
)
_FILLER = re.compile(r"(?<!\w)(?:um+|uh+|mm-?hmm?|hmm+|er+m?)(?: ,|,)? ?(?!\w)", re.IGNORECASE)
_SPACED = re.compile(r" (?=[,.?!;:]|['’](?:s|re|ve|ll|d|m|t)\b)|(?<=\w) (?=n['’]t\b)")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)")
_UNDERLINE = re.compile(r"^[ \t]*([=\-~^\"'#*+`:.])\1{2,}[ \t]*$")
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+\S|^[ \t]*(?:\d+\.)+\d*[ \t]+[A-Z][^.!?]{0,60}$")
_BULLET = re.compile(r"^[ \t]*(?:[-*+•]|\(?\d{1,3}[.)])[ \t]+")
_META = re.compile(
    r"^[ \t]*(?::[\w -]+:|[A-Z][\w-]*(?: [\w-]+)?:)(?:[ \t]|$)|^[ \t]*\.\. |^[ \t]*\||^[ \t]*\[[^\]]+\]: "
)
_LINK = re.compile(
    r"!?\[([^\[\]\n]{0,300})\]\([^)\n]{0,500}\)|`([^`<\n]{1,300}) <[^>\n]{0,500}>`_{1,2}"
    r"|(?<!\w):[\w:]{1,40}:`~?([^`\n]{1,300})`|`{1,2}([^`\n]{1,300})`{1,2}_{0,2}"
)
_FOOTNOTE = re.compile(r" ?\[#?[\w-]{1,20}\]_")
_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|return|import|from|func|fn|var|let|const|public|private|package|use)\s\S"
    r"|^\s*(?:if|for|while)\b.*[:{]\s*$|^\s*(?:#include|>>>|\$)\s|^\s*[\w.]+\(.*\)\s*:?$|[=!]==?|->"
)
_COMMENT = re.compile(r"^\s*(?:#+|//+!?|\*|/\*\*?|--|;+)\s+(?P<said>\w.*)$")
_DOCSTRING = re.compile(r"(?:\"\"\"|''')(?P<said>.+?)(?:\"\"\"|''')", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    at: float
    """Relative position in its text, 0 to 1."""
    opens: bool = False
    """Whether it begins a paragraph."""
    speaker: str = ""

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def shown(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def sentences(text: str) -> list[Sentence]:
    """Returns the sentences of ``text``, in order."""
    lines = text.split("\n")
    if is_dialogue(lines):
        return list(_spoken(lines))
    if is_code(lines):
        return list(_commented(text))
    return list(_written(text))


def is_dialogue(lines: list[str]) -> bool:
    """Returns whether most lines name a speaker, and there is more than one speaker."""
    filled = [line for line in lines[:400] if line.strip()]
    spoken = [found["who"] for line in filled if (found := _SPEAKER.match(line))]
    return len(spoken) > max(2, len(filled) / 3) and 1 < len(set(spoken)) < len(spoken)


def is_code(lines: list[str]) -> bool:
    """Returns whether most of the first lines are source code."""
    filled = [line for line in lines[:400] if line.strip()]
    return sum(_CODE_LINE.search(line) is not None for line in filled) > len(filled) / 3


def _spoken(lines: list[str]) -> Iterator[Sentence]:
    who = ""
    for index, line in enumerate(lines):
        turn = _SPEAKER.match(line)
        who = turn["who"] if turn else who
        turn_text = _SPACED.sub("", _FILLER.sub("", _NOISE.sub("", turn["said"] if turn else line)))
        for number, one in enumerate(_split(" ".join(turn_text.split()))):
            yield Sentence(one, index / len(lines), number == 0, who)


def _commented(text: str) -> Iterator[Sentence]:
    """Yields the sentences of comments and docstrings."""
    found = [(m.start(), m["said"]) for m in _DOCSTRING.finditer(text)]
    at, held, start = 0, list[str](), 0
    for line in [*text.split("\n"), ""]:
        comment = _COMMENT.match(line)
        if comment:
            start = start if held else at
            held.append(comment["said"].rstrip().removesuffix("*/"))
        elif held:
            found.append((start, " ".join(held)))
            held = []
        at += len(line) + 1
    for start, block in sorted(found):
        for number, one in enumerate(_split(" ".join(_plain(block).split()))):
            yield Sentence(one, start / len(text), number == 0)


def _written(text: str) -> Iterator[Sentence]:
    for at, paragraph in _paragraphs(text):
        for number, one in enumerate(_split(_plain(paragraph))):
            yield Sentence(one, at, number == 0)


def _paragraphs(text: str) -> Iterator[tuple[float, str]]:
    """Yields paragraphs and list entries on one line each, without what is not prose."""
    held: list[str] = []
    lines = text.split("\n")
    fenced = False
    literal = -1
    for index, line in enumerate([*lines, ""]):
        indent = len(line) - len(line.lstrip())
        if _FENCE.match(line):
            fenced = not fenced
        skipped = fenced or (literal >= 0 and line.strip() and indent > literal)
        if line.strip() and not skipped:
            literal = -1
        following = lines[index + 1] if index + 1 < len(lines) else ""
        titled = _UNDERLINE.match(following) is not None and bool(line.strip()) and len(line) < 100
        bare = (
            not line.strip() or _UNDERLINE.match(line) or _HEADING.match(line) or _META.match(line) or titled
        )
        if skipped or bare or _FENCE.match(line) or _BULLET.match(line):
            if held:
                yield index / len(lines), " ".join(held)
            held = []
        if not skipped and not bare and not _FENCE.match(line):
            held.append(_BULLET.sub("", line).strip())
        if held and held[-1].endswith("::"):
            literal = indent


def _plain(text: str) -> str:
    """Removes Markdown and reStructuredText markup."""
    text = _LINK.sub(lambda m: next((group for group in m.groups() if group), ""), text)
    return re.sub(r"(?<!\w)(\*\*|__|\*)(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)", r"\2", _FOOTNOTE.sub("", text))


def _split(text: str) -> Iterator[str]:
    """Yields non-empty sentences of at most ``LONGEST`` words."""
    start = 0
    for end in [*(m.end() for m in _END.finditer(text)), len(text)]:
        # Only the end is copied here: a text of initials is one sentence.
        if end < len(text) and _ABBREVIATED.search(text[max(start, end - _LOOKED_BACK) : end].strip()):
            continue
        sentence = text[start:end].strip()
        start = end
        if len(sentence.split()) >= SHORTEST and sum(c.isalpha() or c == " " for c in sentence) > 0.7 * len(
            sentence
        ):
            yield _shortened(sentence)


def _shortened(sentence: str) -> str:
    words = sentence.split()
    if len(words) <= LONGEST:
        return sentence
    cut = max((i for i in range(20, LONGEST) if words[i][-1] in ",;:)"), default=LONGEST - 1)
    return " ".join(words[: cut + 1]).rstrip(",;:") + " …"
