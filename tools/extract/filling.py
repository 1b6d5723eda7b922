"""Fills an answer from values found by rules, lists its open fields, and corrects a model's answer."""

from collections.abc import Sequence

from engines.base import JsonObject, JsonValue
from tools.extract.fields import Field
from tools.pipeline.structured import compact
from tools.sources.evidence import EvidenceIndex

EMPTY: tuple[JsonValue, ...] = (None, "", [], {})


def filled(field: Field, found: JsonValue, *, nulls: bool) -> tuple[JsonValue, list[str]]:
    """Fills ``found`` with null or empty lists where the schema allows them; also returns open properties.

    Without ``nulls`` a null or empty property is open too. ``""`` stands for an open value that is no
    property.
    """
    if field.type != "object":
        value, is_open = _filled(field, found)
        return value, [""] if is_open else []
    values: JsonObject = {}
    left: list[str] = []
    known = found if isinstance(found, dict) else {}
    for part in field.parts:
        value, is_open = _filled(part, known.get(part.name))
        if is_open or (not nulls and value in EMPTY):
            left.append(part.name)
        if not is_open and (value is not None or part.nullable):
            values[part.name] = value
    return values, left


def _filled(field: Field, found: JsonValue) -> tuple[JsonValue, bool]:
    """Returns the value, and whether a required one is missing."""
    if field.type == "array":
        items = [_filled(field.parts[0], one) for one in found] if isinstance(found, list) else []
        kept: list[JsonValue] = [value for value, is_open in items if not is_open]
        return kept, field.required and not kept and bool(field.schema.get("minItems"))
    if field.type == "object" and (found or (field.required and not field.nullable)):
        value, left = filled(field, found, nulls=True)
        must = {part.name for part in field.parts if part.required}
        return value, bool(must & set(left))
    return found, found is None and field.required and not field.nullable


def only(schema: JsonObject, names: Sequence[str]) -> JsonObject:
    """Returns ``schema`` with only these properties, all required."""
    properties = schema.get("properties")
    if names == [""] or not isinstance(properties, dict):
        return schema
    kept = [name for name in properties if name in names]
    return {**schema, "properties": {name: properties[name] for name in kept}, "required": list(kept)}


def completed(found: JsonValue, answer: JsonValue, left: Sequence[str]) -> JsonValue:
    """Returns ``found`` with the open properties from ``answer``; the order of properties is unspecified."""
    if not isinstance(found, dict) or not isinstance(answer, dict):
        return answer
    return {**{key: value for key, value in found.items() if key not in left}, **answer}


def corrected(answer: JsonValue, found: JsonValue, index: EvidenceIndex) -> JsonValue:
    """Returns a model's answer with unsupported values and shortened lists replaced by the rules' values."""
    if isinstance(answer, dict) and isinstance(found, dict):
        return {key: corrected(value, found.get(key), index) for key, value in answer.items()}
    if isinstance(answer, list) and isinstance(found, list):
        supported = [value for value in answer if isinstance(value, dict) or value not in found]
        return answer if supported or len(answer) >= len(found) else found
    if found in EMPTY or answer == found or isinstance(answer, (dict, list, bool)) or answer is None:
        return answer
    return answer if index.find(answer) else found


def merged(answers: Sequence[JsonValue]) -> JsonValue:
    """Merges the records of all chunks: the first value that is not empty; lists are joined."""
    first, *rest = answers
    for answer in rest:
        first = _merge(first, answer)
    return first


def _merge(kept: JsonValue, new: JsonValue) -> JsonValue:
    if isinstance(kept, dict) and isinstance(new, dict):
        return {key: _merge(kept.get(key), new.get(key)) for key in {**kept, **new}}
    if isinstance(kept, list) and isinstance(new, list):
        return list({compact(value): value for value in [*kept, *new]}.values())
    return new if kept in EMPTY else kept
