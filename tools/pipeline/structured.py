"""Validates answers against JSON Schema: what this module returns is valid, or it raises.

``format`` is validated in every draft that defines it. A schema comes from the caller and is checked on the
event loop, so the work is bounded: nothing is fetched, depth and references are limited, a ``pattern`` that
backtracks too long fails. Known limitation: a schema that refers back to itself in several ways at once
costs twice as much with each level of the answer.
"""

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError, InvalidArgumentsError

if TYPE_CHECKING:
    from jsonschema_rs import Resolver, Validator

MAX_DEPTH = 100
"""Levels of an answer; Python's own limit on JSON is about 1,000."""
MAX_EXPANDED = 100_000
"""Nodes of a schema with its references expanded."""
MAX_BACKTRACKS = 100_000
"""Backtracking steps in one match of a ``pattern``: about 10 ms."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def validator_of(schema: JsonObject) -> "Validator":
    """Returns a validator of ``schema``, after checking the schema itself; ``{}`` means any object.

    Raises:
        InvalidArgumentsError: the schema is no JSON Schema, refers to another document, or is too large.
    """
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(
            schema or {"type": "object"},
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS),
        )
        _check_size(schema, jsonschema_rs.Registry([("", schema)]).resolver(""))
    except jsonschema_rs.ValidationError as error:
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
            raise _bad_schema(f"refers to another document, or to nothing: {error.message}") from None
        where = _pointer(error.instance_path)
        raise _bad_schema(f"is not valid JSON Schema at {where}: {error.message}") from None
    except ValueError as error:
        raise _bad_schema(f"cannot be used: {error}") from None
    except RecursionError:
        raise _bad_schema("is nested too deeply") from None
    return validator


def _bad_schema(fault: str) -> InvalidArgumentsError:
    return InvalidArgumentsError(
        f"the schema {fault[:300]}",
        hint="put what it refers to under $defs, or use fields {name: description} instead",
    )


def _check_size(schema: JsonObject, resolver: "Resolver") -> None:
    """Raises ValueError if ``schema`` has too many nodes once its references are expanded."""
    import jsonschema_rs

    known: dict[str, int] = {}

    def behind(reference: JsonValue) -> int:
        if not isinstance(reference, str):
            return 0
        if reference not in known:
            known[reference] = 0  # for a reference back to this one
            # Not found: data that looks like a reference; the validator would have refused a real one.
            with suppress(jsonschema_rs.ReferencingError):
                known[reference] = parts(cast("JsonValue", resolver.lookup(reference).contents))
        return known[reference]

    def parts(node: JsonValue) -> int:
        if isinstance(node, dict):
            return 1 + sum(map(parts, node.values())) + behind(node.get("$ref"))
        return 1 + sum(map(parts, node)) if isinstance(node, list) else 1

    if parts(schema) > MAX_EXPANDED:
        raise ValueError(f"its references expand to more than {MAX_EXPANDED} nodes")


def parse_answer(text: str, validator: "Validator") -> JsonValue:
    """Returns the JSON value in ``text``, valid under ``validator``.

    Raises:
        InvalidAnswerError: describes the fault so that a model can repair it.
    """
    try:
        value = cast(
            "JsonValue",
            json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_each_once),
        )
    except ValueError as error:
        raise InvalidAnswerError(f"the answer is not JSON: {error}") from None
    except RecursionError:
        raise InvalidAnswerError("the answer is nested too deeply") from None
    check(value, validator)
    return value


def check(value: JsonValue, validator: "Validator") -> None:
    """Returns if ``value`` is valid.

    Raises:
        InvalidAnswerError: the value is invalid; the message contains the JSON pointer.
    """
    import jsonschema_rs

    if _depth(value) > MAX_DEPTH:
        raise InvalidAnswerError("the answer is nested too deeply")
    try:
        compact(value).encode()
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        where = _pointer(error.instance_path)
        raise InvalidAnswerError(f"the answer breaks the schema at {where}: {error.message[:200]}") from None
    except UnicodeEncodeError:
        raise InvalidAnswerError("the answer contains a lone surrogate") from None


def _pointer(path: Iterable[str | int]) -> str:
    return "/" + "/".join(map(str, path))


def _depth(value: JsonValue) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [child for node in level for child in _children(node)]
    return depth


def _children(node: JsonValue) -> Iterable[JsonValue]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _each_once(pairs: Sequence[tuple[str, JsonValue]]) -> JsonObject:
    """Returns the object; raises if it repeats a key, because one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"{twice!r} appears twice")
    return found


def compact(value: JsonValue) -> str:
    """Returns JSON in the fewest tokens: no spaces, no escapes that UTF-8 does not need."""
    return _COMPACT.encode(value)
