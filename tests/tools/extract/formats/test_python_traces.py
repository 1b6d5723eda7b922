"""parse: Python tracebacks that stand alone."""

from tools.extract.formats.python_traces import parse
from tools.extract.formats.report import Record

CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 3, in <module>
    main()
  File "/usr/lib/python3.12/json/__init__.py", line 346, in loads
    return 1
json.decoder.JSONDecodeError: Expecting value: line 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/b.py", line 7, in f
    raise Boom
  [Previous line repeated 3 more times]
pkg.Boom: outer
second
"""

GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/tmp/a.py", line 36, in test_group
  |     raise ExceptionGroup("many", [ValueError("a"), TypeError("b")])
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/tmp/b.py", line 3, in x
    | ValueError: a
    +---------------- 2 ----------------
    | TypeError: b
    +------------------------------------
"""

LIBRARY = """\
Traceback (most recent call last):
  File "/home/u/shop/cart.py", line 9, in load
    return json.loads(text)
  File "/usr/lib/python3.12/json/decoder.py", line 353, in raw_decode
    obj, end = self.scan_once(s, idx)
               ~~~~~~~~~~~~~~^^^^^^^^
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""

BARE = """\
Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
KeyboardInterrupt
"""


def test_of_a_chain_the_last_error_counts_and_its_innermost_frame() -> None:
    report = parse(CHAINED)
    assert report is not None
    assert report.format == "python traceback"
    assert report.totals == {}
    assert report.records == [
        Record({"error": "Boom", "message": "outer\nsecond", "file": "/app/b.py", "line": 7}, 1, 15),
    ]


def test_of_a_group_the_group_counts() -> None:
    report = parse(GROUP)
    assert report is not None
    assert report.format == "python traceback"
    assert report.totals == {}
    assert report.records == [
        Record(
            {
                "error": "ExceptionGroup",
                "message": "many (2 sub-exceptions)",
                "file": "/tmp/a.py",
                "line": 36,
            },
            1,
            11,
        ),
    ]


def test_frames_of_the_library_are_not_the_place() -> None:
    report = parse(LIBRARY)
    assert report is not None
    assert report.format == "python traceback"
    assert report.totals == {}
    assert report.records == [
        Record(
            {
                "error": "JSONDecodeError",
                "message": "Expecting value: line 1 column 1 (char 0)",
                "file": "/home/u/shop/cart.py",
                "line": 9,
            },
            1,
            7,
        ),
    ]


def test_an_error_without_a_message() -> None:
    report = parse(BARE)
    assert report is not None
    assert report.format == "python traceback"
    assert report.totals == {}
    assert report.records == [
        Record({"error": "KeyboardInterrupt", "file": "<stdin>", "line": 1}, 1, 3),
    ]


def test_a_traceback_in_a_log_is_not_read() -> None:
    assert parse(BARE + "2024-01-01 INFO restarted\n") is None
    assert parse("2024-01-01 INFO started\n" + BARE) is None
    assert parse(BARE + "\nWhat is wrong here?\n") is None


def test_two_tracebacks_are_not_read_as_one() -> None:
    assert parse(BARE + "\n" + LIBRARY) is None
