"""parse: the failed tests of `cargo test` and `cargo nextest`."""

from tools.extract.formats.cargo_test import parse
from tools.extract.formats.report import Record

TARGETS = """\
   Compiling ledger v0.1.0 (/srv/tr/rs)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.77s
     Running unittests src/lib.rs (target/debug/deps/ledger-6bc935356f631c94)

running 7 tests
test tests::err ... FAILED
test tests::ign ... ignored
test tests::eq ... FAILED
test tests::multi ... FAILED
test tests::no_panic - should panic ... FAILED
test tests::ok ... ok
test tests::wrong_panic - should panic ... FAILED

failures:

---- tests::err stdout ----
Error: "bad thing"

---- tests::eq stdout ----
printed 1

thread 'tests::eq' (23409) panicked at src/lib.rs:12:50:
assertion `left == right` failed: sum of ints
  left: 3
 right: 4

---- tests::multi stdout ----

thread 'tests::multi' (23411) panicked at src/lib.rs:13:26:
line one
line two

---- tests::no_panic stdout ----
note: test did not panic as expected at src/lib.rs:15:32
---- tests::wrong_panic stdout ----

thread 'tests::wrong_panic' (23414) panicked at src/lib.rs:14:67:
other
note: panic did not contain expected string
      panic message: "other"
 expected substring: "boom"

failures:
    tests::eq
    tests::err
    tests::multi
    tests::no_panic
    tests::wrong_panic

test result: FAILED. 1 passed; 5 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.15s

error: test failed, to rerun pass `--lib`
     Running tests/it.rs (target/debug/deps/it-5449dda889804a95)

running 1 test
test outside ... FAILED

failures:

---- outside stdout ----

thread 'outside' (23416) panicked at tests/it.rs:1:59:
index out of bounds: the len is 0 but the index is 3


failures:
    outside

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.08s

error: test failed, to rerun pass `--test it`
   Doc-tests ledger

running 1 test
test src/lib.rs - add (line 3) ... FAILED

failures:

---- src/lib.rs - add (line 3) stdout ----
Test executable failed (exit status: 101).

stderr:

thread 'main' (23433) panicked at src/lib.rs:5:1:
assertion `left == right` failed
  left: 2
 right: 3



failures:
    src/lib.rs - add (line 3)

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.18s

error: doctest failed, to rerun pass `--doc`
error: 3 targets failed:
    `--lib`
    `--test it`
    `--doc`
"""

OLD = """\

running 2 tests
test tests::a ... ok
test tests::b ... FAILED

failures:

---- tests::b stdout ----
thread 'tests::b' panicked at 'assertion failed: `(left == right)`
  left: `1`,
 right: `2`', src/lib.rs:8:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    tests::b

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

error: test failed, to rerun pass `--lib`
"""

BACKTRACE = r"""
running 2 tests
test tests::parses ... ok
test tests::rejects ... FAILED

failures:

---- tests::rejects stdout ----

thread 'tests::rejects' (7810) panicked at src\lib.rs:8:50:
called `Option::unwrap()` on a `None` value
stack backtrace:
   0: std::panicking::begin_panic_handler
             at /rustc/5980/library\std\src\panicking.rs:689
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.


failures:
    tests::rejects

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

error: test failed, to rerun pass `--lib`
"""

NEXTEST = """\
   Compiling ledger v0.1.0 (/tmp/x)
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.44s
────────────
 Nextest run ID 1c9 with nextest profile: default
    Starting 3 tests across 2 binaries (1 test skipped)
        PASS [   0.004s] ledger tests::ok
        FAIL [   0.005s] ledger tests::eq
  stdout ───

    running 1 test
    test tests::eq ... FAILED

    failures:

    failures:
        tests::eq

    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s

  stderr ───

    thread 'tests::eq' panicked at src/lib.rs:12:50:
    assertion `left == right` failed: sum
      left: 3
     right: 4
    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

  Cancelling due to test failure
     SIGABRT [   0.005s] ledger::it aborts
────────────
     Summary [   0.006s] 3 tests run: 1 passed (1 slow), 2 failed, 1 skipped
        FAIL [   0.005s] ledger tests::eq
     SIGABRT [   0.005s] ledger::it aborts
error: test run failed
"""

UNCAPTURED = """\

running 1 test
thread 'tests::b' panicked at src/lib.rs:8:5:
boom
test tests::b ... FAILED

failures:

failures:
    tests::b

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""


def test_several_targets_and_doctests() -> None:
    report = parse(TARGETS)
    assert report is not None
    assert report.format == "cargo test"
    assert report.totals == {"passed": 1, "failed": 7, "skipped": 1}
    assert report.records == [
        Record({"test": "tests::err", "message": '"bad thing"'}, 16, 17),
        Record(
            {
                "test": "tests::eq",
                "message": "assertion `left == right` failed: sum of ints",
                "file": "src/lib.rs",
                "line": 12,
            },
            19,
            25,
        ),
        Record({"test": "tests::multi", "message": "line one", "file": "src/lib.rs", "line": 13}, 27, 31),
        Record(
            {
                "test": "tests::no_panic",
                "message": "test did not panic as expected",
                "file": "src/lib.rs",
                "line": 15,
            },
            33,
            34,
        ),
        Record({"test": "tests::wrong_panic", "message": "other", "file": "src/lib.rs", "line": 14}, 35, 41),
        Record(
            {
                "test": "outside",
                "message": "index out of bounds: the len is 0 but the index is 3",
                "file": "tests/it.rs",
                "line": 1,
            },
            60,
            63,
        ),
        Record(
            {
                "test": "src/lib.rs - add (line 3)",
                "message": "assertion `left == right` failed",
                "file": "src/lib.rs",
                "line": 5,
            },
            79,
            87,
        ),
    ]


def test_messages_in_quotes_before_the_place() -> None:
    report = parse(OLD)
    assert report is not None
    assert report.format == "cargo test"
    assert report.totals == {"passed": 1, "failed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "tests::b",
                "message": "assertion failed: `(left == right)`",
                "file": "src/lib.rs",
                "line": 8,
            },
            8,
            12,
        ),
    ]


def test_backtraces_and_thread_ids() -> None:
    report = parse(BACKTRACE)
    assert report is not None
    assert report.format == "cargo test"
    assert report.totals == {"passed": 1, "failed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {
                "test": "tests::rejects",
                "message": "called `Option::unwrap()` on a `None` value",
                "file": "src\\lib.rs",
                "line": 8,
            },
            8,
            15,
        ),
    ]


def test_nextest() -> None:
    report = parse(NEXTEST)
    assert report is not None
    assert report.format == "cargo nextest"
    assert report.totals == {"passed": 1, "failed": 2, "skipped": 1, "total": 3}
    assert report.records == [
        Record(
            {
                "test": "tests::eq",
                "message": "assertion `left == right` failed: sum",
                "file": "src/lib.rs",
                "line": 12,
            },
            22,
            23,
        ),
        Record({"test": "aborts"}, 33, 33),
    ]


def test_without_capture_a_panic_is_found_by_its_thread() -> None:
    report = parse(UNCAPTURED)
    assert report is not None
    assert report.format == "cargo test"
    assert report.totals == {"passed": 0, "failed": 1, "skipped": 0}
    assert report.records == [
        Record({"test": "tests::b", "message": "boom", "file": "src/lib.rs", "line": 8}, 3, 4),
    ]


def test_a_run_that_lost_lines_is_not_read() -> None:
    lines = OLD.split("\n")
    assert parse("\n".join(lines[: len(lines) // 2])) is None
    assert parse("\n".join(lines[len(lines) // 2 :])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{TARGETS}") is None
    assert parse(f"{TARGETS}\n\nCan you tell me why?\n") is None


def test_a_target_that_aborted_has_no_result_and_is_not_read() -> None:
    assert parse(OLD + "\nrunning 3 tests\nerror: test failed, to rerun pass `--test it`\n") is None


def test_a_crate_that_does_not_compile_is_not_read() -> None:
    assert parse(OLD + "error: could not compile `x` (lib test) due to 1 previous error\n") is None
