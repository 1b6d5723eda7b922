"""The figures of docs/quality.md, worked out from the answers that were kept."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmarks.answers import kept
from benchmarks.rows import Row
from benchmarks.scores import (
    Answer,
    Measure,
    Pairs,
    accurate_at,
    calibration_error,
    coverage,
    interval,
    measures_of,
    out_of_scope,
    validity,
)
from engines.base import JsonObject, JsonValue

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
APART = ("speed", "length")
"""Figures other benchmarks leave beside the answers."""


def figures(folder: Path, sets: dict[str, list[Row]]) -> JsonObject:
    """Set -> way of putting it -> measure -> figure; with an interval, three of them."""
    found: JsonObject = {}
    for name, rows in sets.items():
        answers = {path.name.split(".")[1]: kept(path) for path in sorted(folder.glob(f"{name}.*.jsonl"))}
        if "ours" in answers:
            found[name] = _of_set(rows, answers)
    beside: JsonObject = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in APART
        if (path := folder / f"{name}.json").exists()
    }
    return {"sets": found, **beside}


def _of_set(rows: Sequence[Row], answers: dict[str, dict[str, Answer]]) -> JsonObject:
    told: JsonObject = {"task": rows[0].task}
    ways = {way: _pairs(rows, given) for way, given in answers.items()}
    for way, pairs in ways.items():
        told[way] = _of_way(pairs)
    for way, other in (("ours", "plain"), ("ours", "examples"), ("call", "examples")):
        if way in ways and other in ways:
            asked = {answer.id for _, answer in ways[other]}
            same = [(row, answer) for row, answer in ways[way] if answer.id in asked]
            measures = measures_of(rows[0]).items()
            told[f"{way}, rows of {other}"] = {name: round(score(same), 4) for name, score in measures}
    return told


def _pairs(rows: Sequence[Row], answers: dict[str, Answer]) -> list[tuple[Row, Answer]]:
    return [(row, answers[row.id]) for row in rows if row.id in answers]


def _of_way(pairs: Pairs) -> JsonObject:
    row = pairs[0][0]
    told: JsonObject = {"rows": len(pairs)}
    for name, measure in measures_of(row).items():
        told[name] = _interval(pairs, measure)
    told |= {
        "valid": round(validity(pairs), 4),
        "seconds": round(_mean(pairs, [answer.seconds for _, answer in pairs]), 4),
        "tokens": round(_mean(pairs, [answer.tokens for _, answer in pairs])),
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
        "calibration error": _interval(pairs, calibration_error),
        "coverage at 90 %": _interval(pairs, coverage),
    }
    if any(row.abstain for row, _ in pairs):
        told["AUROC"] = _interval(pairs, out_of_scope)
        inside = [answer.abstained for row, answer in pairs if not row.abstain]
        outside = [answer.abstained for row, answer in pairs if row.abstain]
        told["abstained"] = [round(sum(held) / len(held), 4) for held in (inside, outside)]
        told["accuracy at coverage"] = {
            f"{share:.0%}": round(accurate_at(pairs, share), 4) for share in COVERAGES
        }
    return told


def _interval(pairs: Pairs, measure: Measure) -> list[JsonValue]:
    return [round(value, 4) for value in interval(pairs, measure)]


def _mean(pairs: Pairs, values: Sequence[float]) -> float:
    return sum(values) / max(1, len(pairs))
