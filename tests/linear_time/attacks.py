"""Texts on which a regular expression may backtrack, made from its own syntax tree.

Before each repeat stands the shortest text that reaches it; what is repeated is a character of every set of
characters that the pattern tells apart, the body of the repeat, and all that stands before it.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

# The only parser that knows all of the syntax; private, but the same in Python 3.11 to 3.14.
_parser: Any = importlib.import_module("re._parser")
_op: Any = importlib.import_module("re._constants")

Node: TypeAlias = tuple[Any, Any]
Nodes: TypeAlias = Sequence[Node]

REPEATS = (_op.MAX_REPEAT, _op.MIN_REPEAT, _op.POSSESSIVE_REPEAT)
SETS = (_op.LITERAL, _op.NOT_LITERAL, _op.IN, _op.ANY, _op.CATEGORY)
LOOKS = (_op.ASSERT, _op.ASSERT_NOT)
LONG = 50
"""Repeats of which a pattern counts as unlimited."""
FEW = 6
"""Different characters of which all pairs are repeated."""
USUAL = "aA0.,:-_/'\"()[]{}<>=#*`\\é…\0!|+~@% \t\n1xeT"

CATEGORIES: Mapping[Any, Callable[[str], bool]] = {
    _op.CATEGORY_DIGIT: str.isdecimal,
    _op.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    _op.CATEGORY_SPACE: str.isspace,
    _op.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    _op.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    _op.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}


@dataclass(frozen=True, slots=True)
class Attack:
    head: str
    repeated: str
    tail: str

    def text(self, length: int) -> str:
        return self.head + (self.repeated * (length // len(self.repeated) + 1))[:length] + self.tail


def attacks(pattern: str, flags: int, *, lines: bool) -> Iterator[Attack]:
    """Yields the attacks on ``pattern``, without line ends if it only sees ``lines``."""
    for head, repeated in _Attacked(pattern, flags).pairs():
        if lines and "\n" in head + repeated:
            continue
        for tail in ("", "\0" if lines else "\n\0"):
            yield Attack(head, repeated, tail)


class _Attacked:
    def __init__(self, pattern: str, flags: int) -> None:
        self._flags = flags
        self._tree: Nodes = _parser.parse(pattern, flags)
        sets = list({repr(node): node for node in _sets(self._tree)}.values())
        own = [char for op, value in sets for char in _named(op, value)]
        literals = {chr(value) for op, value in sets if op is _op.LITERAL}
        alike: dict[tuple[bool, ...], list[str]] = {}
        for char in dict.fromkeys([*USUAL, *own]):
            alike.setdefault(
                tuple(self._fits(char, node) for node in sets if node[0] is not _op.LITERAL), []
            ).append(char)
        self._different = [chars[0] for chars in alike.values()]
        self._known = [char for chars in alike.values() for char in chars]
        self._literals = sorted(literals)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yields what stands at the beginning, and what is repeated after it."""
        found: dict[tuple[str, str], None] = {}
        alone = [*self._different, *self._literals]
        if len(self._different) <= FEW:
            alone += [one + other for one, other in product(self._different, repeat=2) if one != other]
        for whole in (self._sample(self._tree), self._sample(self._tree, 1)):
            alone += [cut + end for cut in (whole, whole[:-1]) for end in ("", "\n", " ")]
        for heads, body in self._repeats(self._tree, [""]):
            for head in heads:
                for repeated in self._bodies(body):
                    found[head, repeated] = None
                    alone.append(head + repeated)
                alone += [head, f"{head}\n"]
        found |= {("", repeated): None for repeated in alone if repeated}
        yield from found

    def _fits(self, char: str, node: Node) -> bool:
        op, value = node
        if op is _op.LITERAL:
            return ord(char) == value or (
                bool(self._flags & re.IGNORECASE) and char.lower() == chr(value).lower()
            )
        if op is _op.NOT_LITERAL:
            return ord(char) != value
        if op is _op.ANY:
            return char != "\n" or bool(self._flags & re.DOTALL)
        if op is _op.CATEGORY:
            return CATEGORIES[value](char)
        if op is _op.RANGE:
            return value[0] <= ord(char) <= value[1]
        return any(self._fits(char, each) for each in value if each[0] is not _op.NEGATE) != (
            value[0][0] is _op.NEGATE
        )

    def _sample(self, tree: Nodes, least: int = 0) -> str:
        """Returns a text of ``tree``, with each repeat as short as may be, or ``least`` times."""
        return "".join(self._one(node, least) for node in tree)

    def _one(self, node: Node, least: int) -> str:
        op, value = node
        if op in SETS:
            return (
                chr(value) if op is _op.LITERAL else next((c for c in self._known if self._fits(c, node)), "")
            )
        if op in REPEATS:
            return self._sample(value[2], least) * max(value[0], min(least, value[1]))
        return "" if op in LOOKS else next((self._sample(each, least) for each in _children(node)), "")

    def _bodies(self, tree: Nodes) -> Iterator[str]:
        """Yields different texts of a repeat's body."""
        only = tree[0] if len(tree) == 1 else None
        if only and only[0] in SETS:
            yield from (char for char in self._different if self._fits(char, only))
        elif only and only[0] not in REPEATS:
            for each in _children(only):
                yield from self._bodies(each)
        yield from filter(None, (self._sample(tree), self._sample(tree, 1)))

    def _repeats(self, tree: Nodes, heads: list[str]) -> Iterator[tuple[list[str], Nodes]]:
        """Yields every long repeat's body, and texts that lead to it."""
        for node in tree:
            op, value = node
            if op in REPEATS and value[1] >= LONG:
                yield heads, value[2]
            for each in _children(node):
                yield from self._repeats(each, heads)
            if op not in LOOKS:
                ways = _children(node)[:3] if op is _op.BRANCH else [[node]]
                ends = [self._sample(way, least) for way in ways for least in (0, 1)]
                heads = list(dict.fromkeys(head + end for head in heads for end in ends))[:4]


def _children(node: Node) -> list[Nodes]:
    op, value = node
    if op in REPEATS:
        return [value[2]]
    if op is _op.SUBPATTERN:
        return [value[3]]
    if op is _op.BRANCH:
        return list(value[1])
    if op in LOOKS:
        return [value[1]]
    return [value] if op is _op.ATOMIC_GROUP else []


def _sets(tree: Nodes) -> Iterator[Node]:
    for node in tree:
        if node[0] in SETS:
            yield node
        for each in _children(node):
            yield from _sets(each)


def _named(op: Any, value: Any) -> list[str]:
    """Returns characters that a set names."""
    if op in (_op.LITERAL, _op.NOT_LITERAL):
        return [chr(value)]
    if op is not _op.IN:
        return []
    return [
        chr(each if part is _op.LITERAL else each[0])
        for part, each in value
        if part in (_op.LITERAL, _op.RANGE)
    ]
