"""parse: the failed tests of TAP."""

from tools.extract.formats.report import Record
from tools.extract.formats.tap import parse

NODE = r"""TAP version 13
# printed
# Subtest: Cart
    # Subtest: total
        # Subtest: adds prices
        not ok 1 - adds prices
          ---
          duration_ms: 1.800495
          location: '/home/u/shop/t/n.test.mjs:5:5'
          failureType: 'testCodeFailure'
          error: |-
            Expected values to be strictly equal:
            
            1 !== 2
            
          code: 'ERR_ASSERTION'
          name: 'AssertionError'
          expected: 2
          actual: 1
          operator: 'strictEqual'
          stack: |-
            TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:5:38)
            Test.runInAsyncScope (node:async_hooks:206:9)
            Test.run (node:internal/test_runner/test:796:25)
            Test.start (node:internal/test_runner/test:702:17)
            node:internal/test_runner/test:1133:71
            node:internal/per_context/primordials:482:82
            new Promise (<anonymous>)
            new SafePromise (node:internal/per_context/primordials:450:29)
            node:internal/per_context/primordials:482:9
            Array.map (<anonymous>)
          ...
        # Subtest: ok
        ok 2 - ok
          ---
          duration_ms: 2.29619
          ...
        # Subtest: later
        ok 3 - later # SKIP
          ---
          duration_ms: 0.107259
          ...
        # Subtest: todo
        not ok 4 - todo # TODO x
          ---
          duration_ms: 8.813821
          location: '/home/u/shop/t/n.test.mjs:8:5'
          failureType: 'testCodeFailure'
          error: |-
            The expression evaluated to a falsy value:
            
              assert.ok(false)
            
          code: 'ERR_ASSERTION'
          name: 'AssertionError'
          expected: true
          actual: false
          operator: '=='
          stack: |-
            TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:8:42)
            Test.runInAsyncScope (node:async_hooks:206:9)
            Test.run (node:internal/test_runner/test:796:25)
            Suite.processPendingSubtests (node:internal/test_runner/test:526:18)
            Test.postRun (node:internal/test_runner/test:889:19)
            Test.run (node:internal/test_runner/test:835:12)
            async Suite.processPendingSubtests (node:internal/test_runner/test:526:7)
          ...
        1..4
    not ok 1 - total
      ---
      duration_ms: 13.844122
      type: 'suite'
      location: '/home/u/shop/t/n.test.mjs:4:3'
      failureType: 'subtestsFailed'
      error: '1 subtest failed'
      code: 'ERR_TEST_FAILURE'
      stack: |-
        async Promise.all (index 0)
      ...
    1..1
not ok 1 - Cart
  ---
  duration_ms: 14.458646
  type: 'suite'
  location: '/home/u/shop/t/n.test.mjs:3:1'
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  code: 'ERR_TEST_FAILURE'
  ...
# Subtest: top \# level
    # Subtest: sub
    not ok 1 - sub
      ---
      duration_ms: 0.181409
      location: '/home/u/shop/t/n.test.mjs:11:44'
      failureType: 'testCodeFailure'
      error: |-
        bad
        line two
      code: 'ERR_TEST_FAILURE'
      name: 'TypeError'
      stack: |-
        TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:70)
        Test.runInAsyncScope (node:async_hooks:206:9)
        Test.run (node:internal/test_runner/test:796:25)
        Test.start (node:internal/test_runner/test:702:17)
        TestContext.test (node:internal/test_runner/test:292:20)
        TestContext.<anonymous> (file:///home/u/shop/t/n.test.mjs:11:44)
        Test.runInAsyncScope (node:async_hooks:206:9)
        Test.run (node:internal/test_runner/test:796:25)
        Test.processPendingSubtests (node:internal/test_runner/test:526:18)
        Suite.postRun (node:internal/test_runner/test:889:19)
      ...
    1..1
not ok 2 - top \# level
  ---
  duration_ms: 0.570687
  location: '/home/u/shop/t/n.test.mjs:11:1'
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  code: 'ERR_TEST_FAILURE'
  ...
1..2
# tests 6
# suites 2
# pass 1
# fail 3
# cancelled 0
# skipped 1
# todo 1
# duration_ms 134.410621
"""

TAPE = """\
TAP version 13
# sum
ok 1 adds
not ok 2 should be equal
  ---
    operator: equal
    expected: 3
    actual:   2
    at: Test.<anonymous> (/home/u/p/test/sum.js:5:5)
    stack: |-
      Error: should be equal
          at Test.assert [as _assert] (/home/u/p/node_modules/tape/lib/test.js:312:54)
          at Test.<anonymous> (/home/u/p/test/sum.js:5:5)
  ...

1..2
# tests 2
# pass  1
# fail  1
"""

PERL = """\
ok 1 - use Foo;
not ok 2 - sums

#   Failed test 'sums'
#   at t/a.t line 5.
#          got: '3'
#     expected: '4'
ok 3 # skip no network
1..3
# Looks like you failed 1 test of 3.
"""

GOOD = """\
TAP version 14
1..2
ok 1 - a
ok 2 - b # SKIP slow
"""


def test_subtests_of_node() -> None:
    report = parse(NODE)
    assert report is not None
    assert report.format == "tap"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 2}
    assert report.records == [
        Record(
            {
                "test": "Cart > total > adds prices",
                "error": "AssertionError",
                "message": "Expected values to be strictly equal:\n1 !== 2",
                "file": "/home/u/shop/t/n.test.mjs",
                "line": 5,
            },
            6,
            32,
        ),
        Record(
            {
                "test": "top # level > sub",
                "error": "TypeError",
                "message": "bad\nline two",
                "file": "/home/u/shop/t/n.test.mjs",
                "line": 11,
            },
            92,
            113,
        ),
    ]


def test_tape_names_the_place_under_at() -> None:
    report = parse(TAPE)
    assert report is not None
    assert report.format == "tap"
    assert report.totals == {"failed": 1, "passed": 1, "skipped": 0}
    assert report.records == [
        Record({"test": "should be equal", "file": "/home/u/p/test/sum.js", "line": 5}, 4, 14),
    ]


def test_perl_writes_comments() -> None:
    report = parse(PERL)
    assert report is not None
    assert report.format == "tap"
    assert report.totals == {"failed": 1, "passed": 1, "skipped": 1}
    assert report.records == [
        Record({"test": "sums", "message": "got: '3'\nexpected: '4'", "file": "t/a.t", "line": 5}, 2, 7),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "tap"
    assert report.totals == {"failed": 0, "passed": 1, "skipped": 1}
    assert report.records == []


def test_a_plan_that_differs_from_the_points_is_refused() -> None:
    assert parse("1..3\nok 1\nnot ok 2\n") is None
    assert parse("ok 1\nok 2\n") is None
    assert parse("1..2\nok 1\nBail out! no database\n") is None


def test_prose_before_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{TAPE}") is None
