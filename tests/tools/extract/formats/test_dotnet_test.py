"""parse: the failed tests of `dotnet test`."""

from tools.extract.formats.dotnet_test import parse
from tools.extract.formats.report import Record

XUNIT = r"""  Determining projects to restore...
  Tests -> /src/bin/Debug/net8.0/Tests.dll
Test run for /src/bin/Debug/net8.0/Tests.dll (.NETCoreApp,Version=v8.0)
Starting test execution, please wait...
A total of 1 test files matched the specified pattern.
[xUnit.net 00:00:00.50]     Ns.CartTests.Adds [FAIL]
  Failed Ns.CartTests.Adds [12 ms]
  Error Message:
   Assert.Equal() Failure: Values differ
Expected: 3
Actual:   2
  Stack Trace:
     at Ns.CartTests.Adds() in /src/CartTests.cs:line 12
   at System.RuntimeMethodHandle.InvokeMethod(Object target)
  Failed Ns.CartTests.Boom(x: 1) [< 1 ms]
  Error Message:
   System.InvalidOperationException : no
  Stack Trace:
     at Ns.Cart.Boom() in C:\src\Cart.cs:line 3
   at Ns.CartTests.Boom(Int32 x) in C:\src\CartTests.cs:line 17
  Standard Output Messages:
 hi

Failed!  - Failed:     2, Passed:     1, Skipped:     0, Total:     3, Duration: 12 ms - Tests.dll (net8.0)
"""

NUNIT = """\
  Failed Adds [12 ms]
  Error Message:
     Expected: 3
  But was:  2

  Stack Trace:
     at Ns.CartTests.Adds() in /src/CartTests.cs:line 12


Test Run Failed.
Total tests: 2
     Passed: 1
     Failed: 1
 Total time: 1.2 Seconds
"""


def test_xunit_with_totals_in_one_line() -> None:
    report = parse(XUNIT)
    assert report is not None
    assert report.format == "dotnet test"
    assert report.totals == {"total": 3, "passed": 1, "failed": 2, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "Ns.CartTests.Adds",
                "message": "Assert.Equal() Failure: Values differ\nExpected: 3\nActual:   2",
                "file": "/src/CartTests.cs",
                "line": 12,
            },
            7,
            14,
        ),
        Record(
            {
                "test": "Ns.CartTests.Boom(x: 1)",
                "error": "InvalidOperationException",
                "message": "no",
                "file": "C:\\src\\Cart.cs",
                "line": 3,
            },
            15,
            22,
        ),
    ]


def test_nunit_with_totals_in_several_lines() -> None:
    report = parse(NUNIT)
    assert report is not None
    assert report.format == "dotnet test"
    assert report.totals == {"total": 2, "passed": 1, "failed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {"test": "Adds", "message": "Expected: 3\nBut was:  2", "file": "/src/CartTests.cs", "line": 12},
            1,
            7,
        ),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = XUNIT.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{XUNIT}") is None
