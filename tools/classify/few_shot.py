"""Few-shot classifier trained on a call's examples: kernel ridge regression on the zero-shot residual.

Similarity is that of the embeddings plus that of the words (TF-IDF of words and pairs). The closed form of
leave-one-out gives the answer each example would get without itself. Ridge strength, weight of the zero-shot
answer and temperature come from it: every combination of a small grid is averaged, weighted by the likelihood
of the left-out labels, which also calibrates the confidence. Measured on public sets (docs/quality.md).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]
Labels = NDArray[np.intp]
Classifier = Callable[[Sequence[str], Matrix, Matrix], Matrix]
"""``classifier(texts, vectors, zero_shot_probabilities)``: label probabilities, a row per text."""

# Grids: each covers the range from trusting only the examples to trusting only the label's words.
_RIDGES = (0.03, 0.1, 0.3, 1.0)
_TRUSTS = (0.0, 0.3, 0.6, 1.0)
_TEMPERATURES = (0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5)

EXAMPLES_AT_MOST = 2_000
"""Examples used; fitting grows with their cube, and 2,000 take seconds."""

READ = 2_000
"""Characters of a text whose words count; forms and code are kept here, because they are informative."""

_WORD = re.compile(r"[^\W_][\w']*")
_ROWS = 256


def fit(texts: Sequence[str], vectors: Matrix, labels: Labels, prior: Matrix) -> Classifier:
    """Fits the examples ``texts``, embedded as ``vectors``, whose zero-shot probabilities are ``prior``.

    ``labels`` are column numbers of ``prior``. A label without examples keeps its zero-shot probability.
    """
    kept = _balanced_subset(labels)
    texts, vectors, labels, prior = [texts[i] for i in kept], vectors[kept], labels[kept], prior[kept]
    terms = _Terms(texts)
    example_terms = terms.weigh(texts)
    targets = np.eye(prior.shape[1], dtype=np.float32)[labels]
    # Labels without examples need the zero-shot answer at full weight.
    trusts = _TRUSTS if targets.any(axis=0).all() else (1.0,)
    fits = list(_grid_fits(vectors @ vectors.T + example_terms @ example_terms.T, targets, prior, trusts))
    likelihood = np.array([fit_result[0] for fit_result in fits])
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()

    def predict(items: Sequence[str], embedded: Matrix, expected: Matrix) -> Matrix:
        near = embedded @ vectors.T + terms.similarity(items, example_terms)
        probabilities = np.zeros_like(expected)
        for weight, (_, dual, trust, temperature) in zip(weights, fits, strict=True):
            if weight > 1e-4:
                probabilities += weight * softmax((trust * expected + near @ dual) / temperature)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    return predict


def _grid_fits(
    kernel: Matrix, targets: Matrix, prior: Matrix, trusts: Sequence[float]
) -> Iterator[tuple[float, Matrix, float, float]]:
    """Yields log-likelihood of the left-out labels, dual weights, trust and temperature, over the grid."""
    values, basis = np.linalg.eigh(kernel)
    truth = targets.argmax(axis=1)
    for ridge, trust in product(_RIDGES, trusts):
        shrunk = basis / (np.maximum(values, 0) + ridge)
        dual = shrunk @ (basis.T @ (targets - trust * prior))
        # Closed form of leave-one-out: the residual over the diagonal of the inverse.
        left_out = targets - dual / (shrunk * basis).sum(axis=1)[:, None]
        for temperature in _TEMPERATURES:
            probabilities = softmax(left_out / temperature)[np.arange(len(truth)), truth]
            yield float(np.log(np.maximum(probabilities, 1e-9)).sum()), dual, trust, temperature


def _balanced_subset(labels: Labels) -> list[int]:
    """Returns at most ``EXAMPLES_AT_MOST`` examples, taken from the labels in turn."""
    seen: Counter[int] = Counter()
    turn: list[tuple[int, int]] = []
    for index, label in enumerate(labels.tolist()):
        turn.append((seen[label], index))
        seen[label] += 1
    return sorted(index for _, index in sorted(turn)[:EXAMPLES_AT_MOST])


class _Terms:
    """TF-IDF weights of the examples' words and word pairs (presence only)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(term for text in texts for term in _terms(text))
        self._column = {term: index for index, term in enumerate(counts)}
        self._weights = np.array(
            [math.log((1 + len(texts)) / (1 + count)) + 1 for count in counts.values()], dtype=np.float32
        )

    def weigh(self, texts: Sequence[str]) -> Matrix:
        """Returns a unit row for each text; a text without known words is all zeros."""
        table = np.zeros((len(texts), len(self._column)), dtype=np.float32)
        for row, text in enumerate(texts):
            known = [self._column[term] for term in _terms(text) if term in self._column]
            table[row, known] = self._weights[known]
        return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)

    def similarity(self, texts: Sequence[str], example_terms: Matrix) -> Matrix:
        """Returns cosines of ``texts`` with the rows of ``example_terms``, in slices to limit memory."""
        slices = [texts[start : start + _ROWS] for start in range(0, len(texts), _ROWS)]
        return np.concatenate([self.weigh(part) @ example_terms.T for part in slices])


def _terms(text: str) -> set[str]:
    found = _WORD.findall(text[:READ].lower())
    return {*found, *(f"{one} {other}" for one, other in pairwise(found))}


def softmax(scores: Matrix) -> Matrix:
    """Returns rows as probabilities."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
