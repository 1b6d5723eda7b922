"""Parses JSON Lines, a JSON array of objects and logfmt into one record an object."""

import json
import re
from collections.abc import Callable, Mapping
from typing import NoReturn, cast

from engines.base import JsonObject, JsonValue
from tools.extract.formats.report import Record, Report

_DEEPEST = 8
"""Levels of nested objects whose values get dotted names."""

_SPACE = re.compile(r"\s*+")
# Possessive repetitions keep a line that does not match from being tried again and again.
_PAIR = re.compile(r"([A-Za-z_@][\w.@/-]*+)=(?:\"((?:[^\"\\]|\\.)*+)\"|([^\s\"]*+))(?:\s++|$)")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str) -> Report | None:
    """Reads the objects of a text under their own keys; those of nested objects as ``a.b``, too."""
    try:
        return _array(text) or _lines(text, "json lines", _json) or _lines(text, "logfmt", _logfmt)
    except RecursionError:
        return None


def _lines(text: str, name: str, read: Callable[[str], JsonObject | None]) -> Report | None:
    """Reads one object a line."""
    records: list[Record] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        values = read(line.strip())
        if values is None:
            return None
        records.append(Record(_flat(values) | values, number, number))
    return Report(name, records) if records else None


def _array(text: str) -> Report | None:
    """Reads one array of objects, each on the lines from its first brace to its last."""
    records: list[Record] = []
    at, line, counted = _skip(text, 0), 1, 0
    while text.startswith("," if records else "[", at):
        at = _skip(text, at + 1)
        values, end = _decoded(text, at)
        if values is None:
            return None
        line += text.count("\n", counted, at)
        height = text.count("\n", at, end)
        records.append(Record(_flat(values) | values, line, line + height))
        line, counted, at = line + height, end, _skip(text, end)
    return Report("json", records) if records and text[at:].strip() == "]" else None


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _decoded(text: str, at: int) -> tuple[JsonObject | None, int]:
    """Returns the object that begins at ``at``, and where it ends."""
    if not text.startswith("{", at):
        return None, at
    try:
        value, end = _DECODER.raw_decode(text, at)
    except ValueError:
        return None, at
    return cast("JsonObject", value), end


def _json(line: str) -> JsonObject | None:
    values, end = _decoded(line, 0)
    return values if end == len(line) else None


def _logfmt(line: str) -> JsonObject | None:
    """Reads two or more ``key=value``; no other words."""
    values: JsonObject = {}
    at = 0
    while pair := _PAIR.match(line, at):
        key, quoted, plain = pair.groups()
        values[key] = plain if quoted is None else _ESCAPE.sub(_escaped, quoted)
        at = pair.end()
    return values if at == len(line) and len(values) > 1 else None


def _escaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[1], escape[1])


def _flat(values: Mapping[str, JsonValue], prefix: str = "", depth: int = 0) -> JsonObject:
    """Returns the values of nested objects under dotted names."""
    found: JsonObject = {}
    for key, value in values.items():
        if prefix:
            found[prefix + key] = value
        if isinstance(value, dict) and depth < _DEEPEST:
            found |= _flat(value, f"{prefix}{key}.", depth + 1)
    return found
