"""Functions that take a caller's text need about twice the time for twice the text."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from shim.caller import Caller
from shim.openai.translate import Target, chat_call
from shim.openai.wire import ChatRequest
from tests.linear_time.test_patterns import LEAST_S
from tools.base import Project
from tools.classify.kinds import kinds_in
from tools.classify.label_names import is_fallback
from tools.classify.orders import order_of, without_orders
from tools.extract import known_formats
from tools.extract.fields import Field
from tools.extract.formats.catalog import parsed
from tools.pipeline.prompts import fenced, gives_orders
from tools.pipeline.short import rows_of
from tools.sources.chunks import Chunk, split
from tools.sources.dates import dates
from tools.sources.documents import Document
from tools.sources.evidence import EvidenceIndex
from tools.sources.ignore_patterns import Ignored, glob
from tools.sources.kinds import TooManyKindsError, kinds_of
from tools.sources.language import is_english
from tools.sources.levels import level_of
from tools.sources.sentences import sentences
from tools.sources.words import without_accents, words
from tools.summarize import diff_subjects
from tools.summarize.diffs import is_diff
from tools.summarize.extractive import title_of
from tools.summarize.logs import counted
from tools.summarize.tool import pack, unsupported, within

LENGTHS = (8_000, 32_000)
GROWTH = 9
"""Most growth for four times the text: 4 is linear, 16 is quadratic. Half of the time may be fixed."""
PIECES = (
    "A. ", "a", "1", "\n", "(", '"""', "[", "…", "word ", "many\n", ",", "../", "😀", "\u200b", "<a>", "{",
    "key: ", "2024-01-02 ", "'", '"', "“", "`", "**a ", "[a](", "- a\n", "# a\n", "| a ", "a,b\n", "\t", " ",
    "\r\n", "=", "\\", "Mon ", "1.2.3.", "/a/b", "a: b\n", "ERROR 12 failed\n", "@@ -1 +1 @@\n", "+a\n",
    "diff --git a/a b/b\n", "<!--", "a_b", "aB", "a?", "!", ":a:`", "3 May ", "1,234 ", "é", "中",
    "Ann: Hello there to you.\nBob: And to you.\n", "def f():\n    '''Say what it does. Do it.'''\n",
    "ignore all ", "answer positive ", "x" * 50 + "\n",
)  # fmt: skip
CALLER = Caller(Project("shop"))
FIELDS = Field("", {}, "array", parts=(Field("", {}, "object", parts=(Field("file", {}, "string"),)),))


def indexed(text: str) -> None:
    index = EvidenceIndex([Chunk(Document("text", text), text, 1)])
    for value in ("absent value", text[:200], text[-200:], 12, "2024-01-02", "5 June"):
        index.find(value)


def ignored(text: str) -> None:
    rules = Ignored().below(Path("/project"), text)
    rules("/project/src/a.py", is_folder=False)


def globbed(text: str) -> None:
    with suppress(ValueError):
        glob(text[:4_000]).match("a" * 200)


def kinds(text: str) -> None:
    with suppress(TooManyKindsError):
        kinds_of(text.split("\n"))


def translated(text: str) -> None:
    parts = [{"type": "text", "text": line} for line in text.split("\n")[:9_000]]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": text}]
    chat_call(ChatRequest.model_validate({"model": "main", "messages": messages}), Target(), CALLER)


def ordered(text: str) -> None:
    order = order_of(["positive", "negative"])
    for line in text.split("\n"):
        without_orders(line, order)
    without_orders(text, order)


FUNCTIONS: Mapping[str, Callable[[str], object]] = MappingProxyType({
    "sentences": sentences,
    "chunks": lambda text: list(split(Document("text", text), 200, len)),
    "pack": lambda text: pack([Document("text", text)], 300, len),
    "evidence": indexed,
    "dates": lambda text: list(dates(text)),
    "words": lambda text: words(without_accents(text)),
    "kinds": kinds,
    "kinds of a log": lambda text: kinds_in(text.split("\n")),
    "log counts": lambda text: counted([text], focus="disk", max_words=50),
    "ignore rules": ignored,
    "globs": globbed,
    "language": is_english,
    "levels": level_of,
    "label names": is_fallback,
    "orders": ordered,
    "prompts": lambda text: (fenced(text), gives_orders(text)),
    "translate": translated,
    "rows": lambda text: rows_of({"summary": text}, "summary"),
    "title": title_of,
    "within": lambda text: within(text, 50),
    "unsupported": lambda text: unsupported(text, [Document("text", text[:1_000])]),
    "diff": is_diff,
    "diff subject": diff_subjects.subject,
    "diff list": diff_subjects.listed,
    "formats": parsed,
    "known formats": lambda text: known_formats.read(FIELDS, text, "list the errors"),
    "instructions": lambda text: known_formats.read(FIELDS, "a.py:1:2: E501 too long\n" * 3, text),
})  # fmt: skip


def seconds(function: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    function(text)
    return time.thread_time() - begun


def grown(function: Callable[[str], object], make: Callable[[int], str]) -> str:
    """Returns how the time grows with the length of the text, if it grows too fast."""
    short, long = (seconds(function, make(length)) for length in LENGTHS)
    if long > max(2 * LEAST_S, GROWTH * short):
        short, long = (min(seconds(function, make(length)) for _ in range(3)) for length in LENGTHS)
        if long > max(2 * LEAST_S, GROWTH * short):
            return f"{short:.3f} s, {long:.3f} s"
    return ""


def repeated(piece: str) -> Callable[[int], str]:
    return lambda length: piece * (length // len(piece))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_with_the_text(name: str) -> None:
    slow = {piece: how for piece in PIECES if (how := grown(FUNCTIONS[name], repeated(piece)))}
    assert slow == {}
