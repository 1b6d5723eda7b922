"""Known formats: which fields of a schema they fill, and when they leave a text to the model."""

import pytest

from engines.base import JsonObject, JsonValue
from tools.extract import fields
from tools.extract.known_formats import Reading, read

GCC = """\
main.c: In function 'main':
main.c:3:5: error: 'x' undeclared (first use in this function)
    3 |     x = 1;
      |     ^
main.c:7:9: warning: unused variable 'y' [-Wunused-variable]
    7 |     int y;
      |         ^
"""
GO = """\
--- FAIL: TestRetry (0.02s)
    retry_test.go:48: got 4s, want 8s
FAIL
FAIL\texample.com/queue\t0.412s
"""
STRING: JsonValue = {"type": ["string", "null"]}


def of(text: str, instructions: str, *, many: bool = True, **properties: JsonValue) -> Reading | None:
    record: JsonObject = {"type": "object", "properties": properties, "required": list(properties)}
    shape = fields.read({"type": "array", "items": record} if many else record)
    assert shape is not None
    return read(shape, text, instructions)


def rows(reading: Reading | None) -> JsonValue:
    assert reading is not None
    return reading.value


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [("file", "line", "message"), ("path", "row", "description"), ("source_file", "line_number",
     "error_message"), ("filename", "lineno", "problem")],
)  # fmt: skip
def test_fields_are_known_by_the_words_of_their_names(file: str, line: str, message: str) -> None:
    properties: JsonObject = {file: STRING, line: {"type": "integer"}, message: STRING}
    assert rows(of(GCC, "Every error.", many=True, **properties)) == [
        {file: "main.c", line: 3, message: "'x' undeclared (first use in this function)"}
    ]


@pytest.mark.parametrize(
    ("instructions", "lines"),
    [
        ("Every error the compiler reports.", [3]),
        ("Only the warnings.", [7]),
        ("Errors and warnings.", [3, 7]),
        ("Every error; no warnings.", [3]),
        ("Todos los errores, sin avisos.", [3]),
        ("Everything it reports.", [3, 7]),
        ("", [3, 7]),
    ],
)
def test_severities_that_are_named_are_kept(instructions: str, lines: list[int]) -> None:
    found = rows(of(GCC, instructions, line={"type": "integer"}))
    assert found == [{"line": line} for line in lines]


@pytest.mark.parametrize(
    "instructions",
    [
        "The first diagnostic.",
        "All but those of main.c",
        'Those about "y".',
        "Those of lines 1 to 5.",
        "What is in src/.",
    ],
)
def test_instructions_that_ask_for_some_records_are_left_to_the_model(instructions: str) -> None:
    assert of(GCC, instructions, line=STRING) is None


def test_a_field_that_a_format_does_not_have_leaves_the_text_to_the_model() -> None:
    assert of(GCC, "", line=STRING, author=STRING) is None


def test_two_fields_for_one_value_leave_the_text_to_the_model() -> None:
    assert of(GCC, "", line=STRING, row=STRING) is None


def test_a_value_that_no_record_has_is_null_only_where_it_may_be() -> None:
    assert rows(of(GO, "", test=STRING, error=STRING)) == [{"test": "TestRetry", "error": None}]
    assert of(GO, "", test=STRING, error={"type": "string"}) is None


def test_counts_stand_beside_the_list() -> None:
    failures: JsonValue = {
        "type": "array",
        "items": {"type": "object", "properties": {"test": {"type": "string"}}, "required": ["test"]},
    }
    reading = of(GO, "", many=False, failed={"type": "integer"}, failures=failures)
    assert rows(reading) == {"failed": 1, "failures": [{"test": "TestRetry"}]}
    assert reading is not None
    assert reading.lines == {"/failures/0": (1, 2)}


def test_a_single_record_fills_an_object() -> None:
    text = "## 1.2.0 - 2024-03-01\n\n- Mend the pump (#7)\n"
    numbers: JsonValue = {"type": "array", "items": {"type": "integer"}}
    reading = of(text, "", many=False, version={"type": "string"}, date=STRING, pull_requests=numbers)
    assert rows(reading) == {"version": "1.2.0", "date": "2024-03-01", "pull_requests": [7]}


def test_colours_of_a_terminal_do_not_matter() -> None:
    coloured = GCC.replace("error:", "\x1b[01;31m\x1b[Kerror: \x1b[m\x1b[K").replace("error:  ", "error: ")
    assert rows(of(coloured, "Every error.", line=STRING)) == [{"line": "3"}]


def test_the_columns_of_a_table_keep_their_own_names() -> None:
    table = "name,qty,unit price\nbolt,4,0.20\nnut,9,0.10\n"
    found = rows(of(table, "", name=STRING, quantity={"type": "integer"}, unit_price={"type": "number"}))
    assert found == [
        {"name": "bolt", "quantity": 4, "unit_price": 0.2},
        {"name": "nut", "quantity": 9, "unit_price": 0.1},
    ]
