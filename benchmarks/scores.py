"""Scores answers: accuracy, F1, calibration and coverage, with bootstrap intervals."""

import random
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar, cast

from benchmarks.rouge import rouge
from benchmarks.rows import Row
from engines.base import JsonObject, JsonValue

RESAMPLES = 1_000
SEED = 20_261
BINS = 10
"""Equal-width bins of the expected calibration error."""
PRECISION = 0.9
ARTICLES = re.compile(r"\b(?:a|an|the|el|la|los|las|un|una)\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """One row's answer, as stored in a file."""

    id: str
    value: JsonValue = None
    valid: bool = False
    error: str = ""
    confidence: float | None = None
    abstained: bool = False
    decided_by: str = ""
    leaves: int = 0
    """Number of values an extraction returned."""
    unsupported: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def as_json(self) -> JsonObject:
        return asdict(self)


T = TypeVar("T")
Pairs = Sequence[tuple[Row, Answer]]
Both = Sequence[tuple[Row, Answer, Answer]]
Measure = Callable[[Pairs], float]


MEASURES = {"classify": "accuracy", "extract": "slot F1", "summarize": "ROUGE-L", "chat": "token F1"}


def measure_of(task: str) -> Measure:
    """Returns the measure that ``MEASURES`` names."""
    return {"classify": accuracy, "extract": slot_f1, "summarize": rouge_l, "chat": token_f1}[task]


def validity(pairs: Pairs) -> float:
    return _mean([answer.valid for _, answer in pairs])


def accuracy(pairs: Pairs) -> float:
    """Returns the accuracy over the rows that a label fits."""
    return _mean([answer.value == row.gold for row, answer in pairs if not row.abstain])


def gain(measure: Measure) -> Callable[[Both], float]:
    """Returns a function for the score of the first answers minus that of the second ones."""

    def gained(both: Both) -> float:
        return measure([(row, one) for row, one, _ in both]) - measure([(row, two) for row, _, two in both])

    return gained


def slot_f1(pairs: Pairs) -> float:
    """Returns micro F1 over all scalar values, by path and normalized string, without null and \"\"."""
    common = predicted = expected = 0
    for row, answer in pairs:
        one, other = Counter(_slots(answer.value)), Counter(_slots(row.gold))
        common += (one & other).total()
        predicted += one.total()
        expected += other.total()
    return 2 * common / max(predicted + expected, 1)


def _slots(value: JsonValue, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _slots(child, f"{path}/{key}")
    elif isinstance(value, list):
        for child in value:
            yield from _slots(child, f"{path}/*")
    elif value not in (None, ""):
        yield f"{path}={' '.join(str(value).split()).lower()}"


def rouge_l(pairs: Pairs) -> float:
    return _mean([_rouge(row, answer) for row, answer in pairs])


def _rouge(row: Row, answer: Answer) -> float:
    references = cast("list[str]", cast("JsonObject", row.gold)["references"])
    return rouge(answer.value if isinstance(answer.value, str) else "", tuple(references))["rougeL"]


def token_f1(pairs: Pairs) -> float:
    """Returns F1 over words without articles, against the best of the accepted answers (SQuAD)."""
    return _mean([_token_f1(row, answer) for row, answer in pairs])


def _token_f1(row: Row, answer: Answer) -> float:
    predicted = _words(str(answer.value or ""))
    accepted = [_words(one) for one in cast("list[str]", cast("JsonObject", row.gold)["answers"])]
    return max(2 * (predicted & one).total() / max((predicted + one).total(), 1) for one in accepted)


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", ARTICLES.sub(" ", text.lower())))


def reliability(pairs: Pairs) -> list[tuple[float, float, int]]:
    """Returns mean confidence, accuracy and number of rows of each bin of confidence that has rows."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in _judged(pairs):
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    return [
        (_mean([confidence for confidence, _ in held]), _mean([right for _, right in held]), len(held))
        for held in bins
        if held
    ]


def calibration_error(pairs: Pairs) -> float:
    """Returns the expected calibration error (ECE) over bins of confidence."""
    bins = reliability(pairs)
    count = sum(rows for _, _, rows in bins)
    return sum(rows * abs(confidence - accuracy) for confidence, accuracy, rows in bins) / max(count, 1)


def coverage(pairs: Pairs) -> float:
    """Returns the largest share of rows, most confident first, of which nine in ten are right."""
    ranked = sorted(_judged(pairs), key=lambda judged: -judged[0])
    right, best = 0, 0
    for index, (_, is_right) in enumerate(ranked, 1):
        right += is_right
        best = index if right / index >= PRECISION else best
    return best / len(ranked) if ranked else 0.0


def accurate_at(pairs: Pairs, share: float) -> float:
    """Returns the accuracy of the most confident ``share`` of rows; a row no label fits is never right."""
    ranked = sorted(_judged(pairs), key=lambda judged: -judged[0])
    held = ranked[: max(1, round(share * len(ranked)))]
    return _mean([right for _, right in held])


def out_of_scope(pairs: Pairs) -> float:
    """Returns the AUROC of confidence between rows that a label fits and rows that none fits."""
    inside = [answer.confidence or 0.0 for row, answer in pairs if not row.abstain]
    outside = sorted(answer.confidence or 0.0 for row, answer in pairs if row.abstain)
    wins = sum(bisect_left(outside, one) + bisect_right(outside, one) for one in inside)
    return wins / (2 * len(inside) * len(outside)) if inside and outside else 0.0


def _judged(pairs: Pairs) -> list[tuple[float, bool]]:
    return [
        (answer.confidence, not row.abstain and answer.value == row.gold)
        for row, answer in pairs
        if answer.confidence is not None
    ]


def interval(
    sets: Sequence[Sequence[T]], measure: Callable[[Sequence[T]], float]
) -> tuple[float, float, float]:
    """Returns the measure, or its mean over several sets, and its 95 % bootstrap interval."""
    chance = random.Random(SEED)
    drawn = sorted(
        _mean([measure(chance.choices(rows, k=len(rows))) for rows in sets]) for _ in range(RESAMPLES)
    )
    value = _mean([measure(rows) for rows in sets])
    return value, drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES) - 1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
