"""Maps parsed test failures to the fields of a schema."""

import re
from collections.abc import Sequence
from typing import cast

from tools.extract.field_types import kind_of
from tools.extract.fields import Field
from tools.extract.formats.failures import Failure, failures
from tools.extract.layout import Layout
from tools.extract.values import Found, Tree

_NAMED = {
    "name": "test", "id": "test", "title": "test",
    "reason": "message", "details": "message", "location": "file",
}  # fmt: skip


def reported(parts: Sequence[Field], layout: Layout) -> list[dict[str, Tree]]:
    """Returns the failures in ``layout`` as records of ``parts``; none if the parts do not fit a failure."""
    names = {part.name: name for part in parts if (name := _attribute(part))}
    needed = {part.name for part in parts if part.required and not part.nullable and part.type == "string"}
    attributes = set(names.values())
    sure = any((kind := kind_of(part)) and kind.name in ("test", "error") for part in parts)
    if (
        not (sure or (len(attributes) > 2 and attributes & {"test"}))
        or len(attributes) < min(2, len(parts))
        or not needed <= names.keys()
    ):
        return []
    return [_record(failure, parts, names, layout) for failure in failures(layout.content)]


def _attribute(part: Field) -> str:
    """Returns the part of a failure that ``part`` asks for."""
    kind = kind_of(part)
    known = {"test": "test", "error": "error", "message": "message", "path": "file", "line": "line"}
    if kind is not None and kind.name in known:
        return known[kind.name]
    if part.type != "string":
        return ""
    return next((_NAMED[word] for word in part.words[::-1] if word in _NAMED), "")


def _record(
    failure: Failure, parts: Sequence[Field], names: dict[str, str], layout: Layout
) -> dict[str, Tree]:
    values: dict[str, Tree] = {}
    for part in parts:
        value = cast("str | int | None", getattr(failure, names[part.name])) if part.name in names else None
        if value not in ("", None):
            values[part.name] = _in_report(value, failure, layout)
    return values


def _in_report(value: str | int, failure: Failure, layout: Layout) -> Found:
    """Returns the value with its position: in its report, or for an identifier before it."""
    pattern = re.compile(rf"(?<!\w){re.escape(str(value))}(?!\w)")
    place = pattern.search(layout.text, layout.start + failure.start) or pattern.search(
        layout.text, layout.start
    )
    return Found(value, *place.span()) if place else Found(value)
