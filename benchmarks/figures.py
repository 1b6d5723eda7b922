"""Computes the figures of docs/quality.md from the stored answers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from benchmarks.answers import stored
from benchmarks.rows import Row
from benchmarks.scores import (
    MEASURES,
    Answer,
    Both,
    Pairs,
    T,
    accurate_at,
    calibration_error,
    coverage,
    gain,
    interval,
    measure_of,
    out_of_scope,
    reliability,
    validity,
)
from engines.base import JsonObject, JsonValue

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
OTHER_FILES = ("speed", "length", "commit")
"""Further files in the folder: figures of other benchmarks, and the last measured commit."""
COMPARED = {"gain": ("ours", "plain"), "gain of examples": ("examples", "ours")}
"""Pairs of ways that are compared on the rows both have."""

Given = dict[str, dict[str, Answer]]


def figures(folder: Path, sets: dict[str, list[Row]]) -> JsonObject:
    """Returns set -> way -> measure -> figure, or figure and interval bounds."""
    found: JsonObject = {}
    labelled: list[tuple[Row, Answer]] = []
    compared: dict[str, dict[str, list[Both]]] = {}
    for name, rows in sets.items():
        given = {path.name.split(".")[1]: stored(path) for path in sorted(folder.glob(f"{name}.*.jsonl"))}
        if "ours" not in given:
            continue
        task = rows[0].task
        measured: JsonObject = {"task": task}
        if task == "classify":
            labelled += [(row, given["ours"][row.id]) for row in rows if row.id in given["ours"]]
        for way, answers in given.items():
            measured[way] = _of_way([(row, answers[row.id]) for row in rows if row.id in answers])
        for comparison, ways in COMPARED.items():
            if both := _both(rows, given, *ways):
                measured[comparison] = _compared(task, [both])
                compared.setdefault(task, {}).setdefault(comparison, []).append(both)
        found[name] = measured
    means: JsonObject = {
        task: {comparison: _compared(task, held) for comparison, held in each.items()}
        for task, each in compared.items()
    }
    others: JsonObject = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in OTHER_FILES
        if (path := folder / f"{name}.json").exists()
    }
    bins = [
        [round(confidence, 3), round(right, 3), count] for confidence, right, count in reliability(labelled)
    ]
    return {"sets": found, "means": means, "reliability": cast("JsonValue", bins), **others}


def _both(rows: Sequence[Row], given: Given, one: str, other: str) -> Both:
    first, second = given.get(one, {}), given.get(other, {})
    return [(row, first[row.id], second[row.id]) for row in rows if row.id in first and row.id in second]


def _compared(task: str, sets: Sequence[Both]) -> JsonObject:
    """Returns both ways' scores and their difference, over one set or as the mean of several sets."""
    measure = measure_of(task)
    return {
        "sets": len(sets),
        "rows": sum(map(len, sets)),
        "first": _mean([measure([(row, one) for row, one, _ in both]) for both in sets]),
        "second": _mean([measure([(row, two) for row, _, two in both]) for both in sets]),
        "difference": _interval(sets, gain(measure)),
    }


def _of_way(pairs: Pairs) -> JsonObject:
    task, answers = pairs[0][0].task, [answer for _, answer in pairs]
    measured: JsonObject = {
        "rows": len(pairs),
        MEASURES[task]: _interval([pairs], measure_of(task)),
        "valid": round(validity(pairs), 4),
        "seconds": _mean([answer.seconds for answer in answers]),
        "tokens": round(_mean([answer.tokens for answer in answers])),
        "decided by": cast("list[JsonValue]", sorted({a.decided_by for a in answers if a.decided_by})),
    }
    if leaves := sum(answer.leaves for answer in answers):
        measured["unsupported"] = round(sum(answer.unsupported for answer in answers) / leaves, 4)
    if any(answer.confidence is not None for answer in answers):
        measured |= _of_confidence(pairs)
    return measured


def _of_confidence(pairs: Pairs) -> JsonObject:
    measured: JsonObject = {
        "calibration error": _interval([pairs], calibration_error),
        "coverage at 90 %": _interval([pairs], coverage),
    }
    if any(row.abstain for row, _ in pairs):
        measured["AUROC"] = _interval([pairs], out_of_scope)
        inside = [answer.abstained for row, answer in pairs if not row.abstain]
        outside = [answer.abstained for row, answer in pairs if row.abstain]
        measured["abstained"] = [_mean(inside), _mean(outside)]
        measured["accuracy at coverage"] = {
            f"{share:.0%}": round(accurate_at(pairs, share), 4) for share in COVERAGES
        }
    return measured


def _interval(sets: Sequence[Sequence[T]], measure: Callable[[Sequence[T]], float]) -> list[JsonValue]:
    return [round(value, 4) for value in interval(sets, measure)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(1, len(values)), 4)
