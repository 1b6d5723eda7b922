"""From what rules found to an answer under the schema, and back: what is left to ask, what to mend."""

from collections.abc import Sequence

from engines.base import JsonObject, JsonValue
from tools.extract.fields import Field
from tools.pipeline.structured import compact
from tools.sources.evidence import Places

EMPTY: tuple[JsonValue, ...] = (None, "", [], {})


def filled(field: Field, found: JsonValue, *, nulls: bool) -> tuple[JsonValue, list[str]]:
    """``found`` with null, or an empty list, where the schema takes it; and the properties still open.

    Without ``nulls`` a property left null or empty counts as open. What is open and no property is ``""``.
    """
    if field.type != "object":
        value, is_open = _filled(field, found)
        return value, [""] if is_open else []
    values: JsonObject = {}
    left: list[str] = []
    told = found if isinstance(found, dict) else {}
    for part in field.parts:
        value, is_open = _filled(part, told.get(part.name))
        if is_open or (not nulls and value in EMPTY):
            left.append(part.name)
        if not is_open and (value is not None or part.nullable):
            values[part.name] = value
    return values, left


def _filled(field: Field, found: JsonValue) -> tuple[JsonValue, bool]:
    """The value, and whether one that must be there is missing."""
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
    """``schema`` with no properties but these, all to be given."""
    properties = schema.get("properties")
    if names == [""] or not isinstance(properties, dict):
        return schema
    kept = [name for name in properties if name in names]
    return {**schema, "properties": {name: properties[name] for name in kept}, "required": list(kept)}


def completed(found: JsonValue, answer: JsonValue, left: Sequence[str]) -> JsonValue:
    """``found`` with the open properties as answered, in the order of neither: validation asks for none."""
    if not isinstance(found, dict) or not isinstance(answer, dict):
        return answer
    return {**{key: value for key, value in found.items() if key not in left}, **answer}


def mended(answer: JsonValue, found: JsonValue, places: Places) -> JsonValue:
    """A model's answer with what it made up, and the lists it cut short, as rules found them."""
    if isinstance(answer, dict) and isinstance(found, dict):
        return {key: mended(value, found.get(key), places) for key, value in answer.items()}
    if isinstance(answer, list) and isinstance(found, list):
        told = [value for value in answer if isinstance(value, dict) or value not in found]
        return answer if told or len(answer) >= len(found) else found
    if found in EMPTY or answer == found or isinstance(answer, (dict, list, bool)) or answer is None:
        return answer
    return answer if places.find(answer) else found


def merged(answers: Sequence[JsonValue]) -> JsonValue:
    """One record out of those of all chunks: the first value that is not empty, lists joined."""
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
