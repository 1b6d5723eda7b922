"""A schema is a promise: what this module returns validates, or it raises."""

import json
from collections.abc import Iterable
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError, InvalidArgumentsError


def validator_of(schema: JsonObject) -> Validator:
    """A validator of ``schema``, whose own validity is checked.

    Raises:
        InvalidArgumentsError: the schema is not a JSON Schema, or refers to another document.
    """
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        raise InvalidArgumentsError(
            f"the schema is not valid JSON Schema at {where}: {error.message[:200]}",
            hint="fix the schema, or use fields {name: description} instead",
        ) from None
    if _outside_reference(schema):
        raise InvalidArgumentsError(
            f"the schema refers to another document: {_outside_reference(schema)}",
            hint="put what it refers to under $defs and refer to it by #/$defs/NAME",
        )
    return kind(schema)


def _outside_reference(node: JsonValue) -> str:
    """The first ``$ref`` that leaves the schema; nothing is ever fetched."""
    children: Iterable[JsonValue] = ()
    if isinstance(node, list):
        children = node
    elif isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and not target.startswith("#"):
            return target
        children = node.values()
    return next((found for child in children if (found := _outside_reference(child))), "")


def parse_answer(text: str, validator: Validator) -> JsonValue:
    """The JSON value in ``text``, valid under ``validator``.

    Raises:
        InvalidAnswerError: saying what is wrong in words a model can repair it by.
    """
    try:
        value = cast("JsonValue", json.loads(text, parse_constant=_refuse_constant))
    except ValueError as error:
        raise InvalidAnswerError(f"the answer is not JSON: {error}") from None
    check(value, validator)
    return value


def check(value: JsonValue, validator: Validator) -> None:
    """Return if ``value`` is valid.

    Raises:
        InvalidAnswerError: it is not; the message names the place.
        InvalidArgumentsError: the schema refers to something it does not hold.
    """
    try:
        fault: ValidationError | None = next(iter(validator.iter_errors(value)), None)
    except Unresolvable as error:
        raise InvalidArgumentsError(
            f"the schema refers to something it does not hold: {error}",
            hint="put what it refers to under $defs",
        ) from None
    if fault is not None:
        where = "/" + "/".join(map(str, fault.absolute_path))
        raise InvalidAnswerError(f"the answer breaks the schema at {where}: {fault.message[:200]}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def compact(value: JsonValue) -> str:
    """JSON in the fewest tokens: no spaces, no escapes that UTF-8 does not need."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
