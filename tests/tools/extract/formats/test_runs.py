"""What the parsers of test runs share: messages, lines around a run, time in proportion to the text."""

import time

import pytest

from tools.extract.formats import runs
from tools.extract.formats.catalog import PARSERS
from tools.extract.formats.report import Parse

HEADS = [
    "=== FAILURES ===\n___ a ___",
    "  ● a",
    "FAIL a.js",
    "  1) a",
    " FAIL  a.test.ts > b",
    "--- FAIL: TestA (0.00s)",
    "=== RUN   TestA/b",
    "FAIL\tp [build failed]",
    "thread 'a' panicked at src/lib.rs:1:2:",
    "---- a stdout ----",
    "    not ok 1 - a",
    "✖ a (1ms)",
    "FAIL: a (b.C)",
    "Traceback (most recent call last):",
    "a(com.B)  Time elapsed: 0.1 s  <<< FAILURE!",
    "CartTest > a FAILED",
    "  Failed A.B [1 ms]\n  Error Message:",
    "[ RUN      ] A.B\n[  FAILED  ] A.B (0 ms)",
    "<testsuite><testcase name='a'>",
    "    at a (b.js:1:2)",
    "E   AssertionError: a",
    "a.py:1: in b",
]
ENDS = """
= 9 failed in 1.00s =
Ran 9 tests in 1s
FAILED (failures=9)
Tests: 9 failed, 9 total
Test Suites: 9 failed
test result: FAILED. 1 passed; 9 failed; 0 ignored;
  9 passing
Tests: 9, Assertions: 9
9 tests, 9 failures
"""
UNITS = [
    "= a =",
    "_ a ",
    " in 1 ",
    "[[[",
    "E  [ ",
    ": 1",
    "a:1:",
    "', a",
    "(a",
    "- ",
    "   ",
    "at a.",
    "::",
    "› ",
]


def _seconds(parse: Parse, text: str) -> float:
    """Returns the shorter of two times, so that another process hardly counts."""
    times: list[float] = []
    for _ in range(2):
        start = time.thread_time()
        parse(text)
        times.append(time.thread_time() - start)
    return min(times)


def _texts(size: int) -> list[str]:
    starts = ("", "FAILED ", "ERROR ", "E   ", "  ● ", "    at ", "not ok 1 ", "thread 'a' panicked at '")
    lines = [start + unit * (size * 10 // len(unit)) for unit in UNITS for start in starts]
    texts = [*((head + "\n") * size for head in HEADS), *lines]
    return [text + ENDS for text in texts] + [
        f"=== test session starts ===\n{text}\n{ENDS}" for text in texts
    ]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__module__.rpartition(".")[2])
def test_twice_the_text_takes_about_twice_the_time(parse: Parse) -> None:
    for once, twice in zip(_texts(1000), _texts(2000), strict=True):
        # Times below 50 ms are too short to compare.
        assert _seconds(parse, twice) < 3 * _seconds(parse, once) + 0.05, once[:60]


def test_a_message_has_no_blank_lines_and_no_common_indent() -> None:
    assert runs.message(["    expected: 3", "", "         got: 2  "]) == "expected: 3\n     got: 2"


def test_a_long_message_is_cut_between_words() -> None:
    assert runs.message(["word " * 100]) == ("word " * 60).strip()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "$ pytest -q",
        "make: *** [Makefile:3: test] Error 1",
        "npm ERR! Test failed.",
        "##[error]failed",
        ".venv/bin/python -m pytest -m clients",
        "real\t7m41.702s",
    ],
)
def test_lines_of_the_shell_and_of_make_are_around_a_run(line: str) -> None:
    assert runs.around([line])


@pytest.mark.parametrize("line", ["Can you tell me why?", "src/a.py:3: error: bad", "FAIL a.test.js"])
def test_other_lines_are_not_around_a_run(line: str) -> None:
    assert not runs.around([line])
