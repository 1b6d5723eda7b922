"""What answers are worth: accuracy, F1, calibration, coverage, each with its bootstrap interval."""

import json
import random
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
"""Of the expected calibration error: of equal width."""
PRECISION = 0.9


@dataclass(frozen=True, slots=True)
class Answer:
    """One row's answer, as it is kept in a file."""

    id: str
    value: JsonValue = None
    valid: bool = False
    error: str = ""
    confidence: float | None = None
    abstained: bool = False
    decided_by: str = ""
    leaves: int = 0
    """Values an extraction gave."""
    unsupported: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def as_json(self) -> JsonObject:
        return asdict(self)


T = TypeVar("T")
Pairs = Sequence[tuple[Row, Answer]]
Measure = Callable[[Pairs], float]


def measures_of(row: Row) -> dict[str, Measure]:
    """What a set's rows are measured by, the main measure first."""
    if row.task == "classify":
        return {"accuracy": accuracy, "macro F1": macro_f1}
    if row.task == "extract":
        return {"F1": slot_f1, "exact": exact}
    if row.task == "summarize":
        return {f"ROUGE-{kind}": _mean_rouge(f"rouge{kind}") for kind in ("1", "2", "L")}
    return {"valid": validity}


def validity(pairs: Pairs) -> float:
    return _mean([answer.valid for _, answer in pairs])


def accuracy(pairs: Pairs) -> float:
    """Of the rows some label fits."""
    return _mean([answer.value == row.gold for row, answer in pairs if not row.abstain])


def gain(both: Sequence[tuple[bool, bool]]) -> float:
    """How many more are right in the first way than in the second."""
    return _mean([one - other for one, other in both])


def macro_f1(pairs: Pairs) -> float:
    """The mean over the labels that occur."""
    gold = Counter(str(row.gold) for row, _ in pairs if not row.abstain)
    said = Counter(str(answer.value) for row, answer in pairs if not row.abstain)
    right = Counter(str(row.gold) for row, answer in pairs if not row.abstain and answer.value == row.gold)
    return _mean([2 * right[label] / (gold[label] + said[label]) for label in gold])


def slot_f1(pairs: Pairs) -> float:
    """Over all values of all rows, by name and string; what is null or an empty list counts as nothing."""
    common = said = wanted = 0
    for row, answer in pairs:
        one, other = Counter(_slots(answer.value)), Counter(_slots(row.gold))
        common += sum((one & other).values())
        said += sum(one.values())
        wanted += sum(other.values())
    return 2 * common / (said + wanted) if said + wanted else 1.0


def exact(pairs: Pairs) -> float:
    return _mean([Counter(_slots(answer.value)) == Counter(_slots(row.gold)) for row, answer in pairs])


def _slots(value: JsonValue, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        # A record in a list is one value with the parts that make it.
        for key, child in value.items():
            yield from _slots(child, f"{name}/{key}")
    elif isinstance(value, list):
        for child in value:
            whole = json.dumps(child, sort_keys=True) if isinstance(child, dict) else child
            yield from _slots(whole, name)
    elif value is not None:
        yield f"{name}={value}"


def _mean_rouge(kind: str) -> Measure:
    def measure(pairs: Pairs) -> float:
        return _mean([_rouge(row, answer)[kind] for row, answer in pairs])

    return measure


def _rouge(row: Row, answer: Answer) -> dict[str, float]:
    references = cast("list[str]", cast("JsonObject", row.gold)["references"])
    return rouge(answer.value if isinstance(answer.value, str) else "", tuple(references))


def calibration_error(pairs: Pairs) -> float:
    """How far confidence and accuracy are apart, over bins of confidence, weighted by their rows."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in _judged(pairs):
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    count = sum(map(len, bins))
    gaps = (abs(sum(c for c, _ in held) - sum(right for _, right in held)) for held in bins)
    return sum(gaps) / count if count else 0.0


def coverage(pairs: Pairs) -> float:
    """The largest share of rows, surest first, of which nine in ten are right."""
    ranked = sorted(_judged(pairs), key=lambda judged: -judged[0])
    right, best = 0, 0
    for index, (_, is_right) in enumerate(ranked, 1):
        right += is_right
        best = index if right / index >= PRECISION else best
    return best / len(ranked) if ranked else 0.0


def accurate_at(pairs: Pairs, share: float) -> float:
    """The share of right answers among the surest ``share`` of rows; one no label fits is never right."""
    ranked = sorted(_judged(pairs), key=lambda judged: -judged[0])
    held = ranked[: max(1, round(share * len(ranked)))]
    return _mean([right for _, right in held])


def out_of_scope(pairs: Pairs) -> float:
    """How often a row that some label fits has a higher confidence than one that none fits (AUROC)."""
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
    """The measure, its mean where there are more sets, and the 95 % interval of it over rows drawn again."""
    chance = random.Random(SEED)
    drawn = sorted(
        _mean([measure(chance.choices(rows, k=len(rows))) for rows in sets]) for _ in range(RESAMPLES)
    )
    value = _mean([measure(rows) for rows in sets])
    return value, drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES) - 1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
