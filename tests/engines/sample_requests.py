"""Sample requests for tests of the engines."""

from typing import Any

from engines.base import JsonObject, Message, Request

WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome"]}}, "required": ["city"]},
    },
}


def ask(text: str = "Tell me about the sea.", **fields: Any) -> Request:
    fields.setdefault("max_tokens", 24)
    return Request((Message("user", text),), **fields)
