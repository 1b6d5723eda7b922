"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004): F1 of lowercased words, without stemming or stop words.

ROUGE-L is taken over the whole texts, not per sentence; with several references the best counts.
The figures are a few points under those of packages that stem.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@cache
def rouge(answer: str, references: tuple[str, ...]) -> dict[str, float]:
    """Returns the best F1 over ``references`` of each measure, between 0 and 1.

    Cached: bootstrap resamples repeat the same rows.
    """
    predicted = words(answer)
    measures = {"rouge1": _ngrams(1), "rouge2": _ngrams(2), "rougeL": _longest}
    return {
        name: max((measure(predicted, words(reference)) for reference in references), default=0.0)
        for name, measure in measures.items()
    }


class _ngrams:  # noqa: N801 (a function with a parameter)
    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, predicted: Sequence[str], expected: Sequence[str]) -> float:
        one, other = self._counted(predicted), self._counted(expected)
        return _f1(sum((one & other).values()), sum(one.values()), sum(other.values()))

    def _counted(self, predicted: Sequence[str]) -> Counter[tuple[str, ...]]:
        return Counter(zip(*(predicted[at:] for at in range(self._size)), strict=False))


def _longest(predicted: Sequence[str], expected: Sequence[str]) -> float:
    """Returns the F1 of the longest common subsequence, computed one table row at a time."""
    row = [0] * (len(expected) + 1)
    for word in predicted:
        corner = 0
        for index, other in enumerate(expected, 1):
            above = row[index]
            row[index] = corner + 1 if word == other else max(above, row[index - 1])
            corner = above
    return _f1(row[-1], len(predicted), len(expected))


def _f1(common: int, predicted: int, expected: int) -> float:
    return 2 * common / (predicted + expected) if common else 0.0
