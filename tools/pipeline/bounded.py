"""Adds length limits to a JSON Schema so that a constrained answer ends within its token budget.

A small model often fills an unlimited string until it is cut, and cut JSON is useless. What is valid under
the bounded schema is valid under the given one, except for ``oneOf`` and the like: answers are validated
against the given schema in any case.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from engines.base import JsonObject, JsonValue

SHORTEST, LONGEST = 8, 200
"""Least and greatest limit of a string in characters, however many strings share the answer."""
CHARACTERS_PER_TOKEN = 1
"""Assumed by the limits. Prose has four, but digits take a token each, and digits are what repeats."""
FEW = 3
"""Items of a list after an answer was cut; one fewer in each nested list."""
LARGEST = 10**9
"""Limit of a number's magnitude: digits can repeat without end too."""

ONE = ("items", "additionalProperties")
SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
NAMED = ("properties", "patternProperties", "$defs", "definitions")
"""Keywords that contain subschemas; not ``not`` and ``if``, where a stricter schema allows more."""
EXACT = ("enum", "const", "format", "pattern")
"""Keywords of a string that ends by itself, or that a limit could make impossible."""
MEASURED = ("enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
"""Keywords of a number that is already limited or must stay unchanged."""
COMPOSED = ("allOf", "anyOf", "oneOf", "$ref", "if", "dependentSchemas", "patternProperties", "minProperties")
"""Keywords beside which an object may need properties that its own list does not name."""


ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})
ANYTHING: JsonObject = {"type": ["string", "number", "boolean", "null"]}
"""Replaces a schema that allows any value, which could nest for ever."""


def bounded(schema: JsonObject, max_tokens: int, items: int = FEW) -> JsonObject:
    """Returns ``schema`` with limits where it has none, so that an answer fits into about ``max_tokens``.

    ``items`` is the limit of lists.
    """
    nodes = _nodes(schema)
    strings = sum(_is_free_string(node) for node in nodes)
    budget = max_tokens * CHARACTERS_PER_TOKEN // max(1, strings)
    bounds = _Bounds(min(max(budget, SHORTEST), LONGEST), items, closing=not any(map(_shares, nodes)))
    return bounds.around(schema)


@dataclass(frozen=True, slots=True)
class _Bounds:
    characters: int
    items: int
    closing: bool

    def around(self, node: JsonObject) -> JsonObject:
        """Returns ``node`` and its subschemas with limits."""
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
    """Returns whether two parts of ``node`` describe one object; each must allow what the other names."""
    elsewhere = any(key in node for key in ("$ref", "anyOf", "oneOf"))
    return "allOf" in node or (elsewhere and ("required" in node or "properties" in node))


def _limit(node: JsonObject, least: str, most: str, ours: int) -> JsonValue:
    """Returns the schema's own limit, or ``ours`` where that is smaller and possible."""
    floor, ceiling = node.get(least), node.get(most)
    wanted = max(ours, floor) if isinstance(floor, int) else ours
    return min(wanted, ceiling) if isinstance(ceiling, int) else wanted


def _is_free_string(node: JsonObject) -> bool:
    return _may_be(node, "string") and not any(key in node for key in EXACT)


def _is_free_number(node: JsonObject) -> bool:
    number = _may_be(node, "number") or _may_be(node, "integer")
    return number and not any(key in node for key in MEASURED)


def _is_open(node: JsonObject) -> bool:
    """Returns whether an object names properties and allows optional others."""
    named, needed = node.get("properties"), node.get("required", [])
    if not (isinstance(named, dict) and named and isinstance(needed, list)):
        return False
    more = node.get("additionalProperties", True) is True
    return more and all(name in named for name in needed) and not any(key in node for key in COMPOSED)


def _may_be(node: JsonObject, kind: str) -> bool:
    declared = node.get("type")
    return declared == kind or (isinstance(declared, list) and kind in declared)


def _nodes(schema: JsonObject) -> list[JsonObject]:
    """Returns ``schema`` and every subschema in it."""
    found: list[JsonObject] = []

    def visit(node: JsonObject) -> JsonObject:
        found.append(node)
        return _within(node, visit)

    visit(schema)
    return found


def _within(node: JsonObject, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """Returns ``node`` with ``change`` applied to every direct subschema."""

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
