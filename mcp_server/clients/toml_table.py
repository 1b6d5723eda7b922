"""Adds, replaces or removes one table of a TOML text and leaves every other byte unchanged.

The result is parsed before it is returned: an edit that would change anything else (an inline
table on the path, a header inside a multi-line string) is refused.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

from engines.base import JsonObject, JsonValue

_HEADER = re.compile(r"^[ \t]*\[.*\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class TomlTableError(ValueError):
    """The text is not TOML, or the table cannot be added to it."""


def parse(text: str) -> dict[str, Any]:
    """Parses TOML.

    Raises:
        TomlTableError: the text cannot be read.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlTableError(str(error)) from None


def put(text: str, owner: str, name: str, value: JsonObject) -> str:
    """Returns ``text`` with the table ``[owner.name]``, replaced in place or appended.

    Raises:
        TomlTableError: the text cannot be read, or the table cannot be added.
    """
    wanted = parse(text)
    tables = wanted.setdefault(owner, {})
    if not isinstance(tables, dict):
        raise TomlTableError(f"{owner} is no table")
    there = name in tables
    cast("dict[str, Any]", tables)[name] = value
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join([f"[{owner}.{name}]", *(f"{_key(key)} = {written(value[key])}" for key in value)])
    if there:
        start, end = _block(text, owner, name)
        return _checked(text[:start] + block + text[end:], wanted, owner)
    ended = not text or text.endswith("\n")
    gap = "" if not text else newline if ended else newline * 2
    # No final newline is added where there was none, so that removal restores the text.
    return _checked(text + gap + block + (newline if ended else ""), wanted, owner)


def drop(text: str, owner: str, name: str) -> str:
    """Returns ``text`` without the table ``[owner.name]``.

    Raises:
        TomlTableError: the text cannot be read, or has no such table.
    """
    wanted = parse(text)
    tables = wanted.get(owner)
    if not isinstance(tables, dict) or name not in tables:
        raise TomlTableError(f"there is no [{owner}.{name}]")
    del cast("dict[str, Any]", tables)[name]
    start, end = _block(text, owner, name)
    before, after = text[:start], text[end:]
    closer = _without_newline(before)
    if not closer or closer.endswith("\n"):
        # ``put`` added the blank line above, and at the end of a text without a newline one more.
        before = closer if after else _without_newline(closer)
    return _checked(before + after.removeprefix("\r").removeprefix("\n"), wanted, owner)


def _block(text: str, owner: str, name: str) -> tuple[int, int]:
    """Returns the span from the table's header to its last line, with its subtables."""
    ours = re.compile(rf"^[ \t]*\[\s*{_quotable(owner)}\s*\.\s*{_quotable(name)}\s*[.\]]")
    headers = [*_HEADER.finditer(text)]
    first = next((at for at, header in enumerate(headers) if ours.match(header[0])), None)
    if first is None:
        raise TomlTableError(f"{owner}.{name} is there, but not as a table [{owner}.{name}]")
    following = first + 1
    while following < len(headers) and ours.match(headers[following][0]):
        following += 1
    start = headers[first].start()
    end = headers[following].start() if following < len(headers) else len(text)
    return start, start + len(_without_trailing_notes(text[start:end]))


def _without_trailing_notes(block: str) -> str:
    """Strips trailing blank lines and comments, which belong to the next table."""
    lines = block.split("\n")
    while lines[-1].strip() == "" or lines[-1].lstrip().startswith("#"):
        lines.pop()
    return "\n".join(lines).rstrip("\r\n")


def _without_newline(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _checked(text: str, wanted: Mapping[str, Any], owner: str) -> str:
    found = parse(text)
    found.setdefault(owner, {})
    if found != wanted:
        raise TomlTableError("the table cannot be changed without changing what is around it")
    return text


def written(value: JsonValue) -> str:
    """Returns ``value`` as TOML on one line; JSON's strings, numbers and lists are valid TOML.

    Raises:
        TomlTableError: it contains a null.
    """
    match value:
        case None:
            raise TomlTableError("TOML has no null")
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {written(each)}" for key, each in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _quotable(name: str) -> str:
    return rf"(?:{name}|\"{name}\"|'{name}')"
