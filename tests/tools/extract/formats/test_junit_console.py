# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: failed tests as Maven and Gradle print them."""

from tools.extract.formats.junit_console import parse
from tools.extract.formats.report import Record

MAVEN = """\
[INFO] Scanning for projects...
[INFO] -------------------------------------------------------
[INFO]  T E S T S
[INFO] -------------------------------------------------------
[INFO] Running com.shop.CartTest
[ERROR] Tests run: 3, Failures: 1, Errors: 1, Skipped: 0, Time elapsed: 0.05 s <<< FAILURE! -- in com.shop.CartTest
[ERROR] com.shop.CartTest.adds -- Time elapsed: 0.004 s <<< FAILURE!
org.opentest4j.AssertionFailedError: expected: <3> but was: <2>
	at org.junit.jupiter.api.AssertionUtils.fail(AssertionUtils.java:55)
	at com.shop.Helper.check(Helper.java:9)
	at com.shop.CartTest.adds(CartTest.java:12)
	at java.base/java.lang.reflect.Method.invoke(Method.java:568)

[ERROR] com.shop.CartTest.boom{int}[1] -- Time elapsed: 0.001 s <<< ERROR!
java.lang.IllegalStateException: no
	at com.shop.Cart.boom(Cart.java:33)
	at com.shop.CartTest.lambda$boom$0(CartTest.java:17)
Caused by: java.io.IOException: disk
	at com.shop.Cart.read(Cart.java:40)
	... 3 more

[INFO] 
[INFO] Results:
[INFO] 
[ERROR] Failures: 
[ERROR]   CartTest.adds:12 expected: <3> but was: <2>
[ERROR] Errors: 
[ERROR]   CartTest.boom:17 » IllegalState no
[INFO] 
[ERROR] Tests run: 3, Failures: 1, Errors: 1, Skipped: 0
[INFO] 
[INFO] ------------------------------------------------------------------------
[INFO] BUILD FAILURE
"""

OLD = """\
Running com.shop.CartTest
Tests run: 1, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.05 sec <<< FAILURE! - in com.shop.CartTest
adds(com.shop.CartTest)  Time elapsed: 0.004 sec  <<< FAILURE!
java.lang.AssertionError: expected:<3> but was:<2>
	at org.junit.Assert.fail(Assert.java:88)
	at com.shop.CartTest.adds(CartTest.java:12)

Results :

Failed tests: 
  CartTest.adds:12 expected:<3> but was:<2>

Tests run: 1, Failures: 1, Errors: 0, Skipped: 0
"""

GRADLE = """\
> Task :test FAILED

CartTest > adds() FAILED
    org.opentest4j.AssertionFailedError: expected: <3> but was: <2>
        at app//org.junit.jupiter.api.AssertionUtils.fail(AssertionUtils.java:55)
        at app//com.shop.CartTest.adds(CartTest.java:12)

com.shop.CartTest > boom FAILED
    java.lang.IllegalStateException at CartTest.java:17
        Caused by: java.io.IOException at Cart.java:3

3 tests completed, 2 failed

FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':test'.
"""


def test_maven_has_the_frame_in_the_class_of_the_test() -> None:
    report = parse(MAVEN)
    assert report is not None
    assert report.format == "maven"
    assert report.totals == {"failed": 1, "errors": 1, "skipped": 0, "total": 3, "passed": 1}
    assert report.records == [
        Record(
            {
                "test": "com.shop.CartTest.adds",
                "error": "AssertionFailedError",
                "message": "expected: <3> but was: <2>",
                "file": "CartTest.java",
                "line": 12,
            },
            7,
            12,
        ),
        Record(
            {
                "test": "com.shop.CartTest.boom{int}[1]",
                "error": "IllegalStateException",
                "message": "no",
                "file": "CartTest.java",
                "line": 17,
            },
            14,
            20,
        ),
    ]


def test_old_maven_names_the_method_before_the_class() -> None:
    report = parse(OLD)
    assert report is not None
    assert report.format == "maven"
    assert report.totals == {"failed": 1, "errors": 0, "skipped": 0, "total": 1, "passed": 0}
    assert report.records == [
        Record(
            {
                "test": "com.shop.CartTest.adds",
                "error": "AssertionError",
                "message": "expected:<3> but was:<2>",
                "file": "CartTest.java",
                "line": 12,
            },
            3,
            6,
        ),
    ]


def test_gradle_with_and_without_stacks() -> None:
    report = parse(GRADLE)
    assert report is not None
    assert report.format == "gradle"
    assert report.totals == {"failed": 2, "skipped": 0, "passed": 1, "total": 3}
    assert report.records == [
        Record(
            {
                "test": "CartTest > adds()",
                "error": "AssertionFailedError",
                "message": "expected: <3> but was: <2>",
                "file": "CartTest.java",
                "line": 12,
            },
            3,
            6,
        ),
        Record(
            {
                "test": "com.shop.CartTest > boom",
                "error": "IllegalStateException",
                "file": "CartTest.java",
                "line": 17,
            },
            8,
            10,
        ),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = MAVEN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{MAVEN}") is None
    assert parse(f"{MAVEN}\n\nCan you tell me why?\n") is None


def test_several_modules_add_up() -> None:
    report = parse(MAVEN + MAVEN)
    assert report is not None
    assert len(report.records) == 4
    assert report.totals["total"] == 6


def test_gradle_has_as_many_as_it_counts() -> None:
    assert parse(GRADLE.replace("2 failed", "3 failed")) is None
