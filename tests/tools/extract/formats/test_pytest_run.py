"""parse: the failures of pytest runs in every traceback style."""

from tools.extract.formats.pytest_run import parse
from tools.extract.formats.report import Record

AUTO = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0
rootdir: /srv/tr/p2
plugins: platformdirs-4.14.7, cov-7.1.0
collected 6 items

tests/test_cart.py .FFFEE                                                [100%]

==================================== ERRORS ====================================
____________________ ERROR at setup of TestTotal.test_setup ____________________

    @pytest.fixture
    def database():
>       raise RuntimeError("no db")
E       RuntimeError: no db

tests/test_cart.py:10: RuntimeError
____________________ ERROR at setup of test_unknown_fixture ____________________
file /home/u/shop/tests/test_cart.py, line 34
  def test_unknown_fixture(nope):
E       fixture 'nope' not found

/home/u/shop/tests/test_cart.py:34
=================================== FAILURES ===================================
_______________________________ test_name[a - b] _______________________________

name = 'a - b'

    @pytest.mark.parametrize("name", ["a - b", "x[1]::y"])
    def test_name(name):
        print("E   not an error")
>       assert name == "z"
E       AssertionError: assert 'a - b' == 'z'
E         
E         - z
E         + a - b

tests/test_cart.py:20: AssertionError
----------------------------- Captured stdout call -----------------------------
E   not an error
______________________________ test_name[x[1]::y] ______________________________

name = 'x[1]::y'

    @pytest.mark.parametrize("name", ["a - b", "x[1]::y"])
    def test_name(name):
        print("E   not an error")
>       assert name == "z"
E       AssertionError: assert 'x[1]::y' == 'z'
E         
E         - z
E         + x[1]::y

tests/test_cart.py:20: AssertionError
----------------------------- Captured stdout call -----------------------------
E   not an error
_____________________________ TestTotal.test_chain _____________________________

self = <test_cart.TestTotal object at 0x7f>

    def test_chain(self):
        try:
>           int("x")
E           ValueError: invalid literal for int() with base 10: 'x'

tests/test_cart.py:26: ValueError

The above exception was the direct cause of the following exception:

self = <test_cart.TestTotal object at 0x7f>

    def test_chain(self):
        try:
            int("x")
        except ValueError as error:
>           raise OutOfStock("none left") from error
E           test_cart.OutOfStock: none left

tests/test_cart.py:28: OutOfStock
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_name[a - b] - AssertionError: assert 'a - b' ...
FAILED tests/test_cart.py::test_name[x[1]::y] - AssertionError: assert 'x[1]:...
FAILED tests/test_cart.py::TestTotal::test_chain - test_cart.OutOfStock: none...
ERROR tests/test_cart.py::TestTotal::test_setup - RuntimeError: no db
ERROR tests/test_cart.py::test_unknown_fixture
==================== 3 failed, 1 passed, 2 errors in 0.04s =====================
"""

SHORT = """\
.FFFEE                                                                   [100%]
==================================== ERRORS ====================================
____________________ ERROR at setup of TestTotal.test_setup ____________________
tests/test_cart.py:10: in database
    raise RuntimeError("no db")
E   RuntimeError: no db
____________________ ERROR at setup of test_unknown_fixture ____________________
file /home/u/shop/tests/test_cart.py, line 34
  def test_unknown_fixture(nope):
E       fixture 'nope' not found

/home/u/shop/tests/test_cart.py:34
=================================== FAILURES ===================================
_______________________________ test_name[a - b] _______________________________
tests/test_cart.py:20: in test_name
    assert name == "z"
E   AssertionError: assert 'a - b' == 'z'
E     
E     - z
E     + a - b
----------------------------- Captured stdout call -----------------------------
E   not an error
______________________________ test_name[x[1]::y] ______________________________
tests/test_cart.py:20: in test_name
    assert name == "z"
E   AssertionError: assert 'x[1]::y' == 'z'
E     
E     - z
E     + x[1]::y
----------------------------- Captured stdout call -----------------------------
E   not an error
_____________________________ TestTotal.test_chain _____________________________
tests/test_cart.py:26: in test_chain
    int("x")
E   ValueError: invalid literal for int() with base 10: 'x'

The above exception was the direct cause of the following exception:
tests/test_cart.py:28: in test_chain
    raise OutOfStock("none left") from error
E   test_cart.OutOfStock: none left
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_name[a - b] - AssertionError: assert 'a - b' ...
FAILED tests/test_cart.py::test_name[x[1]::y] - AssertionError: assert 'x[1]:...
FAILED tests/test_cart.py::TestTotal::test_chain - test_cart.OutOfStock: none...
ERROR tests/test_cart.py::TestTotal::test_setup - RuntimeError: no db
ERROR tests/test_cart.py::test_unknown_fixture
3 failed, 1 passed, 2 errors in 0.03s
"""

LINE = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0 -- /venv/bin/python
rootdir: /srv/tr/p2
plugins: platformdirs-4.14.7, cov-7.1.0
collecting ... collected 6 items / 4 deselected / 2 selected

tests/test_cart.py::test_name[a - b] FAILED                              [ 50%]
tests/test_cart.py::test_name[x[1]::y] FAILED                            [100%]

=================================== FAILURES ===================================
E   AssertionError: assert 'a - b' == 'z'
      
      - z
      + a - b
----------------------------- Captured stdout call -----------------------------
E   not an error
/home/u/shop/tests/test_cart.py:20: AssertionError: assert 'a - b' == 'z'
E   AssertionError: assert 'x[1]::y' == 'z'
      
      - z
      + x[1]::y
----------------------------- Captured stdout call -----------------------------
E   not an error
/home/u/shop/tests/test_cart.py:20: AssertionError: assert 'x[1]::y' == 'z'
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_name[a - b] - AssertionError: assert 'a - b' ...
FAILED tests/test_cart.py::test_name[x[1]::y] - AssertionError: assert 'x[1]:...
======================= 2 failed, 4 deselected in 0.02s ========================
"""

NO = """\
.FFFEE                                                                   [100%]
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_name[a - b] - AssertionError: assert 'a - b' ...
FAILED tests/test_cart.py::test_name[x[1]::y] - AssertionError: assert 'x[1]:...
FAILED tests/test_cart.py::TestTotal::test_chain - test_cart.OutOfStock: none...
ERROR tests/test_cart.py::TestTotal::test_setup - RuntimeError: no db
ERROR tests/test_cart.py::test_unknown_fixture
3 failed, 1 passed, 2 errors in 0.02s
"""

NATIVE = """\
F                                                                        [100%]
=================================== FAILURES ===================================
_________________________________ test_native __________________________________
Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/_pytest/runner.py", line 361, in from_call
    result: TResult | None = func()
                             ^^^^^^
  File "/venv/lib/python3.11/site-packages/_pytest/runner.py", line 250, in <lambda>
    lambda: runtest_hook(item=item, **kwds),
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_caller.py", line 197, in __call__
    return self._hookexec(
           ^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_manager.py", line 183, in _hookexec
    return self._inner_hookexec(hook_name, methods, kwargs, firstresult)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 195, in _multicall
    raise exception
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 167, in _multicall
    teardown.throw(exception)
  File "/venv/lib/python3.11/site-packages/_pytest/logging.py", line 878, in pytest_runtest_call
    yield
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 167, in _multicall
    teardown.throw(exception)
  File "/venv/lib/python3.11/site-packages/_pytest/capture.py", line 906, in pytest_runtest_call
    return (yield)
            ^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 167, in _multicall
    teardown.throw(exception)
  File "/venv/lib/python3.11/site-packages/_pytest/skipping.py", line 268, in pytest_runtest_call
    return (yield)
            ^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 147, in _multicall
    res = hook_impl.function(*args)
          ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/_pytest/runner.py", line 184, in pytest_runtest_call
    item.runtest()
  File "/venv/lib/python3.11/site-packages/_pytest/python.py", line 1798, in runtest
    self.ihook.pytest_pyfunc_call(pyfuncitem=self)
  File "/venv/lib/python3.11/site-packages/pluggy/_caller.py", line 197, in __call__
    return self._hookexec(
           ^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_manager.py", line 183, in _hookexec
    return self._inner_hookexec(hook_name, methods, kwargs, firstresult)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 195, in _multicall
    raise exception
  File "/venv/lib/python3.11/site-packages/pluggy/_execution.py", line 147, in _multicall
    res = hook_impl.function(*args)
          ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/_pytest/python.py", line 187, in pytest_pyfunc_call
    result = testfunction(**testargs)
             ^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/u/shop/tests/test_group.py", line 4, in test_native
    assert 1 == 2
AssertionError: assert 1 == 2
=========================== short test summary info ============================
FAILED tests/test_group.py::test_native - assert 1 == 2
1 failed, 1 deselected in 0.01s
"""

GROUP = """\
FF                                                                       [100%]
=================================== FAILURES ===================================
__________________________________ test_group __________________________________
  + Exception Group Traceback (most recent call last):
  |   File "/home/u/shop/tests/test_group.py", line 2, in test_group
  |     raise ExceptionGroup("many", [ValueError("a"), TypeError("b")])
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: a
    +---------------- 2 ----------------
    | TypeError: b
    +------------------------------------
_________________________________ test_native __________________________________

    def test_native():
>       assert 1 == 2
E       assert 1 == 2

tests/test_group.py:4: AssertionError
=========================== short test summary info ============================
FAILED tests/test_group.py::test_group - ExceptionGroup: many (2 sub-exceptions)
FAILED tests/test_group.py::test_native - assert 1 == 2
2 failed in 0.02s
"""

COLLECT = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0
rootdir: /srv/tr/p2
plugins: platformdirs-4.14.7, cov-7.1.0
collected 0 items / 2 errors

==================================== ERRORS ====================================
____________________ ERROR collecting tests/test_broken.py _____________________
ImportError while importing test module '/home/u/shop/tests/test_broken.py'.
Hint: make sure your test modules/packages have valid Python names.
Traceback:
/usr/lib/python3.11/importlib/__init__.py:126: in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
tests/test_broken.py:1: in <module>
    import nope
E   ModuleNotFoundError: No module named 'nope'
____________________ ERROR collecting tests/test_syntax.py _____________________
/venv/lib/python3.11/site-packages/_pytest/python.py:528: in importtestmodule
    mod = import_path(
/venv/lib/python3.11/site-packages/_pytest/pathlib.py:640: in import_path
    importlib.import_module(module_name)
/usr/lib/python3.11/importlib/__init__.py:126: in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
<frozen importlib._bootstrap>:1204: in _gcd_import
    ???
<frozen importlib._bootstrap>:1176: in _find_and_load
    ???
<frozen importlib._bootstrap>:1147: in _find_and_load_unlocked
    ???
<frozen importlib._bootstrap>:690: in _load_unlocked
    ???
/venv/lib/python3.11/site-packages/_pytest/assertion/rewrite.py:176: in exec_module
    source_hash, co = _rewrite_test(fn, self.config)
                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
/venv/lib/python3.11/site-packages/_pytest/assertion/rewrite.py:339: in _rewrite_test
    tree = ast.parse(source, filename=strfn)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
/usr/lib/python3.11/ast.py:50: in parse
    return compile(source, filename, mode, flags,
E     File "/home/u/shop/tests/test_syntax.py", line 1
E       def f(:
E             ^
E   SyntaxError: invalid syntax
=========================== short test summary info ============================
ERROR tests/test_broken.py
ERROR tests/test_syntax.py
!!!!!!!!!!!!!!!!!!! Interrupted: 2 errors during collection !!!!!!!!!!!!!!!!!!!!
============================== 2 errors in 0.22s ===============================
"""

DOCTEST = """\
F                                                                        [100%]
=================================== FAILURES ===================================
_______________________________ [doctest] mod.f ________________________________
002 
003     >>> f()
Expected:
    2
Got:
    1

/home/u/shop/mod.py:3: DocTestFailure
=========================== short test summary info ============================
FAILED mod.py::mod.f
1 failed in 0.01s
"""

FIRST = """\
.F
=================================== FAILURES ===================================
_______________________________ test_name[a - b] _______________________________

name = 'a - b'

    @pytest.mark.parametrize("name", ["a - b", "x[1]::y"])
    def test_name(name):
        print("E   not an error")
>       assert name == "z"
E       AssertionError: assert 'a - b' == 'z'
E         
E         - z
E         + a - b

tests/test_cart.py:20: AssertionError
----------------------------- Captured stdout call -----------------------------
E   not an error
!!!!!!!!!!!!!!!!!!!!!!!!!! stopping after 1 failures !!!!!!!!!!!!!!!!!!!!!!!!!!!
1 failed, 1 passed in 0.03s
"""

GOOD = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0 -- /venv/bin/python
rootdir: /srv/tr/p2
plugins: platformdirs-4.14.7, cov-7.1.0
collecting ... collected 6 items / 5 deselected / 1 selected

tests/test_cart.py::test_ok PASSED                                       [100%]

======================= 1 passed, 5 deselected in 0.01s ========================
"""

GOOD2 = """\
============================= test session starts ==============================
platform linux -- Python 3.11.7, pytest-9.2.0, pluggy-1.7.0
rootdir: /srv/tr/p2
plugins: platformdirs-4.14.7, cov-7.1.0
collected 6 items / 6 deselected / 0 selected

============================ 6 deselected in 0.01s =============================
"""


def test_each_failure_has_its_full_id_and_the_place_of_the_last_frame() -> None:
    report = parse(AUTO)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 3, "passed": 1, "skipped": 0, "errors": 2, "total": 6}
    assert report.records == [
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_setup",
                "error": "RuntimeError",
                "message": "no db",
                "file": "tests/test_cart.py",
                "line": 10,
            },
            10,
            17,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_unknown_fixture",
                "message": "fixture 'nope' not found",
                "file": "/home/u/shop/tests/test_cart.py",
                "line": 34,
            },
            18,
            23,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[a - b]",
                "error": "AssertionError",
                "message": "assert 'a - b' == 'z'\n  - z\n  + a - b",
                "file": "tests/test_cart.py",
                "line": 20,
            },
            25,
            40,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[x[1]::y]",
                "error": "AssertionError",
                "message": "assert 'x[1]::y' == 'z'\n  - z\n  + x[1]::y",
                "file": "tests/test_cart.py",
                "line": 20,
            },
            41,
            56,
        ),
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_chain",
                "error": "OutOfStock",
                "message": "none left",
                "file": "tests/test_cart.py",
                "line": 28,
            },
            57,
            79,
        ),
    ]


def test_short_tracebacks() -> None:
    report = parse(SHORT)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 3, "passed": 1, "skipped": 0, "errors": 2}
    assert report.records == [
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_setup",
                "error": "RuntimeError",
                "message": "no db",
                "file": "tests/test_cart.py",
                "line": 10,
            },
            3,
            6,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_unknown_fixture",
                "message": "fixture 'nope' not found",
                "file": "/home/u/shop/tests/test_cart.py",
                "line": 34,
            },
            7,
            12,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[a - b]",
                "error": "AssertionError",
                "message": "assert 'a - b' == 'z'\n  - z\n  + a - b",
                "file": "tests/test_cart.py",
                "line": 20,
            },
            14,
            22,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[x[1]::y]",
                "error": "AssertionError",
                "message": "assert 'x[1]::y' == 'z'\n  - z\n  + x[1]::y",
                "file": "tests/test_cart.py",
                "line": 20,
            },
            23,
            31,
        ),
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_chain",
                "error": "OutOfStock",
                "message": "none left",
                "file": "tests/test_cart.py",
                "line": 28,
            },
            32,
            40,
        ),
    ]


def test_tracebacks_of_one_line() -> None:
    report = parse(LINE)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 2, "passed": 0, "skipped": 0, "errors": 0, "total": 2}
    assert report.records == [
        Record(
            {
                "test": "tests/test_cart.py::test_name[a - b]",
                "error": "AssertionError",
                "message": "assert 'a - b' == 'z'",
                "file": "/home/u/shop/tests/test_cart.py",
                "line": 20,
            },
            26,
            26,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[x[1]::y]",
                "error": "AssertionError",
                "message": "assert 'x[1]::y' == 'z'",
                "file": "/home/u/shop/tests/test_cart.py",
                "line": 20,
            },
            27,
            27,
        ),
    ]


def test_no_tracebacks_leave_the_lines_of_the_summary() -> None:
    report = parse(NO)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 3, "passed": 1, "skipped": 0, "errors": 2}
    assert report.records == [
        Record(
            {
                "test": "tests/test_cart.py::test_name[a - b]",
                "error": "AssertionError",
                "message": "assert 'a - b' ...",
            },
            3,
            3,
        ),
        Record(
            {
                "test": "tests/test_cart.py::test_name[x[1]::y]",
                "error": "AssertionError",
                "message": "assert 'x[1]:...",
            },
            4,
            4,
        ),
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_chain",
                "error": "OutOfStock",
                "message": "none...",
            },
            5,
            5,
        ),
        Record(
            {
                "test": "tests/test_cart.py::TestTotal::test_setup",
                "error": "RuntimeError",
                "message": "no db",
            },
            6,
            6,
        ),
        Record({"test": "tests/test_cart.py::test_unknown_fixture"}, 7, 7),
    ]


def test_native_tracebacks() -> None:
    report = parse(NATIVE)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0, "errors": 0}
    assert report.records == [
        Record(
            {
                "test": "tests/test_group.py::test_native",
                "error": "AssertionError",
                "message": "assert 1 == 2",
                "file": "/home/u/shop/tests/test_group.py",
                "line": 4,
            },
            3,
            56,
        ),
    ]


def test_exception_groups_have_the_error_of_the_group() -> None:
    report = parse(GROUP)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 2, "passed": 0, "skipped": 0, "errors": 0}
    assert report.records == [
        Record(
            {
                "test": "tests/test_group.py::test_group",
                "error": "ExceptionGroup",
                "message": "many (2 sub-exceptions)",
                "file": "/home/u/shop/tests/test_group.py",
                "line": 2,
            },
            3,
            12,
        ),
        Record(
            {
                "test": "tests/test_group.py::test_native",
                "error": "AssertionError",
                "message": "assert 1 == 2",
                "file": "tests/test_group.py",
                "line": 4,
            },
            13,
            19,
        ),
    ]


def test_errors_of_the_collection() -> None:
    report = parse(COLLECT)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 0, "passed": 0, "skipped": 0, "errors": 2, "total": 0}
    assert report.records == [
        Record(
            {
                "test": "tests/test_broken.py",
                "error": "ModuleNotFoundError",
                "message": "No module named 'nope'",
                "file": "tests/test_broken.py",
                "line": 1,
            },
            8,
            17,
        ),
        Record(
            {
                "test": "tests/test_syntax.py",
                "error": "SyntaxError",
                "message": "invalid syntax",
                "file": "/home/u/shop/tests/test_syntax.py",
                "line": 1,
            },
            18,
            45,
        ),
    ]


def test_failed_doctests() -> None:
    report = parse(DOCTEST)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0, "errors": 0}
    assert report.records == [
        Record(
            {
                "test": "mod.py::mod.f",
                "error": "DocTestFailure",
                "message": "Expected:\n    2\nGot:\n    1",
                "file": "/home/u/shop/mod.py",
                "line": 3,
            },
            3,
            11,
        ),
    ]


def test_without_a_short_summary_a_test_has_the_name_in_its_heading() -> None:
    report = parse(FIRST)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 1, "passed": 1, "skipped": 0, "errors": 0}
    assert report.records == [
        Record(
            {
                "test": "test_name[a - b]",
                "error": "AssertionError",
                "message": "assert 'a - b' == 'z'\n  - z\n  + a - b",
                "file": "tests/test_cart.py",
                "line": 20,
            },
            3,
            19,
        ),
    ]


def test_a_run_without_failures_has_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 0, "passed": 1, "skipped": 0, "errors": 0, "total": 1}
    assert report.records == []


def test_a_run_that_selects_nothing_has_no_records() -> None:
    report = parse(GOOD2)
    assert report is not None
    assert report.format == "pytest"
    assert report.totals == {"failed": 0, "passed": 0, "skipped": 0, "errors": 0, "total": 0}
    assert report.records == []


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = AUTO.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{AUTO}") is None
    assert parse(f"{AUTO}\n\nCan you tell me why?\n") is None


def test_an_interpreter_that_fails_at_exit_changes_nothing() -> None:
    tail = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nResourceWarning: unclosed file\n'
    assert parse(f"{AUTO}\n{tail}") == parse(AUTO)


def test_shell_and_make_may_stand_around_a_run() -> None:
    report = parse(f"$ pytest\n{AUTO}make: *** [Makefile:3: test] Error 1\n")
    assert report is not None
    assert len(report.records) == 5


def test_a_count_that_differs_from_the_reports_is_refused() -> None:
    assert parse(AUTO.replace("= 3 failed", "= 4 failed")) is None


def test_two_runs_are_refused() -> None:
    assert parse(AUTO + AUTO) is None
