"""Turns text-label similarities into calibrated label probabilities, for all items of a call together.

Constants were chosen on the public data sets listed in ``tools.classify.scoring``.
"""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

TEMPERATURE = 0.055
"""Softmax temperature of cosines, where all readings of a text and a label agree.

The variance of the readings is added to its square. Measured on the public sets.
"""

BATCH_TEMPERATURE, BIAS_FACTOR = 0.05, 2.5
"""The same among many items: ``0.05 * (1 + 2.5 * bias)``; measured on the same sets."""

REFINEMENT, FEW_OWN = 1.0, 20.0
"""Weight of the similarity to a label's own items beside that to its words, and how many items give
half of it.

Best mean of fifteen pairs on the public sets.
"""

ROUNDS = 4
FEW_ITEMS = 10.0
"""Items at which what a call's items have in common counts half; 5 and 20 measured equal."""

NEIGHBOURS, NEIGHBOUR_WEIGHT = 5, 0.1
"""With examples: number of nearest items that influence an item, and their weight (times their cosine).

Measured on twenty-two public sets; without examples it gains nothing.
"""

BLOCK = 2_000
"""Items among which neighbours are searched: 50,000 at once took a minute."""


def zero_shot(items: Matrix, scores: Matrix, readings: Matrix) -> Matrix:
    """Returns label probabilities (columns) for ``items`` from their ``scores``, cosines to the labels.

    One item: a softmax. Several: each label moves towards the items that are more likely its own than all
    others' together (a few rounds of k-means), with a weight that grows with their number. Two things raise
    the temperature: how unequally the labels share the items, and how far ``readings`` (the same scores by
    view, item, phrase and label) disagree on the lead of an item's best label over the next.
    """
    count = len(items)
    refined, temperature = scores, TEMPERATURE
    if count > 1:
        weight = count / (count + FEW_ITEMS)
        refined = _refined(items, scores, weight)
        batch_temperature = BATCH_TEMPERATURE * (1 + BIAS_FACTOR * _bias(scores))
        temperature = weight * batch_temperature + (1 - weight) * TEMPERATURE
    return softmax(refined / np.sqrt(temperature**2 + _lead_variance(refined, readings))[:, None])


def _refined(items: Matrix, scores: Matrix, weight: float) -> Matrix:
    around = items - items.mean(axis=0)
    refined = scores
    for _ in range(ROUNDS):
        share = softmax(refined / TEMPERATURE)
        own = np.where(share >= 0.5, share, 0)
        mass = own.sum(axis=0)
        centres = (own.T @ around) / (mass + FEW_OWN)[:, None]
        refined = scores + REFINEMENT * weight * (around @ centres.T)
    return refined


def _lead_variance(scores: Matrix, readings: Matrix) -> Vector:
    """Returns each item's variance, over the readings, of its best label's lead over its second best."""
    order = np.argsort(-scores, axis=1)
    rows, best, second = np.arange(len(scores)), order[:, 0], order[:, min(1, scores.shape[1] - 1)]
    leads = readings[:, rows, :, best] - readings[:, rows, :, second]
    return leads.var(axis=(1, 2))


def smoothed_by_neighbours(items: Matrix, probabilities: Matrix) -> Matrix:
    """Returns ``probabilities`` of ``items``, mixed with those of the nearest other items of the call.

    A text between two labels moves to those of the texts it resembles; the weight is small for few items.
    """
    blocks = np.array_split(np.arange(len(items)), math.ceil(len(items) / BLOCK))
    neighbours = np.concatenate([_neighbour_average(items[block], probabilities[block]) for block in blocks])
    mixed = probabilities + NEIGHBOUR_WEIGHT * len(items) / (len(items) + FEW_ITEMS) * neighbours
    return mixed / mixed.sum(axis=1, keepdims=True)


def _neighbour_average(items: Matrix, probabilities: Matrix) -> Matrix:
    """Returns the sum of the nearest items' probabilities, weighted by similarity."""
    likeness = items @ items.T
    np.fill_diagonal(likeness, -1)
    nearest = np.argpartition(likeness, -min(NEIGHBOURS, len(items)), axis=1)[:, -NEIGHBOURS:]
    weights = np.maximum(np.take_along_axis(likeness, nearest, axis=1), 0)
    return (weights[:, :, None] * probabilities[nearest]).sum(axis=1)


def _bias(scores: Matrix) -> float:
    """Returns how much of the differences between labels is the same for all items, 0 to 1.

    Of the measures tried on the public sets, it correlates best with a set's best temperature.
    """
    centred = scores - scores.mean(axis=1, keepdims=True)
    return float(np.abs(centred.mean(axis=0)).mean() / max(float(centred.std()), 1e-6))


def softmax(scores: Matrix) -> Matrix:
    """Returns rows as probabilities."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
