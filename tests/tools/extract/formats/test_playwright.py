"""parse: the failed tests of Playwright runs."""

from tools.extract.formats.playwright import parse
from tools.extract.formats.report import Record

LIST = """\

Running 4 tests using 1 worker

  ✘  1 a.spec.js:3:3 › cart › adds (9ms)
  ✘  2 a.spec.js:4:3 › cart › throws (3ms)
  ✓  3 a.spec.js:5:3 › cart › ok (2ms)
  -  4 a.spec.js:6:8 › cart › s


  1) a.spec.js:3:3 › cart › adds ───────────────────────────────────────────────────────────────────

    Error: expect(received).toBe(expected) // Object.is equality

    Expected: 3
    Received: 2

      1 | const { test, expect } = require('@playwright/test');
      2 | test.describe('cart', () => {
    > 3 |   test('adds', async () => { expect(1 + 1).toBe(3); });
        |                                            ^
      4 |   test('throws', async () => { throw new TypeError('nope'); });
      5 |   test('ok', async () => {});
      6 |   test.skip('s', async () => {});
        at /home/u/shop/a.spec.js:3:44

    Error Context: ../test-results/a-cart-adds/error-context.md

  2) a.spec.js:4:3 › cart › throws ─────────────────────────────────────────────────────────────────

    TypeError: nope

      2 | test.describe('cart', () => {
      3 |   test('adds', async () => { expect(1 + 1).toBe(3); });
    > 4 |   test('throws', async () => { throw new TypeError('nope'); });
        |                                      ^
      5 |   test('ok', async () => {});
      6 |   test.skip('s', async () => {});
      7 | });
        at /home/u/shop/a.spec.js:4:38

    Error Context: ../test-results/a-cart-throws/error-context.md

  2 failed
    a.spec.js:3:3 › cart › adds ────────────────────────────────────────────────────────────────────
    a.spec.js:4:3 › cart › throws ──────────────────────────────────────────────────────────────────
  1 skipped
  1 passed (2.0s)
"""

FLAKY = """\

Running 2 tests using 1 worker

  1) [chromium] › a.spec.js:3:3 › cart › adds ──────────────────────

    Error: expect(received).toBe(expected)

    Expected: 3
    Received: 2

        at /home/u/shop/a.spec.js:3:44

    Retry #1 ───────────────────────────────────

    Error: other

  2) [webkit] › a.spec.js:9:3 › cart › waits ──────────────────────

    Test timeout of 30000ms exceeded.

  1 failed
    [webkit] › a.spec.js:9:3 › cart › waits ──────────────────────
  1 flaky
    [chromium] › a.spec.js:3:3 › cart › adds ──────────────────────
"""


def test_the_list_reporter() -> None:
    report = parse(LIST)
    assert report is not None
    assert report.format == "playwright"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 1}
    assert report.records == [
        Record(
            {
                "test": "a.spec.js:3:3 › cart › adds",
                "error": "Error",
                "message": "expect(received).toBe(expected) // Object.is equality\nExpected: 3\nReceived: 2",
                "file": "/home/u/shop/a.spec.js",
                "line": 3,
            },
            10,
            26,
        ),
        Record(
            {
                "test": "a.spec.js:4:3 › cart › throws",
                "error": "TypeError",
                "message": "nope",
                "file": "/home/u/shop/a.spec.js",
                "line": 4,
            },
            28,
            41,
        ),
    ]


def test_a_flaky_test_is_no_failure_and_a_timeout_has_the_place_of_its_test() -> None:
    report = parse(FLAKY)
    assert report is not None
    assert report.format == "playwright"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "[webkit] › a.spec.js:9:3 › cart › waits",
                "message": "Test timeout of 30000ms exceeded.",
                "file": "a.spec.js",
                "line": 9,
            },
            17,
            19,
        ),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = LIST.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{LIST}") is None
    assert parse(f"{LIST}\n\nCan you tell me why?\n") is None
