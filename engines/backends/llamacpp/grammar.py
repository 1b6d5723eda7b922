"""Grammars for constrained decoding, in the format of llguidance, which llama.cpp is built with.

llama.cpp's own converter allows ``` fences and trailing white space around the JSON, which small models
generate, and silently ignores more of JSON Schema.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import cast

from engines.base import JsonObject, JsonValue

_HEADER = "%llguidance {}\nstart: "
_JSON_STARTS = tuple('{["-0123456789tfn')
_STYLE: JsonObject = {
    # As most JSON in training data; small models do worse without the spaces.
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # The caller validates what the grammar cannot express.
    "lenient": True,
    "coerce_one_of": True,
}

_BEYOND_REGULAR = re.compile(r"\(\?<?[=!]|\\[bB1-9]")
"""Matches lookaround, word boundaries and back-references."""


def of_choices(choices: Sequence[str]) -> str:
    """Returns a grammar for one of ``choices``; one terminal, because rules are limited to 2,000."""
    return f"{_HEADER}CHOICE\nCHOICE: {' | '.join(map(json.dumps, choices))}"


def of_schema(schema: JsonObject) -> str:
    """Returns a grammar for JSON that satisfies ``schema``, as far as a grammar can express it."""
    effective: dict[str, JsonValue] = schema or {"type": "object"}
    return f"{_HEADER}%json {json.dumps({**effective, 'x-guidance': _STYLE})}"


def is_violated_by(text: str) -> bool:
    """Whether ``text`` cannot be the start of an answer under ``of_schema``.

    llama.cpp generates freely when llguidance refuses a grammar: a pattern with lookaround, an
    empty ``enum``.
    """
    return not text.startswith(_JSON_STARTS)


def unsupported_keywords(schema: JsonValue, at: str = "") -> Iterator[str]:
    """Yields the keywords of ``schema`` that llguidance is known to reject, with their JSON pointers.

    llguidance reports the keyword only in llama.cpp's log.
    """
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from unsupported_keywords(each, f"{at}/{index}")
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
            yield from unsupported_keywords(value, f"{at}/{key}")
