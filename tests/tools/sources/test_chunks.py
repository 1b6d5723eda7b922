"""Chunks: nothing lost, nothing over budget, cut at natural borders."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import tokens
from engines.errors import ContextTooLongError
from tools.sources.chunks import Chunk, split
from tools.sources.documents import Document

Count = Callable[[str], int]


def words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def pairs(text: str) -> int:
    """Counts like an encoder: a part may count more than the text it was cut from."""
    return len(re.findall(r"ab|.", text, re.DOTALL))


COUNTS: Sequence[Count] = (len, words, pairs, tokens.by_bytes)
UNITS = st.sampled_from(["a", "b", "ab", ".", " ", "\n", "# ", "é", "a ", ".\n\n"])
RUNS = st.lists(st.tuples(UNITS, st.integers(1, 60)))
TEXTS = RUNS.map(lambda runs: "".join(unit * times for unit, times in runs)) | st.text(
    st.characters(exclude_categories=["Cs"])
)
"""Runs that count little beside runs that count much: what one part teaches misleads in the next."""


def parts(text: str, budget: int, count: Count = words) -> list[str]:
    return [chunk.text for chunk in split(Document("d", text), budget, count)]


@given(TEXTS, st.integers(1, 60), st.sampled_from(COUNTS))
def test_all_parts_together_are_the_text(text: str, budget: int, count: Count) -> None:
    """Except for parts of white space alone."""
    rest = text
    for part in parts(text, budget, count):
        blank, _, rest = rest.partition(part)
        assert not blank.strip()
    assert not rest.strip()


@given(TEXTS, st.integers(1, 60), st.sampled_from(COUNTS))
def test_no_part_is_over_the_budget_unless_it_is_one_character(text: str, budget: int, count: Count) -> None:
    assert [part for part in parts(text, budget, count) if count(part) > budget and len(part) > 1] == []


@given(TEXTS, st.integers(1, 60), st.sampled_from(COUNTS), st.integers(1, 900))
def test_a_part_begins_on_the_line_it_reports(text: str, budget: int, count: Count, first: int) -> None:
    at = 0
    for chunk in split(Document("d", text, "d.md", first), budget, count):
        at = text.index(chunk.text, at)
        assert chunk.line == first + text.count("\n", 0, at)
        at += len(chunk.text)


@given(TEXTS, st.sampled_from(COUNTS))
def test_a_text_that_fits_is_one_part(text: str, count: Count) -> None:
    assert parts(text, max(1, count(text)), count) == ([text] if text.strip() else [])


@given(st.text(st.sampled_from("ab \n."), min_size=1), st.integers(5, 60))
def test_parts_are_not_tiny(text: str, budget: int) -> None:
    """At most as many as with a third of the budget in each, plus one for the end."""
    found = list(split(Document("d", text), budget, len))
    assert len(found) <= 3 * len(text) / budget + 1


SECTION = "# Title\n\nA first sentence. A second one.\n\nAnother paragraph\nof two lines.\n\n"


def test_a_heading_is_the_best_border() -> None:
    for part in parts(SECTION * 10, 60):
        assert part.startswith("# Title")


@pytest.mark.parametrize(
    ("unit", "begins"),
    [
        ("one two three four\n\n", r"one"),
        ("one two three four\nfive six seven eight\n", r"one|five"),
        ("One two three four. Five six seven eight. ", r"One|Five"),
        ("diff --git a/x b/x\n+one\n-two\n three\n", r"diff --git"),
        ("def one():\n    two\n\n    three = 4\n", r"def one"),
        ("Title\n=====\none two three\n\nfour five\n", r"Title"),
    ],
    ids=["paragraphs", "lines", "sentences", "diffs", "functions", "underlined headings"],
)
def test_the_best_border_there_is_decides(unit: str, begins: str) -> None:
    found = parts(unit * 40, 40)
    assert len(found) > 3
    assert [part for part in found if not re.match(begins, part)] == []


def test_a_text_without_any_border_is_cut_anyway() -> None:
    assert [len(part) for part in parts("x" * 100, 30, len)] == [28, 28, 28, 16]


def test_a_windows_text_has_the_same_borders() -> None:
    assert all(part.startswith("one") for part in parts("one two three four\r\n\r\n" * 20, 30))


def test_white_space_alone_is_no_part() -> None:
    assert parts(" \n\t" * 100, 5, len) == []


def test_a_budget_too_small_for_any_text_is_an_error_not_an_endless_list() -> None:
    with pytest.raises(ContextTooLongError, match="leaves no room"):
        parts("text", 0)


def test_a_part_refers_to_its_document() -> None:
    document = Document("f.md:7", "one\ntwo", "f.md", 7)
    assert list(split(document, 5, len)) == [Chunk(document, "one\n", 7), Chunk(document, "two", 8)]


@pytest.mark.parametrize("unit", ["some words in a line\n", "x", "# H\n\npara graph\n\n", " ", "wörd "])
@pytest.mark.parametrize("budget", [50, 1_000])
def test_a_long_text_is_counted_a_few_times_not_once_for_each_border(unit: str, budget: int) -> None:
    text = unit * (200_000 // len(unit))
    counted = 0

    def count(part: str) -> int:
        nonlocal counted
        counted += len(part)
        return tokens.by_bytes(part)

    list(split(Document("d", text), budget, count))
    assert counted < 5 * len(text)


def test_with_the_real_encoder_no_part_is_over_the_budget(tmp_path: Path) -> None:
    count = tokens.load(tmp_path).count
    text = "".join(f"def f{n}(x: int) -> str:\n    return '…{n * 7919}' + str(x)\n\n" for n in range(2_000))
    found = parts(text, 500, count)
    assert "".join(found) == text
    assert max(map(count, found)) <= 500
    assert len(found) < 1.5 * count(text) / 500
