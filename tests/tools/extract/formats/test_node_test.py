"""parse: the failed tests of node:test."""

from tools.extract.formats.node_test import parse
from tools.extract.formats.report import Record

SPEC = """\
printed
▶ Cart
  ▶ total
    ✖ adds prices (1.614819ms)
      AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
      
      1 !== 2
      
          at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:5:38)
          at Test.runInAsyncScope (node:async_hooks:206:9)
          at Test.run (node:internal/test_runner/test:796:25)
          at Test.start (node:internal/test_runner/test:702:17)
          at node:internal/test_runner/test:1133:71
          at node:internal/per_context/primordials:482:82
          at new Promise (<anonymous>)
          at new SafePromise (node:internal/per_context/primordials:450:29)
          at node:internal/per_context/primordials:482:9
          at Array.map (<anonymous>) {
        generatedMessage: true,
        code: 'ERR_ASSERTION',
        actual: 1,
        expected: 2,
        operator: 'strictEqual'
      }

    ✔ ok (2.519833ms)
    ﹣ later (0.106909ms) # SKIP
    ✖ todo (11.077654ms) # x
      AssertionError [ERR_ASSERTION]: The expression evaluated to a falsy value:
      
        assert.ok(false)
      
          at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:8:42)
          at Test.runInAsyncScope (node:async_hooks:206:9)
          at Test.run (node:internal/test_runner/test:796:25)
          at Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
          at Test.postRun (node:internal/test_runner/test:889:19)
          at Test.run (node:internal/test_runner/test:835:12)
          at async Suite.processPendingSubtests (node:internal/test_runner/test:526:7) {
        generatedMessage: true,
        code: 'ERR_ASSERTION',
        actual: false,
        expected: true,
        operator: '=='
      }

  ✖ total (16.119272ms)
✖ Cart (16.705793ms)
▶ top # level
  ✖ sub (0.156252ms)
    TypeError [Error]: bad
    line two
        at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:70)
        at Test.runInAsyncScope (node:async_hooks:206:9)
        at Test.run (node:internal/test_runner/test:796:25)
        at Test.start (node:internal/test_runner/test:702:17)
        at TestContext.test (node:internal/test_runner/test:292:20)
        at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:44)
        at Test.runInAsyncScope (node:async_hooks:206:9)
        at Test.run (node:internal/test_runner/test:796:25)
        at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
        at Suite.postRun (node:internal/test_runner/test:889:19)

✖ top # level (0.569967ms)
ℹ tests 6
ℹ suites 2
ℹ pass 1
ℹ fail 3
ℹ cancelled 0
ℹ skipped 1
ℹ todo 1
ℹ duration_ms 126.922238

✖ failing tests:

test at t/n.test.mjs:5:5
✖ adds prices (1.614819ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
  
  1 !== 2
  
      at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:5:38)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.start (node:internal/test_runner/test:702:17)
      at node:internal/test_runner/test:1133:71
      at node:internal/per_context/primordials:482:82
      at new Promise (<anonymous>)
      at new SafePromise (node:internal/per_context/primordials:450:29)
      at node:internal/per_context/primordials:482:9
      at Array.map (<anonymous>) {
    generatedMessage: true,
    code: 'ERR_ASSERTION',
    actual: 1,
    expected: 2,
    operator: 'strictEqual'
  }

test at t/n.test.mjs:8:5
✖ todo (11.077654ms) # x
  AssertionError [ERR_ASSERTION]: The expression evaluated to a falsy value:
  
    assert.ok(false)
  
      at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:8:42)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Test.postRun (node:internal/test_runner/test:889:19)
      at Test.run (node:internal/test_runner/test:835:12)
      at async Suite.processPendingSubtests (node:internal/test_runner/test:526:7) {
    generatedMessage: true,
    code: 'ERR_ASSERTION',
    actual: false,
    expected: true,
    operator: '=='
  }

test at t/n.test.mjs:11:44
✖ sub (0.156252ms)
  TypeError [Error]: bad
  line two
      at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:70)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.start (node:internal/test_runner/test:702:17)
      at TestContext.test (node:internal/test_runner/test:292:20)
      at TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:44)
      at Test.runInAsyncScope (node:async_hooks:206:9)
      at Test.run (node:internal/test_runner/test:796:25)
      at Test.processPendingSubtests (node:internal/test_runner/test:526:18)
      at Suite.postRun (node:internal/test_runner/test:889:19)
"""

GOOD = """\
✔ adds (1.2ms)
ℹ tests 1
ℹ suites 0
ℹ pass 1
ℹ fail 0
ℹ cancelled 0
ℹ skipped 0
ℹ todo 0
ℹ duration_ms 126.9
"""


def test_innermost_tests_have_their_full_names_and_those_to_do_do_not_count() -> None:
    report = parse(SPEC)
    assert report is not None
    assert report.format == "node:test"
    assert report.totals == {"failed": 3, "passed": 1, "skipped": 1, "total": 6}
    assert report.records == [
        Record(
            {
                "test": "Cart > total > adds prices",
                "error": "AssertionError",
                "message": "Expected values to be strictly equal:\n1 !== 2",
                "file": "/home/u/shop/t/n.test.mjs",
                "line": 5,
            },
            77,
            97,
        ),
        Record(
            {
                "test": "top # level > sub",
                "error": "TypeError",
                "message": "bad\nline two",
                "file": "/home/u/shop/t/n.test.mjs",
                "line": 11,
            },
            120,
            132,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "node:test"
    assert report.totals == {"failed": 0, "passed": 1, "skipped": 0, "total": 1}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = SPEC.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None
