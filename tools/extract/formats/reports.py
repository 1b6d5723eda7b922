"""Records of failures: which of a failure's parts a schema's fields ask for, and where they stand."""

import re
from collections.abc import Sequence
from typing import cast

from tools.extract.field_types import kind_of
from tools.extract.fields import Field
from tools.extract.formats.failures import Failure, failures
from tools.extract.layout import Page
from tools.extract.values import Found, Tree

_NAMED = {
    "name": "test", "id": "test", "title": "test",
    "reason": "message", "details": "message", "location": "file",
}  # fmt: skip


def reported(parts: Sequence[Field], page: Page) -> list[dict[str, Tree]]:
    """The failures on ``page`` as records of ``parts``; none where the parts are not those of a failure."""
    names = {part.name: name for part in parts if (name := _attribute(part))}
    needed = {part.name for part in parts if part.required and not part.nullable and part.type == "string"}
    told = set(names.values())
    sure = any((kind := kind_of(part)) and kind.name in ("test", "error") for part in parts)
    if (
        not (sure or (len(told) > 2 and told & {"test"}))
        or len(told) < min(2, len(parts))
        or not needed <= names.keys()
    ):
        return []
    return [_record(failure, parts, names, page) for failure in failures(page.said)]


def _attribute(part: Field) -> str:
    """Which part of a failure ``part`` asks for."""
    kind = kind_of(part)
    known = {"test": "test", "error": "error", "message": "message", "path": "file", "line": "line"}
    if kind is not None and kind.name in known:
        return known[kind.name]
    if part.type != "string":
        return ""
    return next((_NAMED[word] for word in part.words[::-1] if word in _NAMED), "")


def _record(failure: Failure, parts: Sequence[Field], names: dict[str, str], page: Page) -> dict[str, Tree]:
    values: dict[str, Tree] = {}
    for part in parts:
        value = cast("str | int | None", getattr(failure, names[part.name])) if part.name in names else None
        if value not in ("", None):
            values[part.name] = _in_report(value, failure, page)
    return values


def _in_report(value: str | int, failure: Failure, page: Page) -> Found:
    """The value, with its place: in its report, or where an identifier is, before it."""
    said = re.compile(rf"(?<!\w){re.escape(str(value))}(?!\w)")
    place = said.search(page.text, page.start + failure.start) or said.search(page.text, page.start)
    return Found(value, *place.span()) if place else Found(value)
