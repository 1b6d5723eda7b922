"""Generates minimal JSON that satisfies a schema, for the scripted engine."""

import math
from functools import reduce
from typing import cast

from engines.base import JsonObject, JsonValue
from engines.errors import UnsupportedFeatureError

MOST = 100_000
"""Characters of a string and items of a list that are made."""


def valid_instance(schema: JsonObject) -> JsonValue:
    """Returns a minimal value that ``schema`` accepts.

    Raises:
        UnsupportedFeatureError: the generated value does not validate (a pattern, ``not``), or has no end.
    """
    import jsonschema

    try:
        instance = _instance(schema, schema)
        jsonschema.validate(instance, schema)
    except RecursionError:
        raise UnsupportedFeatureError(
            "the scripted engine cannot satisfy a schema that needs itself", hint="script the reply"
        ) from None
    except jsonschema.ValidationError as error:
        raise UnsupportedFeatureError(
            f"the scripted engine cannot satisfy {error.validator!r}", hint="script the reply"
        ) from error
    return instance


def _instance(schema: JsonObject, root: JsonObject) -> JsonValue:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if options := cast("list[JsonValue]", schema.get("enum", [])):
        return options[0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            properties = as_object(schema.get("properties"))
            required = cast("list[str]", schema.get("required", []))
            return {key: _instance(as_object(properties.get(key)), root) for key in required}
        case "array":
            least = _least(schema, "minItems")
            return [_instance(as_object(schema.get("items")), root) for _ in range(least)]
        case "string":
            return "x" * _least(schema, "minLength")
        case "integer" | "number":
            return _number(schema)
        case _:
            return False if kind == "boolean" else None


def _least(schema: JsonObject, key: str) -> int:
    least = cast("int", schema.get(key, 0))
    if least > MOST:
        raise UnsupportedFeatureError(f"the scripted engine makes at most {MOST:,}, and {key} is {least:,}")
    return least


def _resolved(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Returns ``schema`` with local references resolved, ``allOf`` merged, and the first branch taken."""
    if isinstance(reference := schema.get("$ref"), str):
        steps = reference.removeprefix("#").strip("/").split("/")
        target = reduce(lambda at, step: as_object(at.get(step)), filter(None, steps), root)
        return _resolved(target, root)
    branches = cast("list[JsonObject]", schema.get("anyOf") or schema.get("oneOf") or [])[:1]
    parts = [*branches, *cast("list[JsonObject]", schema.get("allOf", []))]
    return reduce(lambda whole, part: whole | _resolved(part, root), parts, schema)


def _number(schema: JsonObject) -> JsonValue:
    least = cast("float", schema.get("minimum", 0))
    above = cast("float", schema.get("exclusiveMinimum", least - 1))
    most = cast("float", schema.get("maximum", math.inf))
    return min(max(0, least, above + 1), most)


def as_object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
