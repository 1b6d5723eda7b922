"""The tables of docs/quality.md, made from the answers that were kept."""

from collections.abc import Callable, Sequence

from benchmarks.rows import Row
from benchmarks.scores import (
    Answer,
    Measure,
    Pairs,
    calibration_error,
    coverage,
    interval,
    measures_of,
    out_of_scope,
    validity,
)

Kept = Callable[[str], dict[str, Answer]]

HEAD = """# Quality of the answers

Made by `benchmarks/quality.py --report --write` from the raw answers it keeps; do not edit by hand.

Beside each tool's score stands that of *plain chat*: one request a row to the same model with the same
instruction, text and constrained output, on the same rows (fewer, as it takes longer). Brackets hold
the 95 % interval over 1,000 bootstrap resamples. *Valid*: the answer keeps its schema or label list.
*Unsupported*: values of an extraction that it says itself are not in the text. F1 counts name and value
together, over all rows; ROUGE is without stemming (`benchmarks/rouge.py`). Seconds were taken on a
machine busy with other work: compare them within a row only.
"""


def written(tables: str) -> str:
    return f"{HEAD}\n{tables}\n"


def table(sets: dict[str, list[Row]], kept: Kept) -> str:
    """Every set of which answers are kept: its measures, ours beside plain chat's."""
    lines = [
        "| set | measure | rows | tool | plain chat, rows | tool on those rows | valid | plain valid"
        " | unsupported | s/row | plain s/row | tokens/row | plain tokens/row | decided by |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in sets.items():
        own, plain = _pairs(rows, kept(f"{name}.ours")), _pairs(rows, kept(f"{name}.plain"))
        if own:
            lines += _lines(name, own, plain)
    return "\n".join([*lines, *_calibrated(sets, kept)])


def _pairs(rows: Sequence[Row], answers: dict[str, Answer]) -> list[tuple[Row, Answer]]:
    return [(row, answers[row.id]) for row in rows if row.id in answers]


def _lines(name: str, own: Pairs, plain: Pairs) -> list[str]:
    asked = {answer.id for _, answer in plain}
    same = [(row, answer) for row, answer in own if answer.id in asked]
    lines: list[str] = []
    for index, (measure, score) in enumerate(measures_of(own[0][0]).items()):
        cells = [name if not index else "", measure, str(len(own)), _shown(own, score)]
        cells += [
            f"{_shown(plain, score)}, {len(plain)}" if plain else "",
            f"{score(same):.3f}" if same else "",
        ]
        lines.append(f"| {' | '.join([*cells, *(_costs(own, plain) if not index else [''] * 8)])} |")
    return lines


def _shown(pairs: Pairs, measure: Measure) -> str:
    value, low, high = interval(pairs, measure)
    return f"{value:.3f} [{low:.2f}, {high:.2f}]"


def _costs(own: Pairs, plain: Pairs) -> list[str]:
    leaves = sum(answer.leaves for _, answer in own)
    unsupported = sum(answer.unsupported for _, answer in own)
    decided = sorted({answer.decided_by for _, answer in own if answer.decided_by})
    return [
        f"{validity(own):.3f}",
        f"{validity(plain):.3f}" if plain else "",
        f"{unsupported / leaves:.3f}" if leaves else "",
        f"{_mean(own, lambda answer: answer.seconds):.2f}",
        f"{_mean(plain, lambda answer: answer.seconds):.2f}" if plain else "",
        f"{_mean(own, lambda answer: answer.tokens):.0f}",
        f"{_mean(plain, lambda answer: answer.tokens):.0f}" if plain else "",
        ", ".join(decided),
    ]


def _mean(pairs: Pairs, part: Callable[[Answer], float]) -> float:
    return sum(part(answer) for _, answer in pairs) / max(1, len(pairs))


def _calibrated(sets: dict[str, list[Row]], kept: Kept) -> list[str]:
    """What the confidence of the classifications is worth."""
    lines = [
        "",
        "| set | examples a label | rows | accuracy | calibration error | coverage at 90 % precision"
        " | AUROC of out of scope |",
        "|---|---|---|---|---|---|---|",
    ]
    empty = len(lines)
    for name, rows in sets.items():
        for stem, examples in ((f"{name}.ours", 0), (f"{name}.10-examples", 10)):
            pairs = _pairs(rows, kept(stem)) if rows[0].task == "classify" else []
            if pairs:
                right = _shown(pairs, measures_of(pairs[0][0])["accuracy"])
                apart, share = _shown(pairs, calibration_error), _shown(pairs, coverage)
                outside = _shown(pairs, out_of_scope) if any(row.abstain for row, _ in pairs) else ""
                lines.append(
                    f"| {name} | {examples} | {len(pairs)} | {right} | {apart} | {share} | {outside} |"
                )
    return lines if len(lines) > empty else []
