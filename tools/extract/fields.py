"""Reads a JSON Schema as a tree of fields: their names, types and descriptions.

Supports schemas of plain records: objects with named properties, arrays of one kind of item, leaves of one
type that may be null. Other keywords are left to validation; a schema that cannot be read this way
(alternatives, open objects, references to itself) gives ``None``.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, cast

from engines.base import JsonObject, JsonValue
from tools.sources.words import COMMON, words

Type: TypeAlias = Literal["object", "array", "string", "integer", "number", "boolean"]
TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean"})
MAX_DEPTH = 8
"""Levels of a record; deeper schemas usually refer back to themselves."""


@dataclass(frozen=True)
class Field:
    name: str
    schema: JsonObject
    type: Type
    nullable: bool = False
    required: bool = True
    parts: tuple["Field", ...] = ()
    """The properties of an object; the one item of an array."""

    @property
    def about(self) -> str:
        parts = (self.schema.get("title"), self.schema.get("description"))
        return " ".join(text for text in parts if isinstance(text, str))

    @property
    def enum(self) -> list[JsonValue]:
        if "const" in self.schema:
            return [self.schema["const"]]
        values = self.schema.get("enum")
        return [value for value in values if value is not None] if isinstance(values, list) else []

    @property
    def format(self) -> str:
        return str(self.schema.get("format", ""))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the name: ``invoiceNumber`` and ``invoice_number`` are two."""
        return words(self.name)

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Words of the description that are not in the name."""
        return tuple(dict.fromkeys(w for w in words(self.about) if w not in COMMON and w not in self.words))


def read(schema: JsonObject) -> Field | None:
    """Returns the fields of ``schema``, or ``None`` if it cannot be read as plain records."""
    try:
        return _read(schema, schema, "", required=True, depth=0)
    except _UnreadableError:
        return None


class _UnreadableError(Exception):
    pass


def _read(node: JsonValue, root: JsonObject, name: str, *, required: bool, depth: int) -> Field:
    schema, nullable = _plain(node, root)
    if depth > MAX_DEPTH:
        raise _UnreadableError
    kind, may_be_null = _type(schema)
    field = Field(name, schema, kind, nullable or may_be_null, required)
    if kind == "object":
        return replace(field, parts=_properties(schema, root, depth))
    if kind == "array":
        # An item is known by its array's name and description.
        item = _read(schema.get("items"), root, name, required=True, depth=depth + 1)
        return replace(field, parts=(item if item.about else _described(item, field.about),))
    return field


def _properties(schema: JsonObject, root: JsonObject, depth: int) -> tuple[Field, ...]:
    properties, required = schema.get("properties"), schema.get("required", [])
    if (
        not isinstance(properties, dict)
        or not isinstance(required, list)
        or not set(required) <= set(properties)
    ):
        raise _UnreadableError
    return tuple(
        _read(value, root, key, required=key in required, depth=depth + 1)
        for key, value in properties.items()
    )


def _described(item: Field, about: str) -> Field:
    return replace(item, schema={**item.schema, "description": about}) if about else item


def _plain(node: JsonValue, root: JsonObject) -> tuple[JsonObject, bool]:
    """Resolves references and "or null"; returns the schema, and whether null was an alternative."""
    nullable = False
    for _ in range(MAX_DEPTH):
        if not isinstance(node, dict):
            raise _UnreadableError
        reference = node.get("$ref")
        alternatives = next((node[key] for key in ("anyOf", "oneOf", "allOf") if key in node), None)
        if isinstance(reference, str):
            node = {**_pointed(root, reference), **{k: v for k, v in node.items() if k != "$ref"}}
        elif isinstance(alternatives, list):
            left = [one for one in alternatives if one != {"type": "null"}]
            if len(left) != 1 or not isinstance(left[0], dict):
                raise _UnreadableError
            nullable = nullable or len(left) < len(alternatives)
            rest = {k: v for k, v in node.items() if k not in ("anyOf", "oneOf", "allOf")}
            node = {**rest, **left[0]}
        else:
            return node, nullable
    raise _UnreadableError


def _pointed(root: JsonObject, reference: str) -> JsonObject:
    node: JsonValue = root
    for key in reference.removeprefix("#").split("/")[1:]:
        node = node.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise _UnreadableError
    return node


def _type(schema: JsonObject) -> tuple[Type, bool]:
    declared = schema.get("type")
    if declared is None and schema.get("properties"):
        declared = "object"
    if declared is None and ("enum" in schema or "const" in schema):
        declared = "string"
    types = declared if isinstance(declared, list) else [declared]
    kinds = [kind for kind in types if kind != "null"]
    if len(kinds) != 1 or kinds[0] not in TYPES:
        raise _UnreadableError
    return cast("Type", kinds[0]), len(kinds) < len(types)
