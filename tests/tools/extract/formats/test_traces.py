"""parse: stack traces that stand alone."""

import pytest

from tools.extract.formats.report import Record
from tools.extract.formats.traces import parse

NODE = """\
/home/u/p/a.js:3
  throw new TypeError("bad");
  ^

TypeError: bad
    at boom (/home/u/p/a.js:3:9)
    at Object.<anonymous> (/home/u/p/b.js:7:1)
    at Module._compile (node:internal/modules/cjs/loader:1554:14) {
  code: 'X'
}

Node.js v20.20.2
"""

JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: no cart
	at java.base/java.util.Optional.orElseThrow(Optional.java:403)
	at com.shop.Cart.load(Cart.java:33)
	at com.shop.Main.main(Main.java:7)
Caused by: java.io.IOException: disk
	at com.shop.Disk.read(Disk.java:4)
	... 2 more
"""

GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.pick(...)
	/home/u/p/main.go:8
main.main()
	/home/u/p/main.go:12 +0x1d
exit status 2
"""

RUST = """\
thread 'main' panicked at src/main.rs:2:5:
boom
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""

OLD_RUST = """\
thread 'main' panicked at 'called `Option::unwrap()` on a `None` value', src/main.rs:4:37
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""


def test_node() -> None:
    report = parse(NODE)
    assert report is not None
    assert report.format == "node trace"
    assert report.totals == {}
    assert report.records == [
        Record({"error": "TypeError", "message": "bad", "file": "/home/u/p/a.js", "line": 3}, 1, 12),
    ]


def test_java_has_its_first_frame_in_the_project() -> None:
    report = parse(JAVA)
    assert report is not None
    assert report.format == "java trace"
    assert report.totals == {}
    assert report.records == [
        Record(
            {"error": "IllegalStateException", "message": "no cart", "file": "Cart.java", "line": 33}, 1, 7
        ),
    ]


def test_go() -> None:
    report = parse(GO)
    assert report is not None
    assert report.format == "go trace"
    assert report.totals == {}
    assert report.records == [
        Record(
            {
                "message": "panic: runtime error: index out of range [5] with length 3",
                "file": "/home/u/p/main.go",
                "line": 8,
            },
            1,
            8,
        ),
    ]


def test_rust() -> None:
    report = parse(RUST)
    assert report is not None
    assert report.format == "rust trace"
    assert report.totals == {}
    assert report.records == [
        Record({"message": "boom", "file": "src/main.rs", "line": 2}, 1, 3),
    ]


def test_old_rust() -> None:
    report = parse(OLD_RUST)
    assert report is not None
    assert report.format == "rust trace"
    assert report.totals == {}
    assert report.records == [
        Record(
            {"message": "called `Option::unwrap()` on a `None` value", "file": "src/main.rs", "line": 4}, 1, 2
        ),
    ]


@pytest.mark.parametrize("trace", [NODE, JAVA, GO, RUST, OLD_RUST])
def test_a_trace_among_other_text_is_not_read(trace: str) -> None:
    assert parse("It crashed again:\n\n" + trace) is None
    assert parse(trace + "\nWhat is wrong here?\n") is None
