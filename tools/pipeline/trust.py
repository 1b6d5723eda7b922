"""Model size thresholds of the tools. A model of unknown size passes: the operator chose it."""

from engines.base import Profile

DECIDES = 3.0
"""Billions of weights from which a model's answer takes precedence over the rules."""
WRITES = 1.0
"""Billions of weights from which a model is asked for fields the rules leave open.

Smaller models make such values up; measured with SmolLM2-135M (docs/quality.md).
"""


def decides(profile: Profile) -> bool:
    return not profile.parameters or profile.parameters >= DECIDES


def writes(profile: Profile) -> bool:
    return not profile.parameters or profile.parameters >= WRITES
