"""Schema validation: invalid answers raise, and no schema or answer blocks the server."""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError, InvalidArgumentsError
from tools.pipeline.structured import MAX_DEPTH, check, compact, parse_answer, validator_of

SOON_S = 2.0
"""Seconds of CPU; what these guard against takes for ever."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4),
    max_leaves=12,
)  # fmt: skip


def refused(schema: JsonObject) -> InvalidArgumentsError:
    with pytest.raises(InvalidArgumentsError) as caught:
        validator_of(schema)
    assert caught.value.hint
    return caught.value


def broken(schema: JsonObject, text: str) -> str:
    with pytest.raises(InvalidAnswerError) as caught:
        parse_answer(text, validator_of(schema))
    return caught.value.message


# Schemas


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "strin"}, "/type"),
        ({"properties": 3}, "/properties"),
        ({"properties": {"a": {"minimum": "1"}}}, "/properties/a/minimum"),
        ({"required": "a"}, "/required"),
        ({"enum": 1}, "/enum"),
        ({"pattern": "("}, "/pattern"),
        ({"pattern": "a{1,999999999}"}, "/pattern"),
        ({"$ref": 5}, "/$ref"),
        ({"$schema": 3}, "/$schema"),
        ({"items": [{"type": "string"}]}, "/items"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_place(schema: JsonObject, where: str) -> None:
    assert f"not valid JSON Schema at {where}: " in refused(schema).message


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/schema.json",
        "https://example.org/schema.json#/$defs/a",
        "file:///etc/passwd",
        "other.json",
        "//example.org/x",
        "#/$defs/missing",
        "#missing",
        "urn:uuid:1",
    ],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_reference_to_elsewhere_is_refused_and_never_fetched(keyword: str, reference: str) -> None:
    error = refused({"properties": {"a": {keyword: reference}}})
    assert "refers to another document, or to nothing" in error.message
    assert "$defs" in error.hint


def test_nothing_is_fetched_even_where_something_would_answer(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "string"}')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        refused({"$ref": f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"})
        refused({"$ref": (tmp_path / "schema.json").as_uri()})
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_draft_nobody_knows_is_refused() -> None:
    assert "Unknown meta-schema" in refused({"$schema": "http://example.org/mine"}).message


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"$ref": "#name", "$defs": {"a": {"$anchor": "name", "type": "string"}}},
        {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "string"}}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/a",
            "definitions": {"a": {"type": "string"}},
        },
        {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string"},
        {"allOf": [{"type": "string"}, {"$ref": "#"}]},
        {
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
            "$ref": "#/$defs/a",
            "type": "string",
        },
    ],
    ids=["pointer", "anchor", "escaped", "draft 7", "draft 4", "itself", "a circle"],
)
def test_references_within_a_schema_are_followed(schema: JsonObject) -> None:
    validator = validator_of(schema)
    assert parse_answer('"text"', validator) == "text"
    with pytest.raises(InvalidAnswerError, match='is not of type "string"'):
        parse_answer("1", validator)


def test_data_that_looks_like_a_reference_is_data() -> None:
    validator = validator_of(
        {"properties": {"$ref": {"type": "string"}, "a": {"const": {"$ref": "http://example.org"}}}}
    )
    value: JsonValue = {"$ref": "http://example.org", "a": {"$ref": "http://example.org"}}
    assert parse_answer(compact(value), validator) == value


def doubling(levels: int) -> JsonObject:
    """Each definition refers twice to the one below: small to write, 2**levels to check."""
    definitions: JsonObject = {"d0": {"type": "object"}}
    for level in range(1, levels + 1):
        below: JsonValue = {"$ref": f"#/$defs/d{level - 1}"}
        definitions[f"d{level}"] = {"allOf": [below, below]}
    return {"$ref": f"#/$defs/d{levels}", "$defs": definitions}


def nested(levels: int) -> JsonObject:
    schema: JsonObject = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def chained(links: int) -> JsonObject:
    definitions: JsonObject = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(links)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{links}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (doubling(30), "more than 100000 nodes"),
        (doubling(500), "more than 100000 nodes"),
        (nested(400), "Recursion limit"),
        (chained(5_000), "nested too deeply"),
        ({"default": nested(900)}, "Recursion limit"),
    ],
    ids=["doubling", "doubling far", "nested", "chained", "nested data"],
)
def test_a_schema_made_to_block_the_server_is_refused_soon(schema: JsonObject, expected: str) -> None:
    begun = time.process_time()
    assert expected in refused(schema).message
    assert time.process_time() - begun < SOON_S


def test_a_schema_as_large_as_people_write_them_is_taken() -> None:
    parse_answer("{}", validator_of(doubling(6)))
    parse_answer("{}", validator_of(nested(50)))
    parse_answer('"x"', validator_of(chained(50)))


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", r"(a*)*\1b", r"^(?=(a+)+$)(a+)+c"])
@pytest.mark.parametrize("place", ["value", "key"])
def test_a_pattern_that_backtracks_for_ever_fails_soon(pattern: str, place: str) -> None:
    text = "a" * 60 + "!"
    schema: JsonObject = {"pattern": pattern} if place == "value" else {"propertyNames": {"pattern": pattern}}
    begun = time.process_time()
    broken(schema, compact(text if place == "value" else {text: 1}))
    assert time.process_time() - begun < SOON_S


# Answers


def test_an_answer_is_parsed_as_its_json_value() -> None:
    assert parse_answer(' {"a": [1, 2.5, null]}\n', validator_of({})) == {"a": [1, 2.5, None]}


def test_without_a_schema_the_answer_is_still_an_object() -> None:
    assert broken({}, "[1]") == 'the answer breaks the schema at /: [1] is not of type "object"'


def test_a_fault_is_named_with_its_place() -> None:
    schema: JsonObject = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert (
        broken(schema, '{"a": [1, "x"]}')
        == 'the answer breaks the schema at /a/1: "x" is not of type "integer"'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("```json\n{}\n```", "not JSON"),
        ("{} {}", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": Infinity}', "Infinity is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": ' + "9" * 5_000 + "}", "not JSON"),
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ('{"b": {"a": 1, "c": 0, "a": 1}}', "'a' appears twice"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\udc00": 1}', "lone surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_not_an_answer_is_refused(text: str, expected: str) -> None:
    assert expected in broken({}, text)


def test_an_answer_may_be_as_deep_as_anyone_writes() -> None:
    text = '{"a":' * (MAX_DEPTH - 1) + "1" + "}" * (MAX_DEPTH - 1)
    assert parse_answer(text, validator_of({})) == json.loads(text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("date", "2022-06-28", "2022-06-31"),
        ("date-time", "2022-06-28T10:00:00Z", "2022-06-28"),
        ("email", "a@example.org", "a"),
        ("uuid", "0b2a4f0e-9f0a-4b86-a3a5-6c6f3ac3a0d1", "0b2a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("uri", "https://example.org", "not one"),
        ("a format nobody knows", "anything", None),
    ],
)
def test_a_format_is_validated(kind: str, good: str, bad: str | None) -> None:
    assert parse_answer(compact(good), validator_of({"format": kind})) == good
    if bad is not None:
        assert "is not a" in broken({"format": kind}, compact(bad))


def test_a_format_is_validated_in_older_drafts() -> None:
    assert "is not a" in broken(
        {"$schema": "http://json-schema.org/draft-07/schema#", "format": "date"}, '"June 28"'
    )


def test_a_large_list_of_unique_items_is_checked_soon() -> None:
    value: JsonValue = [{"n": n} for n in range(20_000)]
    begun = time.process_time()
    check(value, validator_of({"uniqueItems": True}))
    assert time.process_time() - begun < SOON_S


@given(JSON)
def test_any_json_comes_back_as_it_was(value: JsonValue) -> None:
    assert parse_answer(compact(value), validator_of({"$comment": "anything"})) == value


@given(st.text())
def test_any_text_is_an_answer_or_an_invalid_one(text: str) -> None:
    try:
        parse_answer(text, validator_of({"type": ["object", "array"]}))
    except InvalidAnswerError:
        return
    assert text.strip().startswith(("{", "["))


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_any_object_is_a_schema_or_an_invalid_one(schema: JsonObject) -> None:
    with suppress(InvalidArgumentsError):
        validator_of(schema)


def test_compact_json_has_no_spaces_and_no_escapes() -> None:
    assert compact({"a": [1, "é"], "b": None}) == '{"a":[1,"é"],"b":null}'
