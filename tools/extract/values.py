"""A value and where it was read, and records of such values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, Union

from engines.base import JsonValue


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate: the value, and the characters of the text it was read from."""

    value: JsonValue
    start: int = -1
    """Negative where the value was counted, not read."""
    end: int = -1


Tree: TypeAlias = Union[Found, list["Tree"], dict[str, "Tree"]]  # noqa: UP007 (a string has no |)
"""A record whose leaves know where they stand."""


def plain(tree: Tree) -> JsonValue:
    """The record alone."""
    if isinstance(tree, Found):
        return tree.value
    if isinstance(tree, list):
        return [plain(child) for child in tree]
    return {key: plain(child) for key, child in tree.items()}


def spans(tree: Tree, pointer: str = "") -> Iterator[tuple[str, Found]]:
    """Every leaf with its JSON pointer."""
    if isinstance(tree, Found):
        yield pointer, tree
    elif isinstance(tree, list):
        for index, child in enumerate(tree):
            yield from spans(child, f"{pointer}/{index}")
    else:
        for key, child in tree.items():
            yield from spans(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
