"""Extracted values with their position in the text, and records of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, Union

from engines.base import JsonValue


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate value, and the span of text it was read from."""

    value: JsonValue
    start: int = -1
    """Negative if the value was counted rather than read."""
    end: int = -1


Tree: TypeAlias = Union[Found, list["Tree"], dict[str, "Tree"]]  # noqa: UP007 (a string has no |)
"""A record whose leaves know their position."""


def plain(tree: Tree) -> JsonValue:
    """Returns the record without positions."""
    if isinstance(tree, Found):
        return tree.value
    if isinstance(tree, list):
        return [plain(child) for child in tree]
    return {key: plain(child) for key, child in tree.items()}


def spans(tree: Tree, pointer: str = "") -> Iterator[tuple[str, Found]]:
    """Yields every leaf with its JSON pointer."""
    if isinstance(tree, Found):
        yield pointer, tree
    elif isinstance(tree, list):
        for index, child in enumerate(tree):
            yield from spans(child, f"{pointer}/{index}")
    else:
        for key, child in tree.items():
            yield from spans(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
