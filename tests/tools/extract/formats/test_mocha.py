# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failed tests and hooks of Mocha runs."""

from tools.extract.formats.mocha import parse
from tools.extract.formats.report import Record

SPEC = """\


  1) top level
  Cart
    total
      2) adds prices
      ✔ ok
      3) throws
      4) says why

  hooks
    5) "before all" hook for "never"


  1 passing (8ms)
  5 failing

  1) top level:
     Error: line one
line two
      at Context.<anonymous> (t/a.test.js:11:31)
      at process.processImmediate (node:internal/timers:483:21)

  2) Cart
       total
         adds prices:

      AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:

1 !== 2

      + expected - actual

      -1
      +2
      
      at Context.<anonymous> (t/a.test.js:5:38)
      at process.processImmediate (node:internal/timers:483:21)

  3) Cart
       total
         throws:
     TypeError: nope
      at boom (t/a.test.js:2:24)
      at Context.<anonymous> (t/a.test.js:7:26)
      at process.processImmediate (node:internal/timers:483:21)

  4) Cart
       total
         says why:

      AssertionError [ERR_ASSERTION]: they differ
+ actual - expected

  {
+   a: 1
-   a: 2
  }
      + expected - actual

       {
      -  "a": 1
      +  "a": 2
       }
      
      at Context.<anonymous> (t/a.test.js:8:41)
      at process.processImmediate (node:internal/timers:483:21)

  5) hooks
       "before all" hook for "never":
     Error: in hook
      at Context.<anonymous> (t/a.test.js:12:58)
      at process.processImmediate (node:internal/timers:483:21)
"""

DOT = """\


  ․․․,

  3 passing (8ms)
  1 pending
"""


def test_titles_go_over_several_lines_and_messages_too() -> None:
    report = parse(SPEC)
    assert report is not None
    assert report.format == "mocha"
    assert report.totals == {"failed": 5, "passed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "top level",
                "error": "Error",
                "message": "line one\nline two",
                "file": "t/a.test.js",
                "line": 11,
            },
            18,
            22,
        ),
        Record(
            {
                "test": "Cart total adds prices",
                "error": "AssertionError",
                "message": "Expected values to be strictly equal:\n1 !== 2\n      + expected - actual\n      -1\n      +2",
                "file": "t/a.test.js",
                "line": 5,
            },
            24,
            38,
        ),
        Record(
            {
                "test": "Cart total throws",
                "error": "TypeError",
                "message": "nope",
                "file": "t/a.test.js",
                "line": 2,
            },
            40,
            46,
        ),
        Record(
            {
                "test": "Cart total says why",
                "error": "AssertionError",
                "message": 'they differ\n+ actual - expected\n  {\n+   a: 1\n-   a: 2\n  }\n      + expected - actual\n       {\n      -  "a": 1\n      +  "a": 2\n       }',
                "file": "t/a.test.js",
                "line": 8,
            },
            48,
            67,
        ),
        Record(
            {
                "test": 'hooks "before all" hook for "never"',
                "error": "Error",
                "message": "in hook",
                "file": "t/a.test.js",
                "line": 12,
            },
            69,
            73,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(DOT)
    assert report is not None
    assert report.format == "mocha"
    assert report.totals == {"failed": 0, "passed": 3, "skipped": 1}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = SPEC.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{SPEC}") is None
    assert parse(f"{SPEC}\n\nCan you tell me why?\n") is None
