"""Values to bytes: compact JSON in UTF-8, and server-sent events of it."""

from json import JSONEncoder

from pydantic_core import PydanticSerializationError, to_json

from engines.base import JsonValue

json_text = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Compact JSON; NaN is refused, it is not JSON."""


def utf8(text: str) -> bytes:
    """JSON text as bytes.

    A lone surrogate (half an emoji, cut by an engine between two pieces) has no UTF-8; Python's
    backslash escape of it is JSON's too.
    """
    return text.encode("utf-8", "backslashreplace")


def json_bytes(value: JsonValue) -> bytes:
    """As ``utf8(json_text(value))`` in a seventh of the time; a number that is none becomes null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # a lone surrogate
        return utf8(json_text(value))


def sse(value: JsonValue) -> bytes:
    """``value`` as one server-sent event."""
    return utf8(f"data: {json_text(value)}\n\n")
