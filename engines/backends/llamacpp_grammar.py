"""What a text must be, as a grammar of llguidance, which llama.cpp here was built with.

llama.cpp's own converter lets a model put its JSON between ``` marks, or fill up with white space
after it, a third of the tokens on small models. And it drops more of JSON Schema silently.
"""

import json
from collections.abc import Sequence

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
