# Lines are as the programs print them, so they stay long.
# ruff: noqa: E501
"""parse: the failures, errors and subtests of unittest runs."""

from tools.extract.formats.report import Record
from tools.extract.formats.unittest_run import parse

RUN = """\
EFExsFFu
======================================================================
ERROR: setUpClass (u.S)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/u/tests/u.py", line 24, in setUpClass
    def setUpClass(cls): raise OSError("no db")
                         ^^^^^^^^^^^^^^^^^^^^^^
OSError: no db

======================================================================
ERROR: test_err (u.T.test_err)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/u/tests/u.py", line 13, in test_err
    {}["k"]
    ~~^^^^^
KeyError: 'k'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/home/u/tests/u.py", line 15, in test_err
    raise RuntimeError("x") from e
RuntimeError: x

======================================================================
FAIL: test_doc (u.T.test_doc)
A described test.
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/u/tests/u.py", line 6, in test_doc
    self.assertEqual([1,2],[1,3])
AssertionError: Lists differ: [1, 2] != [1, 3]

First differing element 1:
2
3

- [1, 2]
?     ^

+ [1, 3]
?     ^


======================================================================
FAIL: test_sub (u.T.test_sub) [msg] (i=0)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/u/tests/u.py", line 10, in test_sub
    self.assertEqual(i,1)
AssertionError: 0 != 1

======================================================================
FAIL: test_sub (u.T.test_sub) [msg] (i=2)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/u/tests/u.py", line 10, in test_sub
    self.assertEqual(i,1)
AssertionError: 2 != 1

======================================================================
UNEXPECTED SUCCESS: test_unexp (u.T.test_unexp)
----------------------------------------------------------------------
Ran 6 tests in 0.005s

FAILED (failures=3, errors=2, skipped=1, expected failures=1, unexpected successes=1)
"""

VERBOSE = r"""test_a (tests.T.test_a) ... ok
test_b (tests.T.test_b)
Describes itself. ... FAIL

======================================================================
FAIL: test_b (tests.T)
Describes itself.
----------------------------------------------------------------------
Traceback (most recent call last):
  File "C:\shop\tests.py", line 6, in test_b
    self.assertTrue(False)
AssertionError: False is not true

Stdout:
AssertionError: printed

----------------------------------------------------------------------
Ran 2 tests in 0.001s

FAILED (failures=1)
"""

DJANGO = """\
Found 2 test(s).
Creating test database for alias 'default'...
System check identified no issues (0 silenced).
..
----------------------------------------------------------------------
Ran 2 tests in 0.004s

OK
Destroying test database for alias 'default'...
"""


def test_failures_errors_subtests_and_set_up_of_a_class() -> None:
    report = parse(RUN)
    assert report is not None
    assert report.format == "unittest"
    assert report.totals == {"failed": 4, "errors": 2, "skipped": 1, "total": 6}
    assert report.records == [
        Record(
            {
                "test": "u.S.setUpClass",
                "error": "OSError",
                "message": "no db",
                "file": "/home/u/tests/u.py",
                "line": 24,
            },
            3,
            9,
        ),
        Record(
            {
                "test": "u.T.test_err",
                "error": "RuntimeError",
                "message": "x",
                "file": "/home/u/tests/u.py",
                "line": 15,
            },
            12,
            25,
        ),
        Record(
            {
                "test": "u.T.test_doc",
                "error": "AssertionError",
                "message": "Lists differ: [1, 2] != [1, 3]\nFirst differing element 1:\n2\n3\n- [1, 2]\n?     ^\n+ [1, 3]\n?     ^",
                "file": "/home/u/tests/u.py",
                "line": 6,
            },
            28,
            44,
        ),
        Record(
            {
                "test": "u.T.test_sub [msg] (i=0)",
                "error": "AssertionError",
                "message": "0 != 1",
                "file": "/home/u/tests/u.py",
                "line": 10,
            },
            48,
            53,
        ),
        Record(
            {
                "test": "u.T.test_sub [msg] (i=2)",
                "error": "AssertionError",
                "message": "2 != 1",
                "file": "/home/u/tests/u.py",
                "line": 10,
            },
            56,
            61,
        ),
        Record({"test": "u.T.test_unexp", "message": "unexpected success"}, 64, 64),
    ]


def test_a_verbose_run_of_an_old_python_with_output() -> None:
    report = parse(VERBOSE)
    assert report is not None
    assert report.format == "unittest"
    assert report.totals == {"failed": 1, "errors": 0, "skipped": 0, "total": 2, "passed": 1}
    assert report.records == [
        Record(
            {
                "test": "tests.T.test_b",
                "error": "AssertionError",
                "message": "False is not true",
                "file": "C:\\shop\\tests.py",
                "line": 6,
            },
            6,
            15,
        ),
    ]


def test_django_prints_around_a_run() -> None:
    report = parse(DJANGO)
    assert report is not None
    assert report.format == "unittest"
    assert report.totals == {"failed": 0, "errors": 0, "skipped": 0, "total": 2, "passed": 2}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = RUN.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{RUN}") is None
    assert parse(f"{RUN}\n\nCan you tell me why?\n") is None


def test_a_count_that_differs_from_the_reports_is_refused() -> None:
    assert parse(RUN.replace("failures=3", "failures=2")) is None
