"""Evidence: found in any spelling, and not found where a value only seems to be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.sources.chunks import Chunk, split
from tools.sources.documents import Document
from tools.sources.evidence import EvidenceIndex


def index_of(text: str, *, line: int = 1) -> EvidenceIndex:
    document = Document("f.md", text, "f.md", line)
    return EvidenceIndex([Chunk(document, text, line)])


def found(value: str | float, text: str) -> bool:
    return index_of(text).find(value) is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada Lovelace", "by Ada Lovelace, 1843"),
        ("Ada Lovelace", "by ADA\n   LOVELACE"),
        ("Ada\nLovelace", "by Ada Lovelace"),
        ("Av. de la Paz 12, Madrid", "Av. de la Paz, 12\nMadrid"),
        ("Ivan Penya", "Iván Penya"),
        ("5", "cinco kilos"),
        (3, "drei Stühle"),
        ("09:30", "a las 9:30 h"),
        ("16:45", "at 4.45 pm"),
        ("16:45", "a las 4:45 de la tarde"),
        ("14:00", "um 14 Uhr"),
        ("left == right failed", "`left == right` failed"),
        ("a.*b(c)[d]{2}^$|\\", "x a.*b(c)[d]{2}^$|\\ y"),
        ("(?:", "a (?: b"),
        ("C++", "in C++ and C"),
        (".env", "the .env file"),
        ('It\'s "so" - yes', "it’s “so” – yes"),
        ("café", "cafe\u0301"),
        ("straße", "STRASSE"),
        ("ﬁle", "file"),
        ("北京", "我在北京住"),
        ("ไทย", "ภาษาไทยง่าย"),
        ("v2.1", "since v2.1."),
        ("1.5", "it is 1.5."),
        ("12:30", "at 12:30:15"),
        ("SKU1", "SKU1,25,red"),
        ("https://example.org/a?b=c", "<https://example.org/a?b=c>"),
        ("snake_case", "`snake_case`"),
    ],
)
def test_words_are_found_in_another_spelling(value: str, text: str) -> None:
    assert found(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("art", "start party artful"),
        ("16:45", "at 4.45 am"),
        ("16:45", "room 16, seat 45"),
        ("09:00", "9 people"),
        ("case", "snake_case"),
        ("a.*b", "axxb"),
        ("Ada Lovelace", "Ada King, Countess of Lovelace"),
        ("AdaLovelace", "Ada Lovelace"),
        ("Ada Lovelace", "AdaLovelace"),
        ("v2.1", "v2.10"),
        ("", "text"),
        (" \n", "text"),
    ],
)
def test_words_are_not_found_in_other_words(value: str, text: str) -> None:
    assert not found(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234, "costs 1,234 in all"),
        (1250, "1.250 clientes"),
        (1250000, "en total 1.250.000"),
        (0.125, "0,125 l"),
        (1234, "1_234"),
        (1234, "1'234"),
        (1234, "1234.0"),
        (1234.0, "1234"),
        (1234567.5, "1,234,567.50"),
        (1234.56, "1.234,56 EUR"),
        (3.5, "3,5 Prozent"),
        (25, "red,25,30"),
        (30, "red,25,30"),
        (0.1, "0.10"),
        (-5, "at -5 degrees"),
        (-5, "at −5 degrees"),
        (-5, "owes -$5"),
        (5, "3-5"),
        (5, "3–5"),
        (1000, "1e3"),
        (1.5e-3, "1.5E-3"),
        (1648, "fixes #1648"),
        (2, "version v2"),
        (2.1, "v2.1"),
        (12, "took 12ms"),
        (12, "第12章"),
        (99, "99%"),
        (10**20, "100000000000000000000"),
        ("1234", "1,234"),
        ("1,234", "1234"),
        ("$1,234.50", "1234.5 dollars"),
        ("#1648", "issue 1648"),
        ("50%", "50 %"),
        ("-5", "(-5.0)"),
        ("007", "agent 007"),
    ],
)
def test_numbers_are_found_by_value(value: str | float, text: str) -> None:
    assert found(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2024"),
        (2, "1.2"),
        (2, "1.2.3"),
        (1.2, "1.2.3"),
        (2, "12"),
        (2, "a1b2c3"),
        (5, "-5"),
        (-5, "5"),
        (-5, "3-5"),
        (1235, "1,234"),
        (10, "1e1a"),
        (9007199254740993, "9007199254740992"),
        ("2", "1.2"),
        ("5", "1.5 and 15"),
        ("1.2", "1.2.3"),
        ("1,2,3", "1 and 2"),
        ("007", "7"),
    ],
)
def test_numbers_are_not_found_in_other_numbers(value: str | float, text: str) -> None:
    assert not found(value, text)


@pytest.mark.parametrize(
    "text",
    [
        "2022-06-28", "2022/6/28", "2022.06.28", "28/06/2022", "06/28/2022", "28-06-2022", "28.06.2022",
        "28. 6. 2022", "June 28, 2022", "Jun. 28 2022", "JUNE 28th, 2022", "28 June 2022",
        "28th of June, 2022", "28-Jun-2022", "Tuesday, June 28,\n  2022", "log_2022-06-28.txt",
        "2022-06-28T10:00:00Z", "于2022年6月28日发布", "28 de junio de 2022", "28. Juni 2022",
        "le 28 juin 2022", "28 giugno 2022", "28 de junho de 2022", "28.06.22", "28/6/22",
        "Madrid, 3 de mayo de 2022. Hasta el 28 de junio.",
    ],
)  # fmt: skip
def test_a_date_is_found_in_any_notation(text: str) -> None:
    assert found("2022-06-28", text)
    assert found("28 June 2022", text)
    assert not found("2022-06-29", text)


@pytest.mark.parametrize("text", ["03/04/2022", "03-04-2022", "3/4/2022"])
def test_a_date_that_can_be_read_in_two_ways_supports_both(text: str) -> None:
    assert found("2022-03-04", text)
    assert found("2022-04-03", text)
    assert not found("2022-04-04", text)
    assert found(text, text), "but itself"


@pytest.mark.parametrize(
    "text",
    ["2022-06-31", "2022-13-01", "June 31, 2022", "12022-06-28", "2022-06-281", "June 2022", "28 June"],
)
def test_what_is_no_date_supports_none(text: str) -> None:
    assert not found("2022-06-28", text)
    assert not found("2022-06-30", text)


def test_an_unambiguous_pair_is_a_date() -> None:
    assert found("2022-04-04", "04/04/2022")


@pytest.mark.parametrize(
    ("value", "text", "is_there"),
    [
        ("2022-06-28T10:00:00Z", "2022-06-28 10:00", True),
        ("2022-06-28T09:05:00", "June 28, 2022 at 9:05", True),
        ("2022-06-28 10:00:30.250+02:00", "2022-06-28T10:00:30", True),
        ("2022-06-28T10:00:00Z", "2022-06-28 11:00; again 2022-06-28 10:00:00", True),
        ("2022-06-28T10:00:00Z", "2022-06-28", False),
        ("2022-06-28T10:00:00Z", "2022-06-28 11:00", False),
        ("2022-06-28T10:00:00Z", "2022-06-28 10:00 pm", False),
        ("2022-06-28 by Bob", "2022-06-28 by Ann", False),
        ("about June 28, 2022", "2022-06-28", False),
    ],
)
def test_a_time_or_words_beside_a_date_count(value: str, text: str, *, is_there: bool) -> None:
    assert found(value, text) is is_there


def test_a_value_is_found_on_the_line_of_the_file_where_it_begins() -> None:
    assert index_of("one\n\n  two\t three \nfour", line=40).find("Two three") == 42
    assert index_of("zero\none two\nthree four\nfive").find("two three") == 2


def test_the_first_chunk_that_holds_it_is_named() -> None:
    chunks = list(split(Document("d", "one two\nthree four\nthree five\n", "d.md"), 20, len))
    assert len(chunks) > 1
    assert EvidenceIndex(chunks).find("five") == 3
    assert EvidenceIndex(chunks).find("three") == 2


@given(
    st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8), min_size=1, max_size=30),
    st.data(),
)
def test_any_run_of_words_of_a_text_is_found_in_it(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    separators = data.draw(st.lists(st.sampled_from([" ", "\n", "\t ", "\n\n"]), min_size=len(words)))
    text = "".join(word + separator for word, separator in zip(words, separators, strict=False))
    line = index_of(text).find(" ".join(words[start:end]))
    assert line is not None
    assert 1 <= line <= text.count("\n") + 1


@given(st.text(), st.text())
def test_any_value_and_text_end_in_an_answer(value: str, text: str) -> None:
    line = index_of(text).find(value)
    assert line is None or line >= 1


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_any_number_ends_in_an_answer_and_finds_itself(value: float, text: str) -> None:
    index_of(text).find(value)
    assert found(value, f"it is {value!r} now")


@pytest.mark.parametrize(
    "unit", ["1", "1,", "1.", "a1", "ab", "-", "1 ", "2022-", "may ", "'", "_1", "-1", "1:"]
)
def test_no_text_takes_long_to_look_at(unit: str) -> None:
    lookup = index_of(unit * (300_000 // len(unit)) + "!")
    begun = time.process_time()
    for value in (5, "5", "2022-06-28", unit * 50 + "x", "x y"):
        lookup.find(value)
    assert time.process_time() - begun < 15


def test_a_thousand_values_in_a_megabyte_take_seconds_not_minutes() -> None:
    lines = [
        f"{n} the quick brown fox {n * 7919} jumps on 2022-0{n % 9 + 1}-1{n % 10} over ab"
        for n in range(16_000)
    ]
    chunks = list(split(Document("d", "\n".join(lines), "d"), 16_000, len))
    values: list[str | float] = [f"fox {n * 7919} jumps" for n in range(0, 16_000, 50)]
    values += [f"nowhere {n}" for n in range(300)] + [n * 7919 + 1 for n in range(300)] + ["b"] * 300
    lookup = EvidenceIndex(chunks)
    begun = time.process_time()
    assert sum(lookup.find(value) is not None for value in values) >= 320
    assert time.process_time() - begun < 15
