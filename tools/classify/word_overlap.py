"""Measures how many of a label's words occur in a text, which sentence embeddings blur."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.sources.words import COMMON, stem, words

SHORTEST = 3
"""Least letters of a word that counts; shorter ones occur in too many texts."""


def overlap(texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.floating]:
    """Returns for each text (row) the share of each label's (column) words that it contains, 0 to 1.

    A word weighs more the fewer labels have it: ``card`` is uninformative among forty card labels.
    """
    stems = [_stems(label) for label in labels]
    counts = Counter(word for several in stems for word in several)
    weights = {word: math.log((1 + len(labels)) / count) for word, count in counts.items()}
    owners: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for column, several in enumerate(stems):
        whole = sum(weights[word] for word in several) or 1.0
        for word in several:
            owners[word].append((column, weights[word] / whole))
    shares = np.zeros((len(texts), len(labels)), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in _stems(text) & owners.keys():
            for column, weight in owners[word]:
                shares[row, column] += weight
    return shares


def _stems(text: str) -> set[str]:
    return {stem(word) for word in words(text) if len(word) >= SHORTEST and word not in COMMON}
