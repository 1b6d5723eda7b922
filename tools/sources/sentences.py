"""A text as sentences worth quoting: no code, headings, tables or link lists; a speaker's name is kept.

The rules are those of plain text, Markdown, reStructuredText, transcripts with ``Name:`` before what is
said, and source code, of which comments and docstrings are the sentences.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 70
"""Words of a sentence; what goes on beyond is cut at a comma or another border."""
SHORTEST = 4

# Full stops that end no sentence. Own list, English.
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|al|approx|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Eq|Sec|Vol|pp|Inc|Ltd|Co|Corp|Jan|Feb|Mar"
    r"|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)|\b[A-Z])\.$"
)
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
    r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,500}\)|`([^`<\n]{1,300}) <[^>\n]{0,500}>`_{1,2}"
    r"|(?<!\w):[\w:]{1,40}:`~?([^`\n]{1,300})`|`{1,2}([^`\n]{1,300})`{1,2}_{0,2}"
)
_FOOTNOTE = re.compile(r" ?\[#?[\w-]{1,20}\]_")
_CODE_LINE = re.compile(
    r"[;{}]\s*$|^\s*(?:def|class|return|import|from|func|fn|var|let|const|public|private|package|use)\s\S"
    r"|^\s*(?:if|for|while)\b.*[:{]\s*$|^\s*(?:#include|>>>|\$)\s|^\s*[\w.]+\(.*\)\s*:?$|[=!]==?|->"
)
_COMMENT = re.compile(r"^\s*(?:#+|//+!?|\*|/\*\*?|--|;+)\s+(?P<said>[A-Z\w].*?)(?:\*/)?\s*$")
_DOCSTRING = re.compile(r"(?:\"\"\"|''')(?P<said>.+?)(?:\"\"\"|''')", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    at: float
    """How far into its text it stands, 0 to 1."""
    opens: bool = False
    """It begins a paragraph."""
    speaker: str = ""

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def shown(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def sentences(text: str) -> list[Sentence]:
    """The sentences of ``text``, in order."""
    lines = text.split("\n")
    if is_dialogue(lines):
        return list(_spoken(lines))
    if is_code(lines):
        return list(_commented(text))
    return list(_written(text))


def is_dialogue(lines: list[str]) -> bool:
    """Whether most lines say who speaks, and more than one does."""
    filled = [line for line in lines[:400] if line.strip()]
    spoken = [found["who"] for line in filled if (found := _SPEAKER.match(line))]
    return len(spoken) > max(2, len(filled) / 3) and 1 < len(set(spoken)) < len(spoken)


def is_code(lines: list[str]) -> bool:
    """Whether most of the first lines are those of a program."""
    filled = [line for line in lines[:400] if line.strip()]
    return sum(_CODE_LINE.search(line) is not None for line in filled) > len(filled) / 3


def _spoken(lines: list[str]) -> Iterator[Sentence]:
    who = ""
    for index, line in enumerate(lines):
        turn = _SPEAKER.match(line)
        who = turn["who"] if turn else who
        said = _SPACED.sub("", _FILLER.sub("", _NOISE.sub("", turn["said"] if turn else line)))
        for number, one in enumerate(_split(" ".join(said.split()))):
            yield Sentence(one, index / len(lines), number == 0, who)


def _commented(text: str) -> Iterator[Sentence]:
    """Comments and docstrings."""
    found = [(m.start(), m["said"]) for m in _DOCSTRING.finditer(text)]
    at, held, start = 0, list[str](), 0
    for line in [*text.split("\n"), ""]:
        comment = _COMMENT.match(line)
        if comment:
            start = start if held else at
            held.append(comment["said"])
        elif held:
            found.append((start, " ".join(held)))
            held = []
        at += len(line) + 1
    for start, said in sorted(found):
        for number, one in enumerate(_split(" ".join(_plain(said).split()))):
            yield Sentence(one, start / len(text), number == 0)


def _written(text: str) -> Iterator[Sentence]:
    for at, paragraph in _paragraphs(text):
        for number, one in enumerate(_split(_plain(paragraph))):
            yield Sentence(one, at, number == 0)


def _paragraphs(text: str) -> Iterator[tuple[float, str]]:
    """Paragraphs and list entries on one line each, without what is no prose."""
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
    """Without the marks of Markdown and reStructuredText."""
    text = _LINK.sub(lambda m: next((group for group in m.groups() if group), ""), text)
    return re.sub(r"(?<!\w)(\*\*|__|\*)(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", _FOOTNOTE.sub("", text))


def _split(text: str) -> Iterator[str]:
    """Sentences of at most ``LONGEST`` words that say something."""
    start = 0
    for end in [*(m.end() for m in _END.finditer(text)), len(text)]:
        said = text[start:end].strip()
        if end < len(text) and _ABBREVIATED.search(said):
            continue
        start = end
        if len(said.split()) >= SHORTEST and sum(c.isalpha() or c == " " for c in said) > 0.7 * len(said):
            yield _shortened(said)


def _shortened(said: str) -> str:
    words = said.split()
    if len(words) <= LONGEST:
        return said
    cut = max((i for i in range(20, LONGEST) if words[i][-1] in ",;:)"), default=LONGEST - 1)
    return " ".join(words[: cut + 1]).rstrip(",;:") + " …"
