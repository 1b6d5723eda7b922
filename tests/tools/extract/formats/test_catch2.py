"""parse: the failed test cases of Catch2 and doctest."""

from tools.extract.formats.catch2 import parse
from tools.extract.formats.report import Record

CATCH2 = """\

~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
tests is a Catch2 v3.4.0 host application.
Run with -? for options

-------------------------------------------------------------------------------
Factorials are computed
  of zero
-------------------------------------------------------------------------------
test.cpp:9
...............................................................................

test.cpp:10: FAILED:
  REQUIRE( Factorial(0) == 1 )
with expansion:
  0 == 1

===============================================================================
test cases: 2 | 1 passed | 1 failed
assertions: 4 | 3 passed | 1 failed
"""

DOCTEST = """\
[doctest] doctest version is "2.4.11"
[doctest] run with "--help" for options
===============================================================================
main.cpp:8:
TEST CASE:  testing factorial

main.cpp:10: ERROR: CHECK( factorial(0) == 1 ) is NOT correct!
  values: CHECK( 0 == 1 )

main.cpp:11: ERROR: CHECK( factorial(1) == 2 ) is NOT correct!
  values: CHECK( 1 == 2 )

===============================================================================
[doctest] test cases: 1 | 0 passed | 1 failed | 0 skipped
[doctest] assertions: 4 | 2 passed | 2 failed |
[doctest] Status: FAILURE!
"""


def test_catch2() -> None:
    report = parse(CATCH2)
    assert report is not None
    assert report.format == "catch2"
    assert report.totals == {"failed": 1, "passed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "Factorials are computed",
                "message": "  REQUIRE( Factorial(0) == 1 )\nwith expansion:\n  0 == 1",
                "file": "test.cpp",
                "line": 10,
            },
            6,
            16,
        ),
    ]


def test_of_several_failed_assertions_the_first_counts() -> None:
    report = parse(DOCTEST)
    assert report is not None
    assert report.format == "doctest"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0, "total": 1}
    assert report.records == [
        Record(
            {
                "test": "testing factorial",
                "message": "CHECK( factorial(0) == 1 ) is NOT correct!\n  values: CHECK( 0 == 1 )",
                "file": "main.cpp",
                "line": 10,
            },
            5,
            8,
        ),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = CATCH2.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{CATCH2}") is None
    assert parse(f"{CATCH2}\n\nCan you tell me why?\n") is None
