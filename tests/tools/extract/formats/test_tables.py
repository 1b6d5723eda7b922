"""The tables parser: Markdown, CSV, box drawing and aligned columns, whole or not at all."""

from time import thread_time

import pytest

from engines.base import JsonValue
from tools.extract.formats.tables import parse


def rows(text: str) -> list[dict[str, JsonValue]] | None:
    report = parse(text)
    return None if report is None else [dict(record.values) for record in report.records]


PEOPLE: list[dict[str, JsonValue]] = [{"Name": "Ada", "Age": "36"}, {"Name": "Alan", "Age": "41"}]
TABLES = {
    "Markdown": "| Name | Age |\n|:-----|----:|\n| Ada  | 36 |\n| Alan | 41 |\n",
    "Markdown without outer pipes": "Name | Age\n--- | ---\nAda | 36\nAlan | 41",
    "CSV": "Name,Age\nAda,36\n\nAlan,41\n",
    "CSV with spaces": "Name, Age\nAda, 36\nAlan, 41",
    "CSV with semicolons": "Name;Age\nAda;36\nAlan;41",
    "TSV": "Name\tAge\nAda\t36\nAlan\t41\n",
    "psql": " Name | Age \n------+-----\n Ada  |  36\n Alan |  41\n(2 rows)\n\n",
    "psql with a title": "  List of people\n Name | Age \n------+-----\n Ada  |  36\n Alan |  41\n(2 rows)\n",
    "MySQL": (
        "+------+------+\n| Name | Age  |\n+------+------+\n| Ada  |   36 |\n| Alan |   41 |\n"
        "+------+------+\n2 rows in set (0.00 sec)\n"
    ),
    "tabulate, grid": (
        "+--------+-------+\n| Name   |   Age |\n+========+=======+\n| Ada    |    36 |\n"
        "+--------+-------+\n| Alan   |    41 |\n+--------+-------+"
    ),
    "box drawing": (
        "┌──────┬─────┐\n│ Name │ Age │\n├──────┼─────┤\n│ Ada  │  36 │\n│ Alan │  41 │\n└──────┴─────┘"
    ),
    "Rich": "┏━━━━━━┳━━━━━┓\n┃ Name ┃ Age ┃\n┡━━━━━━╇━━━━━┩\n│ Ada  │ 36  │\n│ Alan │ 41  │\n└──────┴─────┘",
    "columns with a rule": "Name      Age\n------  -----\nAda        36\nAlan       41",
    "reStructuredText": "====  ===\nName  Age\n====  ===\nAda   36\nAlan  41\n====  ===",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_a_table_has_a_record_for_each_row(text: str) -> None:
    assert rows(text) == PEOPLE


def test_records_know_their_lines() -> None:
    report = parse('\nid,note\n1,"two\nlines"\n2,one\n')
    assert report is not None
    assert report.format == "csv"
    assert [(record.first, record.last) for record in report.records] == [(3, 4), (5, 5)]
    assert report.records[0].values == {"id": "1", "note": "two\nlines"}


def test_cells_may_be_empty_quoted_or_have_escaped_pipes() -> None:
    assert rows('name,note\n"Smith, J.","says ""hi"""\nBob,\n') == [
        {"name": "Smith, J.", "note": 'says "hi"'},
        {"name": "Bob", "note": ""},
    ]
    assert rows("| a | b |\n|---|---|\n| x \\| y |  |") == [{"a": "x | y", "b": ""}]


def test_columns_of_docker() -> None:
    text = (
        "CONTAINER ID   IMAGE          COMMAND                  CREATED       STATUS       PORTS     NAMES\n"
        '3f2a9c1b7d4e   nginx:latest   "/docker-entrypoint.…"   2 hours ago   Up 2 hours   80/tcp    web\n'
        '9d8e7f6a5b4c   redis:7        "docker-entrypoint.s…"   3 days ago    Exited (0)             cache\n'
    )
    found = rows(text)
    assert found is not None
    assert found[0] == {
        "CONTAINER ID": "3f2a9c1b7d4e",
        "IMAGE": "nginx:latest",
        "COMMAND": '"/docker-entrypoint.…"',
        "CREATED": "2 hours ago",
        "STATUS": "Up 2 hours",
        "PORTS": "80/tcp",
        "NAMES": "web",
    }
    assert (found[1]["PORTS"], found[1]["NAMES"]) == ("", "cache")


def test_columns_of_kubectl() -> None:
    text = (
        "NAME                     READY   STATUS             RESTARTS      AGE\n"
        "api-6c9f8d7b5-x2x9q      1/1     Running            0             3d2h\n"
        "worker-7d5c6f9b8-lm4zk   0/1     CrashLoopBackOff   12 (2m ago)   41m\n"
    )
    assert rows(text) == [
        {"NAME": "api-6c9f8d7b5-x2x9q", "READY": "1/1", "STATUS": "Running", "RESTARTS": "0", "AGE": "3d2h"},
        {
            "NAME": "worker-7d5c6f9b8-lm4zk",
            "READY": "0/1",
            "STATUS": "CrashLoopBackOff",
            "RESTARTS": "12 (2m ago)",
            "AGE": "41m",
        },
    ]


def test_columns_of_ps() -> None:
    text = (
        "    PID TTY          TIME CMD\n   1234 pts/0    00:00:00 sh\n   5678 ?        00:01:02 python -m a"
    )
    assert rows(text) == [
        {"PID": "1234", "TTY": "pts/0", "TIME": "00:00:00", "CMD": "sh"},
        {"PID": "5678", "TTY": "?", "TIME": "00:01:02", "CMD": "python -m a"},
    ]


def test_columns_of_pip() -> None:
    text = "Package    Version\n---------- -------\nanyio      4.10.0\nstarlette  1.0.0\n"
    assert rows(text) == [
        {"Package": "anyio", "Version": "4.10.0"},
        {"Package": "starlette", "Version": "1.0.0"},
    ]


def test_a_result_of_no_rows_is_a_table() -> None:
    assert rows(" id | name \n----+------\n(0 rows)\n") == []


NO_TABLES = {
    "prose": "First, wash the beans, then rinse.\nThen, cook them, and serve.",
    "prose in equal parts": "Roses, red\nViolets, blue",
    "a letter": "Dear Ada,\nthe export, as you said, fails.",
    "two columns without a header": "12,34\n56,78",
    "a header alone": "name,age\n",
    "one column": "name\nAda\nAlan",
    "text around a table": "The people:\n| a | b |\n|---|---|\n| 1 | 2 |",
    "text after a table": "| a | b |\n|---|---|\n| 1 | 2 |\nAll of them.",
    "a ragged row": "a,b,c\n1,2,3\n1,2\n",
    "a Markdown row without a cell": "| a | b |\n|---|---|\n| 1 |",
    "names that are not distinct": "a,a\n1,2\n",
    "fewer rows than psql says": " id | name \n----+------\n  1 | Ada\n(3 rows)\n",
    "a wrapped cell": "+---+------+\n| a | name |\n+---+------+\n| 1 | Ada  |\n|   | Love |\n+---+------+",
    "a wrapped psql cell": " id | name \n----+------\n  1 | Ada +\n    | Love\n",
    "a cell across a column": "NAME   AGE\nworker-7   3d\n",
    "df": "Filesystem      Size  Used Avail Use% Mounted on\n/dev/sda1        50G   20G   30G  40% /\n",
    "git diff --name-status": "M\tsrc/app.py\nA\tsrc/new.py\n",
    "code": "def add(a, b):\n    return a, b",
    "an unclosed quote": 'a,b\n1,"2\n',
    "nothing": "\n\n",
}


@pytest.mark.parametrize("text", NO_TABLES.values(), ids=NO_TABLES.keys())
def test_what_is_not_a_whole_table_is_left(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("piece", ["| - ", "-", "+-", "a,", "a  ", "- -  ", "\\|"])
def test_time_grows_linearly(piece: str) -> None:
    def seconds(times: int) -> float:
        text = f"{piece * times}\n" * 3
        start = thread_time()
        parse(text)
        return thread_time() - start

    assert min(seconds(20_000) for _ in range(3)) < 10 * min(seconds(5_000) for _ in range(3)) + 0.01
