# Lines are as the program prints them: long, and with its own tabs beside spaces.
# ruff: noqa: E101, E501
"""parse: the failed tests of `go test`."""

from tools.extract.formats.go_test import parse
from tools.extract.formats.report import Record

VERBOSE = """\
=== RUN   TestParseRange
--- PASS: TestParseRange (0.00s)
=== RUN   TestClose
    close_test.go:48: closed after 4s, want 8s
--- FAIL: TestClose (0.02s)
=== RUN   TestTwice
--- FAIL: TestTwice (0.00s)
panic: close of closed channel [recovered]
	panic: close of closed channel

goroutine 18 [running]:
testing.tRunner.func1.2({0x1028e4a00, 0x102914d50})
	/usr/local/go/src/testing/testing.go:1632 +0x1c8
example.com/q.(*Pool).Close(0x1400011c000)
	/home/u/q/pool.go:91 +0x44
example.com/q.TestTwice(0x140001106c0)
	/home/u/q/pool_test.go:33 +0x5c
FAIL	example.com/q	0.412s
ok  	example.com/q/store	(cached)
FAIL
"""

SUBTESTS = """\
# example.com/q/store [example.com/q/store.test]
store/store_test.go:9:2: undefined: Open
store/store_test.go:11:5: x declared and not used
--- FAIL: TestParse (0.00s)
    --- FAIL: TestParse/empty_input (0.00s)
        parse_test.go:21: Parse("") = 1
            want 0
    --- FAIL: TestParse/a/b=c (0.00s)
        parse_test.go:21: Parse("a") = 2
FAIL
FAIL	example.com/q/parse	0.003s
FAIL	example.com/q/store [build failed]
?   	example.com/q/doc	[no test files]
ok  	example.com/q/x	0.004s	coverage: 80.0% of statements
FAIL
make: *** [Makefile:3: test] Error 1
"""

TESTIFY = """\
--- FAIL: TestSum (0.00s)
    sum_test.go:10: 
        	Error Trace:	/home/u/p/sum_test.go:10
        	Error:      	Not equal: 
        	            	expected: 3
        	            	actual  : 4
        	Test:       	TestSum
        	Messages:   	sums
FAIL
exit status 1
FAIL	example.com/p	0.002s
"""

TIMEOUT = """\
panic: test timed out after 1s
	running tests:
		TestSlow (1s)

goroutine 17 [running]:
testing.(*M).startAlarm.func1()
	/usr/local/go/src/testing/testing.go:2373 +0x385
created by time.goFunc
	/usr/local/go/src/time/sleep.go:215 +0x2d

goroutine 6 [sleep]:
time.Sleep(0x2540be400)
	/usr/local/go/src/runtime/time.go:285 +0xf2
example.com/p.TestSlow(0xc0000b2680?)
	/home/u/p/slow_test.go:9 +0x1d
FAIL	example.com/p	1.004s
FAIL
"""

EVENTS = r"""{"Time":"2024-01-01T00:00:00Z","Action":"start","Package":"example.com/p"}
{"Time":"2024-01-01T00:00:00Z","Action":"run","Package":"example.com/p","Test":"TestA"}
{"Time":"2024-01-01T00:00:00Z","Action":"output","Package":"example.com/p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Time":"2024-01-01T00:00:00Z","Action":"output","Package":"example.com/p","Test":"TestA","Output":"    a_test.go:8: got 1, want 2\n"}
{"Time":"2024-01-01T00:00:00Z","Action":"output","Package":"example.com/p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Time":"2024-01-01T00:00:00Z","Action":"fail","Package":"example.com/p","Test":"TestA","Elapsed":0}
{"Time":"2024-01-01T00:00:00Z","Action":"output","Package":"example.com/p","Output":"FAIL\n"}
{"Time":"2024-01-01T00:00:00Z","Action":"output","Package":"example.com/p","Output":"FAIL\texample.com/p\t0.002s\n"}
{"Time":"2024-01-01T00:00:00Z","Action":"fail","Package":"example.com/p","Elapsed":0.002}
"""

GOOD = """\
ok  	example.com/q	0.004s
?   	example.com/q/doc	[no test files]
"""


def test_logs_and_panics_of_a_verbose_run() -> None:
    report = parse(VERBOSE)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 2, "passed": 1, "skipped": 0}
    assert report.records == [
        Record(
            {"test": "TestClose", "message": "closed after 4s, want 8s", "file": "close_test.go", "line": 48},
            3,
            5,
        ),
        Record(
            {
                "test": "TestTwice",
                "message": "panic: close of closed channel",
                "file": "/home/u/q/pool_test.go",
                "line": 33,
            },
            6,
            17,
        ),
    ]


def test_subtests_count_in_place_of_their_parents_and_packages_that_do_not_build() -> None:
    report = parse(SUBTESTS)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 3}
    assert report.records == [
        Record(
            {
                "test": "TestParse/empty_input",
                "message": 'Parse("") = 1\n            want 0',
                "file": "parse_test.go",
                "line": 21,
            },
            5,
            7,
        ),
        Record(
            {"test": "TestParse/a/b=c", "message": 'Parse("a") = 2', "file": "parse_test.go", "line": 21},
            8,
            9,
        ),
        Record(
            {
                "test": "example.com/q/store",
                "message": "undefined: Open",
                "file": "store/store_test.go",
                "line": 9,
            },
            2,
            2,
        ),
    ]


def test_of_the_table_of_testify_the_error_counts() -> None:
    report = parse(TESTIFY)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 1}
    assert report.records == [
        Record(
            {
                "test": "TestSum",
                "message": "Not equal:\nexpected: 3\nactual  : 4",
                "file": "sum_test.go",
                "line": 10,
            },
            1,
            8,
        ),
    ]


def test_a_timeout_has_the_test_that_was_running() -> None:
    report = parse(TIMEOUT)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 1}
    assert report.records == [
        Record(
            {
                "test": "TestSlow",
                "message": "panic: test timed out after 1s",
                "file": "/home/u/p/slow_test.go",
                "line": 9,
            },
            1,
            15,
        ),
    ]


def test_events_of_json() -> None:
    report = parse(EVENTS)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 1, "passed": 0, "skipped": 0}
    assert report.records == [
        Record({"test": "TestA", "message": "got 1, want 2", "file": "a_test.go", "line": 8}, 3, 5),
    ]


def test_packages_without_failures_have_no_records() -> None:
    report = parse(GOOD)
    assert report is not None
    assert report.format == "go test"
    assert report.totals == {"failed": 0}
    assert report.records == []


def test_a_package_that_failed_without_a_failed_test_is_not_read() -> None:
    assert parse("exit status 1\nFAIL\texample.com/q\t0.1s\nFAIL\n") is None


def test_a_run_that_lost_its_end_is_not_read() -> None:
    assert parse("\n".join(VERBOSE.split("\n")[:8])) is None


def test_prose_around_a_run_is_not_read() -> None:
    assert parse(f"I ran the tests yesterday.\n\n{VERBOSE}") is None
    assert parse(f"{VERBOSE}\n\nCan you tell me why?\n") is None
