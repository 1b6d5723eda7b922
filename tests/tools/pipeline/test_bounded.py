"""Limits added to schemas: what is valid with them is valid without, and answers end."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.scripted.json_values import valid_instance
from engines.base import JsonObject
from tools.pipeline.bounded import ANYTHING, FEW, LARGEST, LONGEST, SHORTEST, bounded

FREE: JsonObject = {"type": "string"}

LEAVES: st.SearchStrategy[dict[str, Any]] = st.sampled_from([
    FREE,
    {"type": ["string", "null"]},
    {"type": "string", "minLength": 300},
    {"type": "string", "maxLength": 3},
    {"enum": ["a", "b"]},
    {"type": "number"},
    {"type": "string", "format": "date"},
    {"type": "integer", "minimum": 3},
])  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda schema: {"type": "array", "items": schema}),
        inner.map(lambda schema: {"type": "array", "items": schema, "minItems": 7}),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several}),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
            lambda named: {"type": "object", "properties": named, "required": list(named)}
        ),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.integers(1, 4096))
def test_what_is_valid_under_the_limits_is_valid_without(schema: JsonObject, max_tokens: int) -> None:
    limited = bounded(schema, max_tokens)
    value = valid_instance(limited)
    assert jsonschema_rs.is_valid(limited, value)
    assert jsonschema_rs.is_valid(schema, value)


def test_strings_share_the_token_budget_of_the_answer() -> None:
    one = bounded({"properties": {"a": FREE}}, 50)
    ten = bounded({"properties": {str(n): FREE for n in range(10)}}, 50)
    assert one["properties"] == {"a": {"type": "string", "maxLength": 50}}
    assert ten["properties"] == {str(n): {"type": "string", "maxLength": SHORTEST} for n in range(10)}


def test_limits_of_strings_are_neither_tiny_nor_endless() -> None:
    assert bounded(FREE, 1)["maxLength"] == SHORTEST
    assert bounded(FREE, 100_000)["maxLength"] == LONGEST


@pytest.mark.parametrize(
    ("schema", "limits"),
    [
        ({"type": "string", "maxLength": 3}, {"maxLength": 3}),
        ({"type": "string", "maxLength": 5_000}, {"maxLength": LONGEST}),
        ({"type": "string", "minLength": 300}, {"maxLength": 300}),
        ({"type": "array"}, {"maxItems": FEW}),
        ({"type": "array", "minItems": 7}, {"maxItems": 7}),
        ({"type": "array", "maxItems": 1}, {"maxItems": 1}),
        ({"type": "string", "pattern": "^a+$"}, {}),
        ({"type": "string", "format": "date"}, {}),
        ({"type": "string", "enum": ["a"]}, {}),
        ({"type": "integer", "minimum": 3}, {}),
        ({"type": "number"}, {"minimum": -LARGEST, "maximum": LARGEST}),
        ({"type": ["integer", "null"]}, {"minimum": -LARGEST, "maximum": LARGEST}),
    ],
)
def test_a_limit_is_only_ever_added_where_it_can_be_kept(schema: JsonObject, limits: JsonObject) -> None:
    assert bounded(schema, 4096) == schema | limits


def test_schemas_within_schemas_are_limited_but_for_those_that_forbid() -> None:
    schema: JsonObject = {
        "$defs": {"name": FREE},
        "anyOf": [{"items": FREE}, {"additionalProperties": FREE}, {"prefixItems": [FREE]}],
        "not": FREE,
        "if": FREE,
    }
    limited = bounded(schema, 4096)
    assert json.dumps(limited).count("maxLength") == 4
    assert limited["not"] == limited["if"] == FREE


NAMED: JsonObject = {"type": "object", "properties": {"a": {"type": "integer"}}}


NAMED_BELOW: JsonObject = {"$ref": "#/$defs/n", "$defs": {"n": NAMED}}
CLOSED: tuple[tuple[JsonObject, bool], ...] = (
    (NAMED, True),
    ({**NAMED, "additionalProperties": True, "required": ["a"]}, True),
    ({**NAMED, "required": ["b"]}, False),
    ({**NAMED, "additionalProperties": {"type": "integer"}}, False),
    ({**NAMED, "patternProperties": {"^b": {}}}, False),
    ({**NAMED, "anyOf": [{"required": ["b"]}]}, False),
    ({"allOf": [NAMED, {"properties": {"b": {}}}]}, False),
    ({**NAMED_BELOW, "required": ["b"]}, False),
    (NAMED_BELOW, True),
    ({"oneOf": [NAMED], "properties": {"b": {}}, "required": ["b"]}, False),
    ({"oneOf": [NAMED]}, True),
    ({"type": "object"}, False),
)


@pytest.mark.parametrize(("schema", "closed"), CLOSED)
def test_an_object_names_no_more_than_it_lists_unless_it_may_have_to(
    schema: JsonObject, closed: bool
) -> None:
    assert ('"additionalProperties": false' in json.dumps(bounded(schema, 100))) is closed


def test_lists_within_lists_are_shorter() -> None:
    limited = bounded({"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}, 100)
    assert limited == {
        "type": "array",
        "maxItems": FEW,
        "items": {"type": "array", "maxItems": FEW - 1, "items": {"type": "boolean"}},
    }


def test_a_value_of_any_kind_is_one_without_parts() -> None:
    limited = bounded(
        {"properties": {"a": {"description": "any"}, "b": {"minimum": 3}}, "required": ["z"]}, 50
    )
    assert limited["properties"] == {
        "a": {"description": "any", **ANYTHING, "maxLength": 50, "minimum": -LARGEST, "maximum": LARGEST},
        "b": {"minimum": 3},
    }
    assert bounded({}, 50) == {}


def test_the_given_schema_stays_as_it_is() -> None:
    schema: JsonObject = {"properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    before = json.dumps(schema)
    bounded(schema, 100)
    assert json.dumps(schema) == before
