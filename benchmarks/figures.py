"""The figures of docs/quality.md, worked out from the answers that were kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from benchmarks.answers import kept
from benchmarks.rows import Row
from benchmarks.scores import (
    Answer,
    Pairs,
    T,
    accurate_at,
    calibration_error,
    coverage,
    gain,
    interval,
    measures_of,
    out_of_scope,
    validity,
)
from engines.base import JsonObject, JsonValue

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
APART = ("speed", "length")
"""Figures other benchmarks leave beside the answers."""

COMPARED = {
    "One a call, against plain chat": ("ours", "plain"),
    "One a call, against the bare embedding": ("ours", "bare"),
    "In one call, against the bare embedding": ("call", "bare"),
    "In one call and names only, against the bare embedding": ("call-names", "bare"),
    "With ten examples a label, against one a call": ("examples", "ours"),
    "With ten examples a label, against in one call": ("examples", "call"),
}
"""Ways of putting a set whose difference is of interest, on the rows both have."""
SINGLY = {"call": "ours", "call-names": "names"}
"""Where the rows of a set cannot share a call, each way is what it is one a call."""

Given = dict[str, list[tuple[Row, Answer]]]


def figures(folder: Path, sets: dict[str, list[Row]]) -> JsonObject:
    """Set -> way of putting it -> measure -> figure; with an interval, three of them."""
    given: dict[str, Given] = {}
    for name, rows in sets.items():
        answers = {path.name.split(".")[1]: kept(path) for path in sorted(folder.glob(f"{name}.*.jsonl"))}
        if "ours" in answers:
            given[name] = {way: _pairs(rows, told) for way, told in answers.items()}
    found: JsonObject = {name: _of_set(ways) for name, ways in given.items()}
    beside: JsonObject = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in APART
        if (path := folder / f"{name}.json").exists()
    }
    classified = {name: ways for name, ways in given.items() if ways["ours"][0][0].task == "classify"}
    return {"sets": found, "means": _means(classified), **beside}


def _means(sets: Mapping[str, Given]) -> JsonObject:
    """Over the sets: the calibration error of each way, and what one way gains over another."""
    told: JsonObject = {}
    for way in ("ours", "call", "examples"):
        if held := [ways[way] for ways in sets.values() if way in ways]:
            told[f"calibration error, {way}"] = _interval(held, calibration_error)
    for said, (one, other) in COMPARED.items():
        held = {name: both for name, ways in sets.items() if (both := _both(ways, one, other))}
        if held:
            each: JsonObject = {name: round(gain(both), 4) for name, both in held.items()}
            told[said] = {"mean": _interval(list(held.values()), gain), "sets": each}
    return told


def _both(ways: Given, one: str, other: str) -> list[tuple[bool, bool]]:
    """Whether each row that some label fits is right in one way and in the other."""
    first, second = (ways.get(way) or ways.get(SINGLY.get(way, ""), []) for way in (one, other))
    right = {row.id: answer.value == row.gold for row, answer in second}
    return [
        (answer.value == row.gold, right[row.id])
        for row, answer in first
        if row.id in right and not row.abstain
    ]


def _of_set(ways: Given) -> JsonObject:
    rows = [row for row, _ in ways["ours"]]
    told: JsonObject = {"task": rows[0].task}
    for way, pairs in ways.items():
        told[way] = _of_way(pairs)
    if "call" in ways:
        alone = {row.id: answer.value for row, answer in ways["ours"]}
        told["call as alone"] = round(
            _mean([alone[row.id] == answer.value for row, answer in ways["call"]]), 4
        )
    if "plain" in ways:
        asked = {answer.id for _, answer in ways["plain"]}
        same = [(row, answer) for row, answer in ways["ours"] if answer.id in asked]
        measures = measures_of(rows[0]).items()
        told["ours, rows of plain"] = {name: round(score(same), 4) for name, score in measures}
    return told


def _pairs(rows: Sequence[Row], answers: dict[str, Answer]) -> list[tuple[Row, Answer]]:
    return [(row, answers[row.id]) for row in rows if row.id in answers]


def _of_way(pairs: Pairs) -> JsonObject:
    row = pairs[0][0]
    told: JsonObject = {"rows": len(pairs)}
    for name, measure in measures_of(row).items():
        told[name] = _interval([pairs], measure)
    told |= {
        "valid": round(validity(pairs), 4),
        "seconds": round(_mean([answer.seconds for _, answer in pairs]), 4),
        "tokens": round(_mean([answer.tokens for _, answer in pairs])),
        "decided by": cast("list[JsonValue]", sorted({a.decided_by for _, a in pairs if a.decided_by})),
    }
    leaves = sum(answer.leaves for _, answer in pairs)
    if leaves:
        told["unsupported"] = round(sum(answer.unsupported for _, answer in pairs) / leaves, 4)
    if pairs[0][1].confidence is not None:
        told |= _of_confidence(pairs)
    return told


def _of_confidence(pairs: Pairs) -> JsonObject:
    told: JsonObject = {
        "calibration error": _interval([pairs], calibration_error),
        "coverage at 90 %": _interval([pairs], coverage),
    }
    if any(row.abstain for row, _ in pairs):
        told["AUROC"] = _interval([pairs], out_of_scope)
        inside = [answer.abstained for row, answer in pairs if not row.abstain]
        outside = [answer.abstained for row, answer in pairs if row.abstain]
        told["abstained"] = [round(sum(held) / len(held), 4) for held in (inside, outside)]
        told["accuracy at coverage"] = {
            f"{share:.0%}": round(accurate_at(pairs, share), 4) for share in COVERAGES
        }
    return told


def _interval(sets: Sequence[Sequence[T]], measure: Callable[[Sequence[T]], float]) -> list[JsonValue]:
    return [round(value, 4) for value in interval(sets, measure)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
