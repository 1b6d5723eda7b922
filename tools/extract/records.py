"""Finds lists of records by rule: failure reports, tables, lines of one pattern, repeated blocks."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from tools.extract.field_types import BY_NAME, NUMERIC, kind_of
from tools.extract.fields import Field
from tools.extract.formats.reports import reported
from tools.extract.layout import Layout, likeness
from tools.extract.rules import NAMED, TRUE, find_values
from tools.extract.value_formats import Kind
from tools.extract.values import Found, Tree, plain
from tools.sources.words import words

_RULE = re.compile(r"^[\s|:+=-]*-[\s|:+=-]*$")
_SEPARATORS = (
    re.compile(r"\s{0,40}\|\s{0,40}"),
    re.compile(r"\t+"),
    re.compile(r"[ \t]{0,40};[ \t]{0,40}"),
    # A comma outside of quotes.
    re.compile(r",(?=(?:[^\"\n]*\"[^\"\n]*\")*[^\"\n]*$)"),
    re.compile(r"\s{2,}"),
    re.compile(r"[ \t]+"),
)
_WORDS = _SEPARATORS[-1]
_BULLET = re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)])[ \t]+")
_PIECE = re.compile(r"\S(?:(?!\s*[|;\t]|\s{2}|\s[-–—]\s|,\s).)*")
_FILLERS = frozenset(["by", "on", "at", "x", "in", "for", "from", "to", "of", "and"])
MAX_WIDTH = 4_000
"""Characters of a table's line."""
MAX_LINES = 20_000
"""Lines tried one by one as records; longer texts need split=line."""


def records(field: Field, layout: Layout, hints: Sequence[str]) -> list[Tree]:
    """Returns the records of the array ``field``, by the notation that fills most of their fields."""
    parts = field.parts[0].parts
    if failed := reported(parts, layout):
        return list(failed)
    readings = (_table(parts, layout), _lines(parts, layout, hints), _blocks(parts, layout, hints))
    best = max(readings, key=lambda found: sum(len(record) for record in found))
    return list({str(plain(record)): cast("Tree", record) for record in best}.values())


def _table(parts: Sequence[Field], layout: Layout) -> list[dict[str, Tree]]:
    """Returns rows under a header whose columns match the fields' names."""
    lines = [m.span() for m in re.finditer(r"[^\n]*\S[^\n]*", layout.content) if len(m[0]) <= MAX_WIDTH][
        :MAX_LINES
    ]
    rows = [(layout.start + first, layout.start + last) for first, last in lines]
    for index in range(len(rows) - 1):
        readings = [_under(parts, layout, rows, index, separator) for separator in _SEPARATORS]
        if best := max(readings, key=lambda found: sum(len(record) for record in found)):
            return best
    return []


def _under(
    parts: Sequence[Field],
    layout: Layout,
    rows: Sequence[tuple[int, int]],
    index: int,
    separator: re.Pattern[str],
) -> list[dict[str, Tree]]:
    """Returns the rows under that of ``index``, if it is a header."""
    titles = _cells(layout.text, *rows[index], separator)
    # Any line has single spaces, so such a header must match the field names exactly.
    loose = separator is _WORDS
    columns = _columns(parts, [str(title.value) for title in titles], 0.99 if loose else 0.6)
    if len(columns) < max(2, len(parts) // 2):
        return []
    width = max(columns) + 1 if loose else len(titles)
    below = [_cells(layout.text, *row, separator) for row in rows[index + 1 :] if not _is_rule(layout, row)]
    return [found for row in below if len(row) >= width and (found := _row(row, columns))]


def _is_rule(layout: Layout, row: tuple[int, int]) -> bool:
    return _RULE.match(layout.text[row[0] : row[1]]) is not None


def _cells(text: str, first: int, last: int, separator: re.Pattern[str]) -> list[Found]:
    line = text[first:last]
    first += len(line) - len(line.lstrip("| "))
    cells, at = list[Found](), 0
    line = line.strip("| ")
    for border in [*separator.finditer(line), None]:
        until = border.start() if border else len(line)
        content = line[at:until].strip(" \t\"'`*")
        start = first + at + line[at:until].find(content)
        cells.append(Found(content, start, start + len(content)))
        at = border.end() if border else until
    return cells


def _columns(parts: Sequence[Field], header: Sequence[str], least: float) -> dict[int, Field]:
    """Returns which column holds which field."""
    columns: dict[int, Field] = {}
    if not 2 <= len(header) <= 50 or any(len(title.split()) > 5 for title in header):
        return columns
    for part in parts:
        score, at = max((likeness(part, words(title)), -i) for i, title in enumerate(header))
        if score >= least and -at not in columns:
            columns[-at] = part
    return columns


def _row(row: Sequence[Found], columns: dict[int, Field]) -> dict[str, Tree]:
    cells = ((part, _cell(row[at], part)) for at, part in columns.items())
    return {part.name: cell for part, cell in cells if cell is not None and cell.value != ""}


def _cell(cell: Found, part: Field) -> Found | None:
    kind, content = kind_of(part), str(cell.value)
    if part.enum:
        return next(
            (replace(cell, value=value) for value in part.enum if str(value).lower() == content.lower()), None
        )
    if part.type == "boolean":
        return replace(cell, value=content.lower() in TRUE)
    if kind is None or (part.type == "string" and kind.name != "date"):
        return cell
    kinds = (kind, BY_NAME["number"]) if part.type in NUMERIC else (kind,)
    return next(
        (replace(cell, value=found.value) for one in kinds for found in one.find(content, part)), None
    )


def _lines(parts: Sequence[Field], layout: Layout, hints: Sequence[str]) -> list[dict[str, Tree]]:
    """Returns every line that is a whole record: ``path:line: error``, ``2 x Widget 3.00``."""
    found: list[dict[str, Tree]] = []
    at = layout.start
    for line in layout.content.split("\n")[:MAX_LINES]:
        if line.strip() and (record := _in_line(parts, Layout(layout.text, at, at + len(line)), hints)):
            found.append(record)
        at += len(line) + 1
    return found


def _in_line(parts: Sequence[Field], layout: Layout, hints: Sequence[str]) -> dict[str, Tree]:
    values = _spans(parts, layout)
    found_values = find_values([part for part in parts if part.name not in values], layout, hints, records)
    return _whole({**found_values, **values}, parts)


def _whole(values: dict[str, Tree], parts: Sequence[Field], least: int = 2) -> dict[str, Tree]:
    """Returns the record, or nothing if a required value is missing or too few are present."""
    needed = [part for part in parts if part.required and not part.nullable]
    filled = sum(not isinstance(value, Found) or value.start >= 0 for value in values.values())
    if any(part.name not in values for part in needed) or filled < min(least, len(parts)):
        return {}
    return {part.name: values[part.name] for part in parts if part.name in values}


def _spans(parts: Sequence[Field], layout: Layout) -> dict[str, Tree]:
    """Returns values of a line without labels: each kind's first unused match, one plain field the rest."""
    values: dict[str, Tree] = {}
    used: list[tuple[int, int]] = []
    kinds: list[tuple[Field, Kind | None]] = [(part, kind_of(part)) for part in parts]
    # Recognisable kinds first, then money before plain numbers.
    for part, kind in sorted(kinds, key=lambda pair: pair[1] is None or not pair[1].telling):
        free = [found for found in (layout.find(kind, part) if kind else ()) if _is_free(found, used)]
        if kind and free:
            # The first of its kind; the number nearest to the field's name; a code with letters.
            found = free[0] if kind.telling else max(free, key=lambda one: _rank(one, part, free, layout))
            values[part.name] = found
            used.append((found.start, found.end))
    texts = [part.name for part, kind in kinds if kind is None and part.type == "string" and not part.enum]
    rest = _rest(layout, used)
    if len(texts) == len(rest) or (len(texts) == 1 and rest):
        values |= dict(zip(texts, rest, strict=False))
    return values


def _is_free(found: Found, used: Sequence[tuple[int, int]]) -> bool:
    return all(found.end <= first or last <= found.start for first, last in used)


def _rank(found: Found, part: Field, others: Sequence[Found], layout: Layout) -> float:
    cue = layout.cue(found, part, others)
    lettered = isinstance(found.value, str) and any(character.isalpha() for character in found.value)
    return (cue if cue >= NAMED else 0.0) + 0.1 * lettered


def _rest(layout: Layout, used: Sequence[tuple[int, int]]) -> list[Found]:
    """Returns the text of the line between the values found in it."""
    left, at = list[Found](), layout.start + len((_BULLET.match(layout.content) or [""])[0])
    for first, last in [*sorted(used), (layout.end, layout.end)]:
        for match in _PIECE.finditer(layout.text, at, max(at, first)):
            content = re.sub(r"^(?:x\s|[\W_])+|[\s:,;(\[{|@–—-]+$", "", match[0])
            start = match.start() + match[0].find(content)
            if len(content) > 1 and content.lower() not in _FILLERS:
                left.append(Found(content, start, start + len(content)))
        at = max(at, last)
    return left


def _blocks(parts: Sequence[Field], layout: Layout, hints: Sequence[str]) -> list[dict[str, Tree]]:
    """Returns paragraphs, list entries or headed sections that each contain a record."""
    readings: list[list[dict[str, Tree]]] = []
    needed = any(part.required and not part.nullable for part in parts)
    for border in (
        r"\n[ \t]*\n",
        r"\n(?=#{1,6} )",
        r"\n(?=[^\n]{1,100}\n[-=~]{3,}\n)",
        r"\n(?=[-*+•] |\d+[.)] )",
        r"\n(?=-{3,}\s*\n|\[[\w. -]+\]\s*\n|\[\[)",
    ):
        blocks = re.split(f"({border})", layout.content)
        at, found = layout.start, list[dict[str, Tree]]()
        for block in blocks if len(blocks) > 1 or not readings else ():
            if len(block.strip()) > 3:
                found_values = find_values(parts, Layout(layout.text, at, at + len(block)), hints, records)
                found.append(_whole(found_values, parts, least=1 if needed else 2))
            at += len(block)
        readings.append([record for record in found if record])
    return max(readings, key=lambda found: sum(len(record) for record in found))
