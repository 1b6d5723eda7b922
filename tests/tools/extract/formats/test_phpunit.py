# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failures and errors of PHPUnit runs."""

from tools.extract.formats.phpunit import parse
from tools.extract.formats.report import Record

RUN = r"""PHPUnit 10.5.0 by Sebastian Bergmann and contributors.

Runtime:       PHP 8.2.0

.F.E                                                                4 / 4 (100%)

Time: 00:00.010, Memory: 6.00 MB

There was 1 error:

1) App\Tests\CartTest::testBoom with data set #0 (1, 2)
App\Exceptions\Empty: no

/app/vendor/x/y.php:3
/app/src/Cart.php:12
/app/tests/CartTest.php:17

--

There was 1 failure:

1) App\Tests\CartTest::testAdds
Failed asserting that two strings are equal.
--- Expected
+++ Actual
@@ @@
-'a'
+'b'

/app/tests/CartTest.php:12

FAILURES!
Tests: 4, Assertions: 3, Errors: 1, Failures: 1.
"""

GOOD = """\
PHPUnit 10.5.0 by Sebastian Bergmann and contributors.

...   3 / 3 (100%)

Time: 00:00.010, Memory: 6.00 MB

OK (3 tests, 4 assertions)
"""


def test_errors_and_failures_have_the_first_frame_outside_of_vendor() -> None:
    report = parse(RUN)
    assert report is not None
    assert report.format == "phpunit"
    assert report.totals == {"failed": 1, "errors": 1, "skipped": 0, "passed": 2, "total": 4}
    assert report.records == [
        Record(
            {
                "test": "App\\Tests\\CartTest::testBoom with data set #0 (1, 2)",
                "error": "Empty",
                "message": "no",
                "file": "/app/src/Cart.php",
                "line": 12,
            },
            11,
            16,
        ),
        Record(
            {
                "test": "App\\Tests\\CartTest::testAdds",
                "message": "Failed asserting that two strings are equal.\n--- Expected\n+++ Actual\n@@ @@\n-'a'\n+'b'",
                "file": "/app/tests/CartTest.php",
                "line": 12,
            },
            22,
            30,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "phpunit"
    assert report.totals == {"failed": 0, "errors": 0, "skipped": 0, "passed": 3, "total": 3}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = RUN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{RUN}") is None
    assert parse(f"{RUN}\n\nCan you tell me why?\n") is None
