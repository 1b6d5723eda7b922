"""Verification: unsupported values become null or leave their list; judgements and counts stay."""

import pytest

from engines.base import JsonObject, JsonValue
from tools.extract import fields
from tools.extract.verify import Lines, Verified, Verifier


def verified(answer: JsonValue, schema: JsonObject, *held: str | float) -> Verified:
    """Returns ``answer`` verified against a source that holds ``held``."""
    return Verifier(schema, fields.read(schema)).verified(
        answer, lambda value: Lines("", 1, 1) if value in held else None
    )


def schema_of(**properties: JsonValue) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(properties)}


STRING: JsonValue = {"type": "string"}
MAYBE: JsonValue = {"type": ["string", "null"]}
STRINGS: JsonValue = {"type": "array", "items": STRING}


@pytest.mark.parametrize(
    ("name", "schema", "answer", "held", "value", "unsupported"),
    [
        ("a value that may be null", MAYBE, "x", (), None, ["/a"]),
        ("a value that may not", STRING, "x", (), "x", ["/a"]),
        ("an item of a list", STRINGS, ["x", "y"], ("y",), ["y"], ["/a/-"]),
        ("the last item of a list that needs one", {**STRINGS, "minItems": 1}, ["x"], (), ["x"], ["/a/0"]),  # type: ignore[dict-item]
        ("one of the schema's values", {"enum": ["low", "high"]}, "low", (), "low", []),
        ("a boolean", {"type": "boolean"}, True, (), True, []),
        ("an empty text", STRING, " ", (), " ", []),
        ("a number", {"type": ["number", "null"]}, 3.5, (3.5,), 3.5, []),
    ],
)
def test_what_the_source_does_not_hold(
    name: str,
    schema: JsonValue,
    answer: JsonValue,
    held: tuple[str, ...],
    value: JsonValue,
    unsupported: list[str],
) -> None:
    found = verified({"a": answer}, schema_of(a=schema), *held)
    assert found.value == {"a": value}, name
    assert [pointer for pointer, _ in found.unsupported] == unsupported


def test_a_number_that_counts_a_list_beside_it_need_not_stand_in_the_text() -> None:
    schema = schema_of(total={"type": ["integer", "null"]}, names=STRINGS)
    assert verified({"total": 2, "names": ["x", "y"]}, schema, "x", "y").value == {
        "total": 2,
        "names": ["x", "y"],
    }
    assert verified({"total": 3, "names": ["x", "y"]}, schema, "x", "y").value == {
        "total": None,
        "names": ["x", "y"],
    }


def test_evidence_moves_with_the_records_that_stay() -> None:
    schema: JsonObject = {"type": "array", "items": schema_of(a=MAYBE, b=MAYBE)}
    answer: JsonValue = [{"a": "x", "b": "y"}, {"a": "p", "b": "q"}, {"a": "z", "b": "q"}]
    found = verified(answer, schema, "p", "z")
    assert found.value == [{"a": "p", "b": None}, {"a": "z", "b": None}]
    assert list(found.evidence) == ["/0/a", "/1/a"]
    assert found.unsupported == [("/-", "x"), ("/-", "y"), ("/0/b", "q"), ("/1/b", "q")]


def test_null_written_as_a_word_is_null() -> None:
    found = verified({"a": "null"}, schema_of(a=MAYBE))
    assert (found.value, found.unsupported) == ({"a": None}, [])


def test_keys_are_escaped_in_pointers() -> None:
    found = verified({"a/b~c": "x"}, schema_of(**{"a/b~c": MAYBE}))
    assert found.unsupported == [("/a~1b~0c", "x")]


@pytest.mark.parametrize(
    ("lines", "named", "shown"),
    [
        (Lines("a.md", 3, 3), False, 3),
        (Lines("a.md", 3, 5), False, "3-5"),
        (Lines("a.md", 3, 3), True, "a.md:3"),
        (Lines("a.md", 3, 5), True, "a.md:3-5"),
    ],
)
def test_lines_are_short(lines: Lines, named: bool, shown: JsonValue) -> None:
    assert lines.as_json(named=named) == shown
