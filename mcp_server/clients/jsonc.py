"""Adds, replaces or removes one member of a JSON text with comments; leaves every other byte unchanged.

Editors' settings files contain comments, trailing commas and custom indentation, which parsing and
dumping would lose. The parser records positions, and edits change the text there. Removing an added
member restores the text, except for an object that was empty before.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engines.base import JsonObject, JsonValue

_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"[^\s,:\[\]{}\"/]+")

INDENT = "  "


class JsoncError(ValueError):
    """The text is not JSON with comments and trailing commas; the message contains the line."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its position: ``text[start:end]``."""

    start: int
    end: int
    value: JsonValue
    members: "tuple[Member, ...]" = ()
    """Members of an object, in order."""
    tail: int = 0
    """End of the last token or comment before the closing bracket of an object or list."""

    def member(self, name: str) -> "Member | None":
        """Returns the last member of that name, which is the one parsers use."""
        return next((member for member in reversed(self.members) if member.name == name), None)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object and its position."""

    name: str
    start: int
    """Position of the name's opening quote."""
    before: int
    """End of the token or comment before the member."""
    node: Node
    comma: int = -1
    """Position of its comma; -1 without one."""


def parse(text: str) -> Node:
    """Parses the text and returns the root.

    Raises:
        JsoncError: it cannot be read.
    """
    parser = _Parser(text)
    try:
        root = parser.value()
    except RecursionError:
        raise JsoncError("nested too deeply") from None
    parser.skip()
    if parser.at != len(text):
        raise parser.error("unexpected text after the end")
    return root


@dataclass(slots=True)
class _Parser:
    text: str
    at: int = 0
    solid: int = field(default=0, init=False)
    """End of the last token or comment."""

    def error(self, what: str) -> JsoncError:
        line = self.text.count("\n", 0, self.at) + 1
        return JsoncError(f"line {line}: {what}")

    def skip(self) -> None:
        while True:
            if match := _SPACE.match(self.text, self.at):
                self.at = match.end()
            elif match := _COMMENT.match(self.text, self.at):
                self.at = self.solid = match.end()
            else:
                return

    def take(self, mark: str) -> bool:
        self.skip()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += 1
        self.solid = self.at
        return True

    def value(self) -> Node:
        self.skip()
        start = self.at
        if self.take("{"):
            return self.object(start)
        if self.take("["):
            return self.list(start)
        match = _STRING.match(self.text, start) or _SCALAR.match(self.text, start)
        if not match:
            raise self.error("a value is missing")
        try:
            value: JsonValue = json.loads(match[0])
        except ValueError:
            raise self.error(f"{match[0][:40]} is not a value") from None
        self.at = self.solid = match.end()
        return Node(start, self.at, value)

    def object(self, start: int) -> Node:
        members: list[Member] = []
        while True:
            self.skip()
            tail = self.solid
            if self.take("}"):
                return Node(start, self.at, {m.name: m.node.value for m in members}, tuple(members), tail)
            if members and members[-1].comma < 0:
                raise self.error("a comma is missing")
            member = self.member(tail)
            members.append(replace(member, comma=self.at - 1 if self.take(",") else -1))

    def member(self, before: int) -> Member:
        name = self.value()
        if not isinstance(name.value, str):
            raise self.error("a quoted name is missing")
        if not self.take(":"):
            raise self.error("a colon is missing")
        return Member(name.value, name.start, before, self.value())

    def list(self, start: int) -> Node:
        values: list[JsonValue] = []
        comma = True
        while True:
            self.skip()
            tail = self.solid
            if self.take("]"):
                return Node(start, self.at, values, tail=tail)
            if not comma:
                raise self.error("a comma is missing")
            values.append(self.value().value)
            comma = self.take(",")


def put(text: str, path: Sequence[str], value: JsonObject) -> str:
    """Returns ``text`` with ``value`` at ``path``; creates missing objects, replaces an existing value.

    Raises:
        JsoncError: the text cannot be read, or a parent is not an object.
    """
    root = parse(text)
    return _put(text, root, path, value, _unit(text, root))


def drop(text: str, path: Sequence[str]) -> str:
    """Returns ``text`` without the member at ``path`` and the parents that become empty.

    Raises:
        JsoncError: the text cannot be read, or has no such member.
    """
    at = parse(text)
    chain: list[tuple[Node, Member]] = []
    for name in path:
        member = at.member(name)
        if member is None:
            raise JsoncError(f"there is no {'.'.join(path)}")
        chain.append((at, member))
        at = member.node
    owner, member = chain.pop()
    while chain and len(owner.members) == 1:
        owner, member = chain.pop()
    return _without(text, owner, member)


def _put(text: str, at: Node, path: Sequence[str], value: JsonObject, unit: str) -> str:
    if not isinstance(at.value, dict):
        raise JsoncError(f"{path[0]} cannot be added: its parent is not an object")
    name, *deeper = path
    member = at.member(name)
    if member is None:
        for step in reversed(deeper):
            value = {step: value}
        return _with(text, at, name, value, unit)
    if deeper:
        return _put(text, member.node, deeper, value, unit)
    node = member.node
    new = _written(value, _margin(text, member.start), unit, _newline(text), inline=_is_inline(text, at))
    return text[: node.start] + new + text[node.end :]


def _with(text: str, at: Node, name: str, value: JsonObject, unit: str) -> str:
    """Appends a member after any comment, with a trailing comma if the object uses them."""
    newline = _newline(text)
    inline = _is_inline(text, at)
    last = at.members[-1] if at.members else None
    margin = _margin(text, last.start) if last else _margin(text, at.start) + unit
    gap = newline + margin if not inline else " " if last else ""
    written = _written(value, margin, unit, newline, inline=inline)
    added = f"{gap}{json.dumps(name, ensure_ascii=False)}: {written}"
    if last is None:
        closed = inline or "\n" in text[at.tail : at.end]
        closing = "" if closed else newline + _margin(text, at.start)
        return text[: at.tail] + added + closing + text[at.tail :]
    if last.comma >= 0:
        return text[: at.tail] + added + "," + text[at.tail :]
    return text[: last.node.end] + "," + text[last.node.end : at.tail] + added + text[at.tail :]


def _without(text: str, owner: Node, member: Member) -> str:
    index = owner.members.index(member)
    end = member.comma + 1 if member.comma >= 0 else member.node.end
    if member.comma < 0 and index > 0:
        # ``put`` added the comma before the member.
        comma = owner.members[index - 1].comma
        return text[:comma] + text[comma + 1 : member.before] + text[end:]
    return text[: member.before] + text[end:]


def _written(value: JsonObject, margin: str, unit: str, newline: str, *, inline: bool) -> str:
    if inline:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", newline + margin)


def _is_inline(text: str, at: Node) -> bool:
    """Whether the object is on one line; an empty object is not, unless the whole text is."""
    if at.members:
        return "\n" not in text[at.start : at.end]
    whole = text.strip()
    return "\n" not in whole and whole != text[at.start : at.end]


def _margin(text: str, at: int) -> str:
    """Returns the indentation of the line at ``at``."""
    begin = text.rfind("\n", 0, at) + 1
    return text[begin : begin + len(text[begin:at]) - len(text[begin:at].lstrip(" \t"))]


def _unit(text: str, root: Node) -> str:
    """Returns one step of indentation, taken from the root's members."""
    return next((margin for m in root.members if (margin := _margin(text, m.start))), INDENT)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
