"""parse: the failed examples of RSpec and tests of minitest."""

from tools.extract.formats.report import Record
from tools.extract.formats.ruby_tests import parse

RSPEC = """\
Randomized with seed 123
F.F*

Pending: (Failures listed here are expected and do not affect your suite's status)

  1) Cart later
     # Not yet implemented
     # ./spec/cart_spec.rb:30

Failures:

  1) Cart total adds prices
     Failure/Error: expect(cart.total).to eq(3)

       expected: 3
            got: 2

       (compared using ==)
     # /usr/lib/ruby/gems/3.2.0/gems/rspec-x/lib/x.rb:3:in `a'
     # ./spec/cart_spec.rb:12:in `block (3 levels) in <top (required)>'

  2) Cart boom
     Failure/Error: raise ArgumentError, "no"

     ArgumentError:
       no
     # ./lib/cart.rb:3:in `boom'
     # ./spec/cart_spec.rb:17:in `block (2 levels) in <top (required)>'

Finished in 0.01 seconds (files took 0.1 seconds to load)
4 examples, 2 failures, 1 pending

Failed examples:

rspec ./spec/cart_spec.rb:10 # Cart total adds prices
rspec ./spec/cart_spec.rb:16 # Cart boom
"""

MINITEST = """\
Run options: --seed 123

# Running:

.F.E

Finished in 0.001s, 2000 runs/s, 100 assertions/s.

  1) Failure:
CartTest#test_adds [test/cart_test.rb:12]:
Expected: 3
  Actual: 2

  2) Error:
CartTest#test_boom:
ArgumentError: no
    /usr/lib/ruby/gems/3.2.0/gems/x/lib/x.rb:3:in `a'
    lib/cart.rb:3:in `boom'
    test/cart_test.rb:17:in `test_boom'

4 runs, 3 assertions, 1 failures, 1 errors, 0 skips
"""


def test_rspec_has_the_first_frame_outside_of_gems() -> None:
    report = parse(RSPEC)
    assert report is not None
    assert report.format == "rspec"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 1, "total": 4}
    assert report.records == [
        Record(
            {
                "test": "Cart total adds prices",
                "message": "expected: 3\n     got: 2\n(compared using ==)",
                "file": "./spec/cart_spec.rb",
                "line": 12,
            },
            12,
            20,
        ),
        Record(
            {
                "test": "Cart boom",
                "error": "ArgumentError",
                "message": "no",
                "file": "./lib/cart.rb",
                "line": 3,
            },
            22,
            28,
        ),
    ]


def test_minitest_has_failures_and_errors() -> None:
    report = parse(MINITEST)
    assert report is not None
    assert report.format == "minitest"
    assert report.totals == {"total": 4, "failed": 1, "errors": 1, "skipped": 0, "passed": 2}
    assert report.records == [
        Record(
            {
                "test": "CartTest#test_adds",
                "message": "Expected: 3\n  Actual: 2",
                "file": "test/cart_test.rb",
                "line": 12,
            },
            9,
            12,
        ),
        Record(
            {
                "test": "CartTest#test_boom",
                "error": "ArgumentError",
                "message": "no",
                "file": "lib/cart.rb",
                "line": 3,
            },
            14,
            19,
        ),
    ]


def test_a_count_that_differs_from_the_reports_is_refused() -> None:
    assert parse(RSPEC.replace("2 failures", "3 failures")) is None
    assert parse(MINITEST.replace("1 errors", "0 errors")) is None


def test_prose_is_not_read() -> None:
    assert parse("4 examples are in the book, and 2 failures.") is None
    assert parse(f"{RSPEC}\n\nCan you tell me why?\n") is None
