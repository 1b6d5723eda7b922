"""What a text must be, as a grammar of llguidance, which llama.cpp here was built with.

llama.cpp's own converter lets a model put its JSON between ``` marks, or fill up with white space
after it, a third of the tokens on small models. And it drops more of JSON Schema silently.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import cast

from engines.base import JsonObject, JsonValue

_HEADER = "%llguidance {}\nstart: "
_JSON_STARTS = tuple('{["-0123456789tfn')
_STYLE: JsonObject = {
    # As most JSON in a model's training; without the spaces small models go astray.
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # What the grammar cannot express is left to whoever validates the answer.
    "lenient": True,
    "coerce_one_of": True,
}

_BEYOND_REGULAR = re.compile(r"\(\?<?[=!]|\\[bB1-9]")
"""Lookaround, word borders and references back to a group."""


def of_choices(choices: Sequence[str]) -> str:
    """The text is one of ``choices``. One terminal, for as rules there may only be 2,000."""
    return f"{_HEADER}CHOICE\nCHOICE: {' | '.join(map(json.dumps, choices))}"


def of_schema(schema: JsonObject) -> str:
    """The text is JSON that satisfies ``schema``, as far as a grammar can tell."""
    meant: dict[str, JsonValue] = schema or {"type": "object"}
    return f"{_HEADER}%json {json.dumps({**meant, 'x-guidance': _STYLE})}"


def is_broken_by(text: str) -> bool:
    """Whether ``text`` cannot be the start of an answer under ``of_schema``.

    llama.cpp generates freely when llguidance refuses a grammar: a pattern with lookaround, an
    empty ``enum``.
    """
    return not text.startswith(_JSON_STARTS)


def suspects(schema: JsonValue, at: str = "") -> Iterator[str]:
    """The keywords of ``schema`` that llguidance is known to refuse, each with its JSON pointer.

    It says which one only to llama.cpp's log.
    """
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from suspects(each, f"{at}/{index}")
    if not isinstance(schema, dict):
        return
    patterns = [schema.get("pattern"), *cast("JsonObject", schema.get("patternProperties") or {})]
    if any(isinstance(pattern, str) and _BEYOND_REGULAR.search(pattern) for pattern in patterns):
        yield f"pattern at {at or '/'}"
    if schema.get("enum") == []:
        yield f"enum at {at or '/'}"
    if schema.get("additionalProperties") is False and schema.get("minProperties", 0) not in (0, 1):
        yield f"minProperties at {at or '/'}"
    for key, value in schema.items():
        if key not in ("enum", "const", "default", "examples"):
            yield from suspects(value, f"{at}/{key}")
