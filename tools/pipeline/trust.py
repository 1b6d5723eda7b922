"""How far a model's own words are trusted, by its size; one of unknown size was chosen by somebody."""

from engines.base import Profile

DECIDES = 3.0
"""Billions of weights from which a model's answer goes before what rules find."""
WRITES = 1.0
"""Billions of weights from which a model is asked for what rules leave open; smaller ones make it up.

SmolLM2-135M, asked to fill a schema from a short text, gets one value in twenty right (docs/quality.md).
"""


def decides(profile: Profile) -> bool:
    return not profile.parameters or profile.parameters >= DECIDES


def writes(profile: Profile) -> bool:
    return not profile.parameters or profile.parameters >= WRITES
