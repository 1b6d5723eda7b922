"""A small head trained on a call's examples: kernel ridge regression that starts from the zero-shot answer.

Similarity is that of the embeddings plus that of the words (TF-IDF of words and pairs). Its closed form
gives the answer each example would have got had it not been there, so strength, trust in the zero-shot
answer and temperature are not constants: every combination of a small grid votes, weighted by how
probable it makes the left-out labels. Confidence comes calibrated by the same left-out answers.

At 10 examples a label, two draws, on twenty-two public sets that docs/quality.md does not report on: 3 points
over logistic regression (C=10, not tuned, without the zero-shot answer) on the same features, calibration
error 0.07 against 0.14. Another weight of the two likenesses, stems, pieces of words, the first line's words
apart, each view by itself and centred vectors were tried there: within half a point.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from tools.classify.calibration import softmax

Matrix = NDArray[np.floating]
Labels = NDArray[np.intp]
Head = Callable[[Sequence[str], Matrix, Matrix], Matrix]
"""``head(texts, vectors, zero_shot_probabilities)``: probabilities of the labels, a row a text."""

# Grids, not choices: each covers the range from "believe the examples" to "believe the label's words".
_RIDGES = (0.03, 0.1, 0.3, 1.0)
_TRUSTS = (0.0, 0.3, 0.6, 1.0)
_TEMPERATURES = (0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5)

EXAMPLES_AT_MOST = 2_000
"""Fitting grows with the cube of the examples: 2,000 take seconds."""

READ = 2_000
"""Characters of a text whose words count; forms and code are kept here, they tell much."""

_WORD = re.compile(r"[^\W_][\w']*")
_ROWS = 256


def head(texts: Sequence[str], vectors: Matrix, labels: Labels, prior: Matrix) -> Head:
    """Fit the examples ``texts``, embedded as ``vectors``, whose zero-shot probabilities are ``prior``.

    ``labels`` are column numbers of ``prior``. A label without examples keeps its zero-shot chances.
    """
    kept = _spread(labels)
    texts, vectors, labels, prior = [texts[i] for i in kept], vectors[kept], labels[kept], prior[kept]
    lexicon = _Lexicon(texts)
    said = lexicon.weigh(texts)
    targets = np.eye(prior.shape[1], dtype=np.float32)[labels]
    # Without examples of every label, the examples alone cannot speak for those that have none.
    trusts = _TRUSTS if targets.any(axis=0).all() else (1.0,)
    votes = list(_votes(vectors @ vectors.T + said @ said.T, targets, prior, trusts))
    likelihood = np.array([vote[0] for vote in votes])
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()

    def predict(items: Sequence[str], embedded: Matrix, expected: Matrix) -> Matrix:
        near = embedded @ vectors.T + lexicon.likeness(items, said)
        odds = np.zeros_like(expected)
        for weight, (_, dual, trust, temperature) in zip(weights, votes, strict=True):
            if weight > 1e-4:
                odds += weight * softmax((trust * expected + near @ dual) / temperature)
        return odds / odds.sum(axis=1, keepdims=True)

    return predict


def _votes(
    kernel: Matrix, targets: Matrix, prior: Matrix, trusts: Sequence[float]
) -> Iterator[tuple[float, Matrix, float, float]]:
    """Log-likelihood of the left-out labels, dual weights, trust and temperature, over the grid."""
    values, basis = np.linalg.eigh(kernel)
    truth = targets.argmax(axis=1)
    for ridge, trust in product(_RIDGES, trusts):
        shrunk = basis / (np.maximum(values, 0) + ridge)
        dual = shrunk @ (basis.T @ (targets - trust * prior))
        # The closed form of leaving one out: the residual over the diagonal of the inverse.
        left_out = targets - dual / (shrunk * basis).sum(axis=1)[:, None]
        for temperature in _TEMPERATURES:
            odds = softmax(left_out / temperature)[np.arange(len(truth)), truth]
            yield float(np.log(np.maximum(odds, 1e-9)).sum()), dual, trust, temperature


def _spread(labels: Labels) -> list[int]:
    """At most ``EXAMPLES_AT_MOST`` examples, in turn from each label."""
    seen: Counter[int] = Counter()
    turn: list[tuple[int, int]] = []
    for index, label in enumerate(labels.tolist()):
        turn.append((seen[label], index))
        seen[label] += 1
    return sorted(index for _, index in sorted(turn)[:EXAMPLES_AT_MOST])


class _Lexicon:
    """Words and pairs of words of the examples, the rarer the heavier (TF-IDF, presence only)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(term for text in texts for term in _terms(text))
        self._column = {term: index for index, term in enumerate(counts)}
        self._weights = np.array(
            [math.log((1 + len(texts)) / (1 + count)) + 1 for count in counts.values()], dtype=np.float32
        )

    def weigh(self, texts: Sequence[str]) -> Matrix:
        """A unit row for each text; a text without known words is all zeros."""
        table = np.zeros((len(texts), len(self._column)), dtype=np.float32)
        for row, text in enumerate(texts):
            known = [self._column[term] for term in _terms(text) if term in self._column]
            table[row, known] = self._weights[known]
        return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)

    def likeness(self, texts: Sequence[str], said: Matrix) -> Matrix:
        """Cosines of ``texts`` with the rows of ``said``, in slices: the tables are wide."""
        slices = [texts[start : start + _ROWS] for start in range(0, len(texts), _ROWS)]
        return np.concatenate([self.weigh(part) @ said.T for part in slices])


def _terms(text: str) -> set[str]:
    found = _WORD.findall(text[:READ].lower())
    return {*found, *(f"{one} {other}" for one, other in pairwise(found))}
