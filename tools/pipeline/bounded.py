"""A schema under which an answer comes to its end.

A small model asked for a string without a limit often writes until it is cut, and JSON cut in the
middle is worth nothing. Whatever is valid under the bounded schema is valid under the given one,
save for ``oneOf`` and the like: answers are checked against the given one all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from engines.base import JsonObject, JsonValue

SHORTEST, LONGEST = 8, 200
"""Characters of a string, however many or few of them share the answer."""
CHARACTERS_PER_TOKEN = 1
"""Of room an answer's strings share. Prose has four, but a digit is a token, and digits are what repeats."""
MANY, FEW = 20, 3
"""Items of a list, at first and after an answer was cut; one fewer in each list within a list."""
LARGEST = 10**9
"""Of a number, in either direction: digits go on without end too."""

ONE = ("items", "additionalProperties")
SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
NAMED = ("properties", "patternProperties", "$defs", "definitions")
"""Where schemas stand within a schema; not under ``not`` and ``if``, where less allows more."""
EXACT = ("enum", "const", "format", "pattern")
"""Keywords of a string that ends by itself, or that a limit could make impossible."""
MEASURED = ("enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
"""Keywords of a number that is limited, or that is left as it is."""
COMPOSED = ("allOf", "anyOf", "oneOf", "$ref", "if", "dependentSchemas", "patternProperties", "minProperties")
"""Keywords beside which an object may need properties that its own list does not name."""


ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})
ANYTHING: JsonObject = {"type": ["string", "number", "boolean", "null"]}
"""Instead of a value that may be whatever it likes, and so go on within itself for ever."""


def bounded(schema: JsonObject, max_tokens: int, items: int = FEW) -> JsonObject:
    """``schema`` with limits where it has none, so that an answer fits into about ``max_tokens``.

    ``items`` is the limit of lists.
    """
    nodes = _nodes(schema)
    strings = sum(_is_free_string(node) for node in nodes)
    room = max_tokens * CHARACTERS_PER_TOKEN // max(1, strings)
    bounds = _Bounds(min(max(room, SHORTEST), LONGEST), items, closing=not any(map(_shares, nodes)))
    return bounds.around(schema)


@dataclass(frozen=True, slots=True)
class _Bounds:
    characters: int
    items: int
    closing: bool

    def around(self, node: JsonObject) -> JsonObject:
        """``node`` and the schemas in it with limits."""
        lists = _may_be(node, "array")
        inner = replace(self, items=max(1, self.items - 1)) if lists else self
        limited = _within(node, inner.inside)
        if lists:
            limited["maxItems"] = _limit(node, "minItems", "maxItems", self.items)
        if _is_free_string(node):
            limited["maxLength"] = _limit(node, "minLength", "maxLength", self.characters)
        if _is_free_number(node):
            limited |= {"minimum": -LARGEST, "maximum": LARGEST}
        if self.closing and _is_open(node):
            limited["additionalProperties"] = False
        return limited

    def inside(self, node: JsonObject) -> JsonObject:
        return self.around(ANYTHING | node if ANNOTATIONS.issuperset(node) else node)


def _shares(node: JsonObject) -> bool:
    """Whether an object is described in two places: what one names, the other must let pass."""
    elsewhere = any(key in node for key in ("$ref", "anyOf", "oneOf"))
    return "allOf" in node or (elsewhere and ("required" in node or "properties" in node))


def _limit(node: JsonObject, least: str, most: str, ours: int) -> JsonValue:
    """The schema's own limit, or ``ours`` where that is less and possible."""
    floor, ceiling = node.get(least), node.get(most)
    wanted = max(ours, floor) if isinstance(floor, int) else ours
    return min(wanted, ceiling) if isinstance(ceiling, int) else wanted


def _is_free_string(node: JsonObject) -> bool:
    return _may_be(node, "string") and not any(key in node for key in EXACT)


def _is_free_number(node: JsonObject) -> bool:
    number = _may_be(node, "number") or _may_be(node, "integer")
    return number and not any(key in node for key in MEASURED)


def _is_open(node: JsonObject) -> bool:
    """Whether an object names properties, and may have others that it does not need."""
    named, needed = node.get("properties"), node.get("required", [])
    if not (isinstance(named, dict) and named and isinstance(needed, list)):
        return False
    more = node.get("additionalProperties", True) is True
    return more and all(name in named for name in needed) and not any(key in node for key in COMPOSED)


def _may_be(node: JsonObject, kind: str) -> bool:
    said = node.get("type")
    return said == kind or (isinstance(said, list) and kind in said)


def _nodes(schema: JsonObject) -> list[JsonObject]:
    """``schema`` and every schema in it."""
    found: list[JsonObject] = []

    def visit(node: JsonObject) -> JsonObject:
        found.append(node)
        return _within(node, visit)

    visit(schema)
    return found


def _within(node: JsonObject, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """``node`` with every schema directly in it changed."""

    def changed(value: JsonValue) -> JsonValue:
        return change(value) if isinstance(value, dict) else value

    made = dict(node)
    for key in ONE:
        if key in node:
            made[key] = changed(node[key])
    for key in SEVERAL:
        several = node.get(key)
        if isinstance(several, list):
            made[key] = [changed(each) for each in several]
    for key in NAMED:
        named = node.get(key)
        if isinstance(named, dict):
            made[key] = {name: changed(each) for name, each in named.items()}
    return made
