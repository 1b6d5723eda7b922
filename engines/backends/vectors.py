"""Arithmetic on embeddings, without numpy, whose import is slow."""

import math
from collections.abc import Sequence


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """Returns ``vector`` with length 1; a zero vector stays as it is."""
    length = math.hypot(*vector) or 1.0
    return tuple(x / length for x in vector)
