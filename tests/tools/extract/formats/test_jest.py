# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failed tests and suites of Jest runs."""

from tools.extract.formats.jest import parse
from tools.extract.formats.report import Record

MATCHERS = """\
FAIL ./sum.test.js
  range
    ✕ includes both ends (3 ms)
    ✓ is empty for equal ends
    ✕ refuses a string (7 ms)

  ● range › includes both ends

    expect(received).toEqual(expected) // deep equality

    - Expected  - 1
    + Received  + 0

      Array [
        1,
        2,
        3,
    -   4,
      ]

      1 | const range = (a, b) => Array.from({ length: b - a }, (_, i) => a + i);
      2 | describe('range', () => {
    > 3 |   test('includes both ends', () => { expect(range(1, 4)).toEqual([1, 2, 3, 4]); });
        |                                                          ^
      4 |   test('is empty for equal ends', () => { expect(range(2, 2)).toEqual([]); });
      5 |   test('refuses a string', () => { expect(() => range('a', 2)).toThrow('number'); });
      6 | });

      at Object.toEqual (sum.test.js:3:58)

  ● range › refuses a string

    expect(received).toThrow(expected)

    Expected substring: "number"

    Received function did not throw

      3 |   test('includes both ends', () => { expect(range(1, 4)).toEqual([1, 2, 3, 4]); });
      4 |   test('is empty for equal ends', () => { expect(range(2, 2)).toEqual([]); });
    > 5 |   test('refuses a string', () => { expect(() => range('a', 2)).toThrow('number'); });
        |                                                                ^
      6 | });
      7 |

      at Object.toThrow (sum.test.js:5:64)

Test Suites: 1 failed, 1 total
Tests:       2 failed, 1 passed, 3 total
Snapshots:   0 total
Time:        0.279 s
Ran all test suites matching sum.test.js.
"""

SUITES = """\
PASS t/good.test.js
FAIL t/sum.test.js (5.21 s)
  ● Console

    console.log
      x

      at Object.log (t/sum.test.js:11:32)

  ● throws

    SyntaxError: Unexpected token x in JSON at position 1
        at JSON.parse (<anonymous>)

    > 1 | module.exports = () => { JSON.parse("{x"); };
        |                               ^
      2 |

      at parse (t/lib.js:1:31)
      at Object.boom (t/sum.test.js:4:26)

  ● later › plain

    thrown: "just a string"

      at _getError (node_modules/jest-circus/build/jestAdapterInit.js:1985:12)

    Cause:
        thrown: "just a string"

          at test (t/sum.test.js:8:3)

FAIL t/broken.test.js
  ● Test suite failed to run

    Cannot find module './missing' from 't/broken.test.js'

    > 1 | const x = require("./missing");
        |           ^

      at Resolver._throwModNotFoundError (node_modules/jest-resolve/build/index.js:1031:11)
      at Object.require (t/broken.test.js:1:11)


Test Suites: 2 failed, 1 passed, 3 total
Tests:       2 failed, 1 skipped, 1 todo, 2 passed, 6 total
Snapshots:   0 total
Time:        0.598 s
Ran all test suites.
npm ERR! Test failed.  See above for more details.
"""

GOOD = """\
PASS t/good.test.js
  ✓ fine (1 ms)

Test Suites: 1 passed, 1 total
Tests:       1 passed, 1 total
Snapshots:   0 total
Time:        0.219 s, estimated 1 s
Ran all test suites matching t/good.test.js.
"""


def test_messages_have_the_lines_of_the_matcher_up_to_the_code() -> None:
    report = parse(MATCHERS)
    assert report is not None
    assert report.format == "jest"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 0, "total": 3}
    assert report.records == [
        Record(
            {
                "test": "range › includes both ends",
                "message": "expect(received).toEqual(expected) // deep equality\n- Expected  - 1\n+ Received  + 0\n  Array [\n    1,\n    2,\n    3,\n-   4,\n  ]",
                "file": "sum.test.js",
                "line": 3,
            },
            7,
            29,
        ),
        Record(
            {
                "test": "range › refuses a string",
                "message": 'expect(received).toThrow(expected)\nExpected substring: "number"\nReceived function did not throw',
                "file": "sum.test.js",
                "line": 5,
            },
            31,
            46,
        ),
    ]


def test_errors_with_a_type_and_suites_that_do_not_run() -> None:
    report = parse(SUITES)
    assert report is not None
    assert report.format == "jest"
    assert report.totals == {"failed": 2, "passed": 2, "skipped": 2, "total": 6}
    assert report.records == [
        Record(
            {
                "test": "throws",
                "error": "SyntaxError",
                "message": "Unexpected token x in JSON at position 1",
                "file": "t/lib.js",
                "line": 1,
            },
            10,
            20,
        ),
        Record(
            {
                "test": "later › plain",
                "message": 'thrown: "just a string"',
                "file": "t/sum.test.js",
                "line": 8,
            },
            22,
            31,
        ),
        Record(
            {
                "test": "t/broken.test.js",
                "message": "Cannot find module './missing' from 't/broken.test.js'",
                "file": "t/broken.test.js",
                "line": 1,
            },
            34,
            42,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "jest"
    assert report.totals == {"failed": 0, "passed": 1, "skipped": 0, "total": 1}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = SUITES.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{SUITES}") is None
    assert parse(f"{SUITES}\n\nCan you tell me why?\n") is None


def test_the_second_list_of_the_same_failures_counts_once() -> None:
    reports, _, counts = MATCHERS.partition("Test Suites:")
    again = reports.replace("FAIL ./sum.test.js", "Summary of all failing tests\nFAIL ./sum.test.js", 1)
    assert parse(f"{reports}{again}Test Suites:{counts}") == parse(MATCHERS)
