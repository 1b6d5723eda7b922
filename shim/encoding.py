"""Encodes values as compact JSON in UTF-8 and as server-sent events."""

from json import JSONEncoder

from pydantic_core import PydanticSerializationError, to_json

from engines.base import JsonValue

json_text = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Returns compact JSON; raises ValueError for NaN."""


def utf8(text: str) -> bytes:
    """Encodes JSON text as UTF-8; lone surrogates become JSON escapes.

    An engine may split an emoji between two chunks. Python's backslash escape is valid JSON too.
    """
    return text.encode("utf-8", "backslashreplace")


def json_bytes(value: JsonValue) -> bytes:
    """Encodes ``value`` as JSON; NaN and infinity become null. Faster than ``utf8(json_text(value))``."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # a lone surrogate
        return utf8(json_text(value))


def sse(value: JsonValue) -> bytes:
    """Encodes ``value`` as one server-sent event."""
    return utf8(f"data: {json_text(value)}\n\n")
