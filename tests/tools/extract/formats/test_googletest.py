# The texts keep their lines and tabs.
# Lines are as the programs print them, with their own tabs beside spaces.
# ruff: noqa: E101
"""parse: the failed tests of GoogleTest and CTest."""

from tools.extract.formats.googletest import parse
from tools.extract.formats.report import Record

RUN = """\
Running main() from gtest_main.cc
[==========] Running 3 tests from 1 test suite.
[----------] Global test environment set-up.
[----------] 3 tests from Cart
[ RUN      ] Cart.Adds
printed
cart_test.cc:12: Failure
Expected equality of these values:
  1 + 1
    Which is: 2
  3

[  FAILED  ] Cart.Adds (0 ms)
[ RUN      ] Cart.Ok
[       OK ] Cart.Ok (0 ms)
[ RUN      ] P/Cart.Throws/0
unknown file: Failure
C++ exception with description "x" thrown in the test body.

[  FAILED  ] P/Cart.Throws/0, where GetParam() = (3, "a") (1 ms)
[----------] 3 tests from Cart (0 ms total)

[----------] Global test environment tear-down
[==========] 3 tests from 1 test suite ran. (1 ms total)
[  PASSED  ] 1 test.
[  FAILED  ] 2 tests, listed below:
[  FAILED  ] Cart.Adds
[  FAILED  ] P/Cart.Throws/0, where GetParam() = (3, "a")

 2 FAILED TESTS
"""

WINDOWS = r"""[==========] Running 1 test from 1 test suite.
[ RUN      ] Cart.Adds
C:\shop\cart_test.cc(12): error: Value of: false
  Actual: false
Expected: true

[  FAILED  ] Cart.Adds (0 ms)
[==========] 1 test from 1 test suite ran. (1 ms total)
[  PASSED  ] 0 tests.
[  FAILED  ] 1 test, listed below:
[  FAILED  ] Cart.Adds

 1 FAILED TEST
"""

CTEST = """\
Test project /b
    Start 1: a
1/3 Test #1: a ................   Passed    0.00 sec
    Start 2: b
2/3 Test #2: b ................***Failed    0.01 sec
output
    Start 3: c
3/3 Test #3: c ................***Timeout   1.50 sec

33% tests passed, 2 tests failed out of 3

Total Test time (real) =   1.53 sec

The following tests FAILED:
	  2 - b (Failed)
	  3 - c (Timeout)
Errors while running CTest
"""


def test_places_exceptions_and_parameters() -> None:
    report = parse(RUN)
    assert report is not None
    assert report.format == "googletest"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "Cart.Adds",
                "message": "Expected equality of these values:\n  1 + 1\n    Which is: 2\n  3",
                "file": "cart_test.cc",
                "line": 12,
            },
            5,
            13,
        ),
        Record(
            {
                "test": "P/Cart.Throws/0",
                "message": 'C++ exception with description "x" thrown in the test body.',
            },
            16,
            20,
        ),
    ]


def test_places_as_visual_studio_has_them() -> None:
    report = parse(WINDOWS)
    assert report is not None
    assert report.format == "googletest"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "Cart.Adds",
                "message": "Value of: false\n  Actual: false\nExpected: true",
                "file": "C:\\shop\\cart_test.cc",
                "line": 12,
            },
            2,
            7,
        ),
    ]


def test_ctest_lists_names_and_reasons() -> None:
    report = parse(CTEST)
    assert report is not None
    assert report.format == "ctest"
    assert report.totals == {"failed": 2, "passed": 1, "total": 3}
    assert report.records == [
        Record({"test": "b", "message": "Failed"}, 15, 15),
        Record({"test": "c", "message": "Timeout"}, 16, 16),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = RUN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{RUN}") is None
    assert parse(f"{RUN}\n\nCan you tell me why?\n") is None
