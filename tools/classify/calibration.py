"""From how near texts are to labels to how probable each label is, for the items of one call together.

The public sets that constants were chosen on are those of ``tools.classify.scoring``.
"""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

TEMPERATURE = 0.055
"""Cosines over this are log-odds, where all readings of a text and a label agree.

The disagreement of the readings, a variance, is added to its square. Mean calibration error on the public
sets: 0.112; with 0.05 or this, whichever kind of set is left out, 0.115. One temperature for all has 0.124 at
its best (0.07) and 0.134 when it is chosen on the other sets.
"""

COMPANY_TEMPERATURE, MISTRUST = 0.05, 2.5
"""The same among many items, ``0.05 * (1 + 2.5 * bias)``: 0.103 there (0.109 without the disagreement)."""

REFINEMENT, FEW_OWN = 1.0, 20.0
"""Weight of the likeness to the items that seem to be a label's own, beside that to the label's words, and
how many of them bring half of it.

Against each item alone this gains 0.023 of accuracy on the public sets as they are, nothing where ten share a
call, and loses 0.010 where nine of ten items have one label: of fifteen pairs the best mean of these.
"""

ROUNDS = 4
FEW_ITEMS = 10.0
"""Items after which what a call's items have in common counts half: 5 and 20 are as good there."""

NEIGHBOURS, NEIGHBOURLY = 5, 0.1
"""With examples: how many of the other items have a say in what an item is, and how loud, times their
cosine.

On twenty-two public sets, ten examples a label, two draws: accuracy +0.003, calibration error -0.004, and
where nine of ten items have one label +0.009 and -0.005. Without examples it gains nothing.
"""

BLOCK = 2_000
"""Items among which neighbours are looked for: among all 50,000 that a call may have it took a minute."""


def zero_shot(items: Matrix, scores: Matrix, readings: Matrix) -> Matrix:
    """Probabilities of the labels (columns) for ``items`` by their ``scores``, cosines to the labels.

    One item: a softmax. Several: each label moves towards the items that are more likely its own than
    all others' together (a few rounds of k-means), fading in with their number. Two things raise the
    temperature: how unequally the labels share the items, and for each item how far ``readings``, the same
    scores by view, item, phrase and label, disagree on the lead of its best label over the next.
    """
    count = len(items)
    refined, temperature = scores, TEMPERATURE
    if count > 1:
        weight = count / (count + FEW_ITEMS)
        refined = _refined(items, scores, weight)
        company = COMPANY_TEMPERATURE * (1 + MISTRUST * _bias(scores))
        temperature = weight * company + (1 - weight) * TEMPERATURE
    return softmax(refined / np.sqrt(temperature**2 + _doubt(refined, readings))[:, None])


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


def _doubt(scores: Matrix, readings: Matrix) -> Vector:
    """For each item the variance, over the readings, of its best label's lead over its second best."""
    order = np.argsort(-scores, axis=1)
    rows, best, second = np.arange(len(scores)), order[:, 0], order[:, min(1, scores.shape[1] - 1)]
    leads = readings[:, rows, :, best] - readings[:, rows, :, second]
    return leads.var(axis=(1, 2))


def agreed(items: Matrix, probabilities: Matrix) -> Matrix:
    """``probabilities`` of ``items`` after the nearest others of the call have had a small say.

    A text between two labels goes with the texts it resembles; in a call of few items hardly at all.
    """
    blocks = np.array_split(np.arange(len(items)), math.ceil(len(items) / BLOCK))
    heard = np.concatenate([_heard(items[block], probabilities[block]) for block in blocks])
    told = probabilities + NEIGHBOURLY * len(items) / (len(items) + FEW_ITEMS) * heard
    return told / told.sum(axis=1, keepdims=True)


def _heard(items: Matrix, probabilities: Matrix) -> Matrix:
    """What the nearest others say of each item, the nearer the louder."""
    likeness = items @ items.T
    np.fill_diagonal(likeness, -1)
    nearest = np.argpartition(likeness, -min(NEIGHBOURS, len(items)), axis=1)[:, -NEIGHBOURS:]
    say = np.maximum(np.take_along_axis(likeness, nearest, axis=1), 0)
    return (say[:, :, None] * probabilities[nearest]).sum(axis=1)


def _bias(scores: Matrix) -> float:
    """How much of the differences between labels is the same for all items, 0 to 1.

    Over the public sets its rank correlation with the best temperature of a set is 0.6, the highest of the
    measures tried (number of labels, their likeness, nearness of everyday texts, ...).
    """
    centred = scores - scores.mean(axis=1, keepdims=True)
    return float(np.abs(centred.mean(axis=0)).mean() / max(float(centred.std()), 1e-6))


def softmax(scores: Matrix) -> Matrix:
    """Rows as probabilities."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
