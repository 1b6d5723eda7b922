# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failed tests and suites of Vitest runs."""

from tools.extract.formats.report import Record
from tools.extract.formats.vitest import parse

RUN = r"""
 RUN  v4.1.12 /home/u/shop

 ❯ v/a.test.ts (6 tests | 4 failed | 1 skipped) 63ms
     × adds 6ms
     × eq 2ms
     × throws 1ms
     ✓ ok 0ms
     ↓ s
     × slow 51ms
 ❯ v/broken.test.ts (0 test)

⎯⎯⎯⎯⎯⎯ Failed Suites 1 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  v/broken.test.ts [ v/broken.test.ts ]
Error: Cannot find module './missing' imported from /home/u/shop/v/broken.test.ts
 ❯ v/broken.test.ts:1:1
      1| import "./missing";
       | ^
      2|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/5]⎯


⎯⎯⎯⎯⎯⎯⎯ Failed Tests 4 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  v/a.test.ts > cart > adds
AssertionError: expected 2 to be 3 // Object.is equality

- Expected
+ Received

- 3
+ 2

 ❯ v/a.test.ts:4:36
      2| import { boom } from './lib';
      3| describe('cart', () => {
      4|   it('adds', () => { expect(1 + 1).toBe(3); });
       |                                    ^
      5|   it('eq', () => { expect({a: 1, b: [1]}).toEqual({a: 2, b: [1]}); });
      6|   it('throws', () => { boom(); });

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/5]⎯

 FAIL  v/a.test.ts > cart > eq
AssertionError: expected { a: 1, b: [ 1 ] } to deeply equal { a: 2, b: [ 1 ] }

- Expected
+ Received

  {
-   "a": 2,
+   "a": 1,
    "b": [
      1,
    ],
  }

 ❯ v/a.test.ts:5:43
      3| describe('cart', () => {
      4|   it('adds', () => { expect(1 + 1).toBe(3); });
      5|   it('eq', () => { expect({a: 1, b: [1]}).toEqual({a: 2, b: [1]}); });
       |                                           ^
      6|   it('throws', () => { boom(); });
      7|   it('ok', () => {});

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[3/5]⎯

 FAIL  v/a.test.ts > cart > throws
TypeError: nope
second
 ❯ boom v/lib.ts:1:32
      1| export function boom() { throw new TypeError("nope\nsecond"); }
       |                                ^
      2|
 ❯ v/a.test.ts:6:24

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[4/5]⎯

 FAIL  v/a.test.ts > cart > slow
Error: Test timed out in 50ms.
If this is a long-running test, pass a timeout value as the last argument or configure it globally with "testTimeout".
 ❯ v/a.test.ts:9:3
      7|   it('ok', () => {});
      8|   it.skip('s', () => {});
      9|   it('slow', () => new Promise(() => {}), 50);
       |   ^
     10| });
     11|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[5/5]⎯


 Test Files  2 failed (2)
      Tests  4 failed | 1 passed | 1 skipped (6)
   Start at  12:25:54
   Duration  516ms (transform 33ms, setup 0ms, import 41ms, tests 63ms, environment 0ms)
"""

SHARED = """\

 RUN  v3.2.4 C:/shop

⎯⎯⎯⎯⎯⎯⎯ Failed Tests 2 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  |unit| a.test.ts > adds 1
 FAIL  |unit| a.test.ts > adds 2
Error: no
 ❯ Object.fn C:/shop/src/a.ts:3:4
 ❯ a.test.ts:6:24
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯

 Test Files  1 failed (1)
      Tests  2 failed (2)
   Duration  516ms
"""

GOOD = """\

 RUN  v3.2.4 /home/u/shop

 ✓ a.test.ts (3 tests) 4ms

 Test Files  1 passed (1)
      Tests  3 passed (3)
   Start at  12:25:54
   Duration  516ms
"""


def test_tests_suites_timeouts_and_frames_in_other_files() -> None:
    report = parse(RUN)
    assert report is not None
    assert report.format == "vitest"
    assert report.totals == {"failed": 4, "passed": 1, "skipped": 1, "total": 6}
    assert report.records == [
        Record(
            {
                "test": "v/broken.test.ts",
                "error": "Error",
                "message": "Cannot find module './missing' imported from /home/u/shop/v/broken.test.ts",
                "file": "v/broken.test.ts",
                "line": 1,
            },
            15,
            20,
        ),
        Record(
            {
                "test": "v/a.test.ts > cart > adds",
                "error": "AssertionError",
                "message": "expected 2 to be 3 // Object.is equality\n- Expected\n+ Received\n- 3\n+ 2",
                "file": "v/a.test.ts",
                "line": 4,
            },
            27,
            42,
        ),
        Record(
            {
                "test": "v/a.test.ts > cart > eq",
                "error": "AssertionError",
                "message": 'expected { a: 1, b: [ 1 ] } to deeply equal { a: 2, b: [ 1 ] }\n- Expected\n+ Received\n  {\n-   "a": 2,\n+   "a": 1,\n    "b": [\n      1,\n    ],\n  }',
                "file": "v/a.test.ts",
                "line": 5,
            },
            46,
            66,
        ),
        Record(
            {
                "test": "v/a.test.ts > cart > throws",
                "error": "TypeError",
                "message": "nope\nsecond",
                "file": "v/lib.ts",
                "line": 1,
            },
            70,
            77,
        ),
        Record(
            {
                "test": "v/a.test.ts > cart > slow",
                "error": "Error",
                "message": 'Test timed out in 50ms.\nIf this is a long-running test, pass a timeout value as the last argument or configure it globally with "testTimeout".',
                "file": "v/a.test.ts",
                "line": 9,
            },
            81,
            90,
        ),
    ]


def test_tests_with_the_same_error_share_its_report() -> None:
    report = parse(SHARED)
    assert report is not None
    assert report.format == "vitest"
    assert report.totals == {"failed": 2, "passed": 0, "skipped": 0, "total": 2}
    assert report.records == [
        Record(
            {
                "test": "|unit| a.test.ts > adds 1",
                "error": "Error",
                "message": "no",
                "file": "C:/shop/src/a.ts",
                "line": 3,
            },
            6,
            10,
        ),
        Record(
            {
                "test": "|unit| a.test.ts > adds 2",
                "error": "Error",
                "message": "no",
                "file": "C:/shop/src/a.ts",
                "line": 3,
            },
            7,
            10,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "vitest"
    assert report.totals == {"failed": 0, "passed": 3, "skipped": 0, "total": 3}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = RUN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{RUN}") is None
    assert parse(f"{RUN}\n\nCan you tell me why?\n") is None
