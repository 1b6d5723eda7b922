"""Shortens answers to at most ``MOST_TOKENS``, whatever the tool; what is left out is in a results file."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import cast

import anyio.to_thread

from engines.base import JsonObject, JsonValue
from tools.pipeline.results import ResultFiles, ResultsNotStoredError
from tools.pipeline.structured import compact

MOST_TOKENS = 2_000
"""Tokens of a default answer; more would cost the caller much of what a delegated call saves."""
FITTING = MOST_TOKENS - 100
"""Tokens of a shortened answer; the rest is for MCP's link to the file."""
BESIDE = 400
"""Tokens of the fields beside the text of a shortened plain answer."""
FEW = MOST_TOKENS // 8
"""Characters, of at most four bytes, that surely are half of the tokens at most."""
LONGEST = 20_000
"""Characters from which an answer is long without counting it; it may be megabytes."""
ELLIPSIS = "…"

Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is left of each list, string and object."""

    items: int
    characters: int
    keys: int
    depth: int = 30


LEVELS = (
    Limits(10, 4_000, 100), Limits(10, 1_000, 100), Limits(10, 300, 100), Limits(5, 300, 100),
    Limits(5, 100, 100), Limits(3, 100, 100), Limits(2, 100, 100), Limits(1, 100, 100, 20),
    Limits(1, 100, 40, 10), Limits(1, 60, 20, 8), Limits(1, 40, 8, 6), Limits(1, 20, 3, 3),
)  # fmt: skip
"""Tried in this order until the answer fits; each is within the one before."""


@dataclass(frozen=True, slots=True)
class Short:
    """The fields to return, and a warning for the receipt if the rest could not be stored."""

    fields: JsonObject
    note: str = ""


async def shortened(
    fields: JsonObject,
    rows: Sequence[JsonObject],
    *,
    plain: str,
    count: Count,
    results: ResultFiles | None,
    full: bool,
) -> Short:
    """Returns ``fields`` with at most ``MOST_TOKENS``; stores ``rows``, or the whole answer if it is cut.

    ``plain`` is the field that is the whole answer as text, if there is one. With ``full`` nothing is cut.
    """
    long = not (full or _is_short(fields)) and await anyio.to_thread.run_sync(_is_long, fields, count)
    if not (rows or long):
        return Short(fields)
    rows = rows or await anyio.to_thread.run_sync(rows_of, fields, plain)
    added, note = await _stored(rows, results, fields)
    whole: JsonObject = {**fields, **added}
    if not full and await anyio.to_thread.run_sync(_is_long, whole, count):
        cut = partial(_cut_text, plain=plain) if isinstance(fields.get(plain), str) else _cut_fields
        whole = await anyio.to_thread.run_sync(partial(cut, fields, added, count))
    return Short(whole, note)


async def _stored(
    rows: Sequence[JsonObject], results: ResultFiles | None, fields: JsonObject
) -> tuple[JsonObject, str]:
    """Stores ``rows``; returns the fields that name the file, and a note if there is none."""
    records = fields.get("records")
    total = len(records) if isinstance(records, list) else len(rows)
    try:
        if results is None:
            raise ResultsNotStoredError("results are not stored")
        stored = await results.write(rows)
    except ResultsNotStoredError as error:
        note = f"{error.message}; detail=full returns everything"
        return {"total": total, "not_stored": note}, note
    return {"total": total, "results_file": str(stored.path), "results_uri": stored.uri}, ""


def _is_short(fields: JsonObject) -> bool:
    """Whether a flat answer has few bytes, which spares a thread and the counting of its tokens."""
    if any(isinstance(value, list | dict) for value in fields.values()):
        return False
    return sum(len(value) if isinstance(value, str) else 10 for value in fields.values()) < FEW


def _is_long(fields: JsonObject, count: Count) -> bool:
    try:
        text = compact(fields)
    except (RecursionError, ValueError):
        return True
    return len(text) > LONGEST or count(text) > MOST_TOKENS


def rows_of(fields: JsonObject, plain: str = "") -> list[JsonObject]:
    """Returns the whole answer as rows: its records or results, the lines of its text, or itself."""
    records, results, text = fields.get("records"), fields.get("results"), fields.get(plain)
    if isinstance(records, list):
        return _record_rows(records, fields)
    if isinstance(results, list) and all(isinstance(result, dict) for result in results):
        return cast("list[JsonObject]", results)
    if isinstance(text, str):
        return [{plain: line} for line in text.split("\n")]
    return [fields]


def _record_rows(records: Sequence[JsonValue], fields: JsonObject) -> list[JsonObject]:
    """Returns a row for each record with its evidence; pointers are relative to the record."""
    evidence: list[JsonObject] = [{} for _ in records]
    unsupported: list[list[JsonValue]] = [[] for _ in records]
    left: list[JsonValue] = []
    for pointer, lines in _pairs(fields.get("evidence")):
        index, rest = _split(pointer)
        if index < len(records):
            evidence[index][rest] = lines
    for entry in _entries(fields.get("unsupported")):
        index, rest = _split(str(entry.get("pointer")))
        if index < len(records):
            unsupported[index].append({**entry, "pointer": rest})
        else:
            left.append(entry)
    rows: list[JsonObject] = []
    for record, found, absent in zip(records, evidence, unsupported, strict=True):
        row: JsonObject = {"record": record, "evidence": found}
        rows.append({**row, "unsupported": absent} if absent else row)
    return [*rows, {"unsupported": left}] if left else rows


def _split(pointer: str) -> tuple[int, str]:
    """Returns the index of the record that ``pointer`` is in, and the pointer inside of it."""
    _, _, inside = pointer.partition("/")
    index, slash, rest = inside.partition("/")
    # "-" is what was left out of the list, an index that no record has.
    return (int(index) if index.isdecimal() else 1 << 62), slash + rest


def _pairs(evidence: JsonValue) -> Sequence[tuple[str, JsonValue]]:
    return list(evidence.items()) if isinstance(evidence, dict) else ()


def _entries(unsupported: JsonValue) -> list[JsonObject]:
    found = unsupported if isinstance(unsupported, list) else []
    return [entry for entry in found if isinstance(entry, dict)]


def _cut_fields(fields: JsonObject, added: JsonObject, count: Count, most: int = FITTING) -> JsonObject:
    """Returns as much of ``fields`` as fits with ``added`` into ``most`` tokens."""
    kept = fields
    for limits in LEVELS:
        kept = _level(kept, limits)
        text = compact({**kept, **added})
        if len(text) <= LONGEST and count(text) <= most:
            return {**kept, **added}
    return added


def _cut_text(fields: JsonObject, added: JsonObject, count: Count, *, plain: str) -> JsonObject:
    """Returns the beginning of the text with where the rest is, and the other fields as far as they fit."""
    beside = {name: value for name, value in fields.items() if name != plain}
    others = _cut_fields(beside, added, count, BESIDE + count(compact(added)))
    ending = f"{ELLIPSIS}\n\n[Shortened. {_where(added)}]"
    text = str(fields[plain])

    def cut_at(end: int) -> JsonObject:
        return {plain: text[:end] + ending, **others}

    ends = range(min(len(text), LONGEST) + 1)
    end = max(bisect_right(ends, FITTING, key=lambda end: count(compact(cut_at(end)))) - 1, 0)
    word = max(text.rfind("\n", 0, end), text.rfind(" ", 0, end))
    return cut_at(word if word > end // 2 else end)


def _where(added: JsonObject) -> str:
    if "results_file" not in added:
        return f"{added['not_stored']}."
    return f"The whole text is in {added['results_file']} and is the resource {added['results_uri']}."


def _level(fields: JsonObject, limits: Limits) -> JsonObject:
    """Returns ``fields`` within ``limits``, evidence only of the values that are left."""
    root = _within(fields.get("records", fields.get("data")), limits, limits.depth)
    evidence, unsupported = fields.get("evidence"), fields.get("unsupported")
    shown = dict(fields)
    if isinstance(evidence, dict):
        shown["evidence"] = {pointer: lines for pointer, lines in evidence.items() if _holds(root, pointer)}
    if isinstance(unsupported, list):
        entries = _entries(unsupported)
        shown["unsupported"] = [entry for entry in entries if _holds(root, str(entry.get("pointer")))]
    return cast("JsonObject", _within(shown, limits, limits.depth + 1))


def _within(value: JsonValue, limits: Limits, depth: int) -> JsonValue:
    """Returns ``value`` within ``limits``; visits only what is left."""
    if isinstance(value, str):
        return _string(value, limits.characters)
    if isinstance(value, dict):
        return {
            _string(name, limits.characters): _within(child, limits, depth - 1)
            for name, child in islice(value.items(), limits.keys if depth else 0)
        }
    if isinstance(value, list):
        return [_within(child, limits, depth - 1) for child in value[: limits.items if depth else 0]]
    if isinstance(value, int) and value.bit_length() > 4 * limits.characters:
        return _string(str(value), limits.characters)
    return value


def _string(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def _holds(node: JsonValue, pointer: str) -> bool:
    """Returns whether the JSON pointer leads to a value of ``node``, or to what its lists left out."""
    for part in pointer.split("/")[1:]:
        if isinstance(node, list):
            if part == "-":
                return True
            if not part.isdecimal() or int(part) >= len(node):
                return False
            node = node[int(part)]
        elif isinstance(node, dict):
            key = part.replace("~1", "/").replace("~0", "~")
            if key not in node:
                return False
            node = node[key]
        else:
            return False
    return True
