"""The parser of JSON Lines, JSON arrays and logfmt."""

from time import thread_time

import pytest

from tools.extract.formats.json_lines import parse


def test_every_line_is_an_object() -> None:
    report = parse(
        '{"level": "info", "n": 1}\n\n{"level": "error", "tags": ["a", "b"], "ok": false, "at": null}\n'
    )
    assert report is not None
    assert report.format == "json lines"
    assert [(record.first, record.last) for record in report.records] == [(1, 1), (3, 3)]
    assert [record.values for record in report.records] == [
        {"level": "info", "n": 1},
        {"level": "error", "tags": ["a", "b"], "ok": False, "at": None},
    ]


def test_values_of_nested_objects_have_dotted_names() -> None:
    report = parse('{"user": {"id": 7, "name": {"first": "Ada"}}, "user.id": "own"}')
    assert report is not None
    assert report.records[0].values == {
        "user": {"id": 7, "name": {"first": "Ada"}},
        "user.id": "own",
        "user.name": {"first": "Ada"},
        "user.name.first": "Ada",
    }


def test_an_array_of_objects_knows_the_lines_of_each() -> None:
    report = parse('\n[\n  {"id": 1},\n  {\n    "id": 2,\n    "note": "a, b"\n  }, {"id": 3}\n]\n')
    assert report is not None
    assert report.format == "json"
    assert [record.values["id"] for record in report.records] == [1, 2, 3]
    assert [(record.first, record.last) for record in report.records] == [(3, 3), (4, 7), (7, 7)]


def test_logfmt() -> None:
    report = parse(
        'time="2024-03-01T10:00:00Z" level=info msg="said \\"hi\\"" dur=1.2ms\n'
        "time=2024-03-01T10:00:01Z level=warn msg=slow err=\n"
    )
    assert report is not None
    assert report.format == "logfmt"
    assert [record.values for record in report.records] == [
        {"time": "2024-03-01T10:00:00Z", "level": "info", "msg": 'said "hi"', "dur": "1.2ms"},
        {"time": "2024-03-01T10:00:01Z", "level": "warn", "msg": "slow", "err": ""},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The level is info.",
        '{"a": 1}\nstarted\n',
        '{"a": 1}\n[1, 2]\n',
        '{"a": 1}\n{"a": \n',
        '{"a": NaN}',
        '{\n  "a": 1\n}',
        '[{"a": 1}, 2]',
        '[{"a": 1}, {"a": 2}',
        '[{"a": 1}] and more',
        "[]",
        "PATH=/bin\nHOME=/root\n",
        'level=info msg="a" and then some words',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=[
        "nothing",
        "prose",
        "another line",
        "an array among the lines",
        "truncated lines",
        "not JSON",
        "one object on several lines",
        "not only objects",
        "truncated array",
        "text after an array",
        "empty array",
        "environment",
        "logfmt and words",
        "deep array",
        "deep object",
    ],
)
def test_what_is_not_wholly_objects_is_left(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("piece", ['{"a":1}, ', '"', "a=", "a=b ", 'a="\\', "{"])
def test_time_grows_linearly(piece: str) -> None:
    def seconds(times: int) -> float:
        start = thread_time()
        parse(f"[{piece * times}")
        parse(f"{piece * times} .")
        return thread_time() - start

    assert min(seconds(20_000) for _ in range(3)) < 10 * min(seconds(5_000) for _ in range(3)) + 0.01
