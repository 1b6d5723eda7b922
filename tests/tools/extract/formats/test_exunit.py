"""parse: the failed tests of ExUnit runs."""

from tools.extract.formats.exunit import parse
from tools.extract.formats.report import Record

RUN = """\
Running ExUnit with seed: 1, max_cases: 8

..

  1) test adds (CartTest)
     test/cart_test.exs:5
     Assertion with == failed
     code:  assert 1 + 1 == 3
     left:  2
     right: 3
     stacktrace:
       test/cart_test.exs:6: (test)

.

  2) test boom (Shop.CartTest)
     test/cart_test.exs:9
     ** (RuntimeError) no
     code: Cart.boom()
     stacktrace:
       (app 0.1.0) lib/cart.ex:3: Cart.boom/0
       test/cart_test.exs:10: (test)

Finished in 0.02 seconds (0.00s async, 0.02s sync)
5 tests, 2 failures
"""


def test_assertions_and_exceptions() -> None:
    report = parse(RUN)
    assert report is not None
    assert report.format == "exunit"
    assert report.totals == {"failed": 2, "skipped": 0, "total": 5}
    assert report.records == [
        Record(
            {
                "test": "test adds (CartTest)",
                "message": "Assertion with == failed\ncode:  assert 1 + 1 == 3\nleft:  2\nright: 3",
                "file": "test/cart_test.exs",
                "line": 6,
            },
            5,
            12,
        ),
        Record(
            {
                "test": "test boom (Shop.CartTest)",
                "error": "RuntimeError",
                "message": "no",
                "file": "lib/cart.ex",
                "line": 3,
            },
            16,
            22,
        ),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = RUN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{RUN}") is None
    assert parse(f"{RUN}\n\nCan you tell me why?\n") is None
