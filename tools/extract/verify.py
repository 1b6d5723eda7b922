"""Checks every value of an answer against its source: what the source does not hold becomes null."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError
from tools.extract.fields import Field
from tools.pipeline.structured import check, validator_of

if TYPE_CHECKING:
    from jsonschema_rs import Validator

NULLS = frozenset(["null", "none", "n/a"])
"""What models write where they mean null."""


@dataclass(frozen=True, slots=True)
class Lines:
    """First and last line of a value or record in its file; ``path`` is empty for a text that was sent."""

    path: str
    first: int
    last: int

    def as_json(self, *, named: bool) -> JsonValue:
        """Returns a line as its number, or a range as ``12-14``; after the path if ``named``."""
        if self.first == self.last and not named:
            return self.first
        lines = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.path}:{lines}" if named else lines


Find: TypeAlias = Callable[[str | float], Lines | None]
"""Returns the lines that hold a value, or ``None``."""


@dataclass(frozen=True, slots=True)
class Verified:
    value: JsonValue
    evidence: dict[str, Lines] = field(default_factory=dict[str, Lines])
    """By JSON pointer into ``value``, of a value or of a whole record."""
    unsupported: list[tuple[str, JsonValue]] = field(default_factory=list[tuple[str, JsonValue]])
    """JSON pointer and value of what the answer said and the source does not hold.

    The pointer ends in ``-`` for what was left out of a list.
    """


@dataclass(frozen=True, slots=True)
class _Leaf:
    pointer: str
    path: str
    """The pointer with ``*`` for every index."""
    value: str | float
    counts: bool
    """Whether it is a number that is the length of a list in the same object."""


@dataclass(frozen=True)
class Verifier:
    """Verifies answers under ``schema``; ``shape`` are its fields, if it can be read as plain records.

    Values of an enumeration and booleans are judgements, and a number may be the count of a list beside it:
    these need not stand in the source.
    """

    schema: JsonObject
    shape: Field | None

    def verified(self, answer: JsonValue, find: Find) -> Verified:
        """Returns ``answer`` with unsupported values set to null, or left out of their list.

        Where the schema allows neither, they stay. A list's record of which nothing is supported is left
        out, too.
        """
        found: dict[str, Lines] = {}
        absent: dict[str, _Leaf] = {}
        for leaf in _leaves(answer):
            lines = find(leaf.value)
            if lines is not None:
                found[leaf.pointer] = lines
            elif not leaf.counts and leaf.path not in self._judged:
                absent[leaf.pointer] = leaf
        rebuilding = _Rebuilding(found, absent, self._nullable(answer, absent))
        value = rebuilding.built(answer)
        try:
            check(value, self._validator)
        except InvalidAnswerError:
            return Verified(answer, found, [(pointer, leaf.value) for pointer, leaf in absent.items()])
        return Verified(value, rebuilding.evidence, rebuilding.unsupported)

    @cached_property
    def _validator(self) -> "Validator":
        return validator_of(self.schema)

    @cached_property
    def _judged(self) -> frozenset[str]:
        return frozenset(_enumerations(self.shape, "")) if self.shape else frozenset()

    def _nullable(self, answer: JsonValue, absent: dict[str, _Leaf]) -> frozenset[str]:
        """Returns the paths at which null is valid, by trial."""
        one_of_each = {leaf.path: leaf.pointer for leaf in absent.values()}

        def allowed(pointer: str) -> bool:
            try:
                check(_with_null(answer, pointer, ""), self._validator)
            except InvalidAnswerError:
                return False
            return True

        return frozenset(path for path, pointer in one_of_each.items() if allowed(pointer))


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    found: dict[str, Lines]
    absent: dict[str, _Leaf]
    nullable: frozenset[str]
    evidence: dict[str, Lines] = field(default_factory=dict[str, Lines])
    unsupported: list[tuple[str, JsonValue]] = field(default_factory=list[tuple[str, JsonValue]])

    def built(self, node: JsonValue, old: str = "", new: str = "") -> JsonValue:
        """Returns the answer's ``node`` at pointer ``old`` as it will stand at ``new``."""
        if isinstance(node, dict):
            return {
                key: self.built(child, _joined(old, key), _joined(new, key)) for key, child in node.items()
            }
        if isinstance(node, list):
            kept: list[JsonValue] = []
            for index, item in enumerate(node):
                pointer = f"{old}/{index}"
                if invented := self._invented(item, pointer):
                    self.unsupported.extend((f"{new}/-", leaf.value) for leaf in invented)
                else:
                    kept.append(self.built(item, pointer, f"{new}/{len(kept)}"))
            return kept
        if old in self.found:
            self.evidence[new] = self.found[old]
        leaf = self.absent.get(old)
        if leaf is None:
            return node
        is_null = leaf.path in self.nullable
        if not (is_null and str(leaf.value).lower() in NULLS):
            self.unsupported.append((new, leaf.value))
        return None if is_null else node

    def _invented(self, item: JsonValue, pointer: str) -> list[_Leaf]:
        """Returns the unsupported values of a list's item in which nothing is supported."""
        pointers = [leaf.pointer for leaf in _leaves(item, pointer)]
        if any(pointer in self.found for pointer in pointers):
            return []
        return [self.absent[pointer] for pointer in pointers if pointer in self.absent]


def _leaves(node: JsonValue, pointer: str = "", path: str = "", counts: bool = False) -> Iterator[_Leaf]:
    """Yields every string and number; null, booleans and empty strings say nothing that could be checked."""
    if isinstance(node, dict):
        lengths = {len(child) for child in node.values() if isinstance(child, list)}
        for key, child in node.items():
            is_count = isinstance(child, int) and child in lengths
            yield from _leaves(child, _joined(pointer, key), _joined(path, key), is_count)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _leaves(child, f"{pointer}/{index}", f"{path}/*")
    elif not isinstance(node, bool) and node is not None and str(node).strip():
        yield _Leaf(pointer, path, node, counts)


def _joined(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def _with_null(node: JsonValue, pointer: str, here: str) -> JsonValue:
    if here == pointer:
        return None
    if not pointer.startswith(here + "/"):
        return node
    if isinstance(node, dict):
        return {key: _with_null(child, pointer, _joined(here, key)) for key, child in node.items()}
    if isinstance(node, list):
        return [_with_null(child, pointer, f"{here}/{index}") for index, child in enumerate(node)]
    return node


def _enumerations(shape: Field, path: str) -> Iterator[str]:
    """Yields the paths of fields whose values the schema lists."""
    if shape.enum:
        yield path
    for part in shape.parts:
        yield from _enumerations(part, f"{path}/*" if shape.type == "array" else _joined(path, part.name))
