"""How much embeddings and a model are believed, measured per model by ``local-llm-agent calibrate``.

Each gives a distribution over the labels. A weight is an exponent: a distribution to the power of its weight,
normalised, is as sure as it is often right (temperature scaling, Guo et al. 2017); the product of two is the
answer of both (logarithmic opinion pool, Hinton 2002).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import cast

from engines.base import JsonObject, Profile

Distribution = Sequence[float]
"""Probability of each label, in the order of the call's labels."""

FLOOR = 1e-4
"""Added to each probability, so that neither side alone can rule a label out."""

SHIPPED = Path(__file__).with_name("calibrations.json")
DEFAULT = "default"
"""Name in ``SHIPPED`` of what holds for a model that was never measured."""


@dataclass(frozen=True, slots=True)
class Weights:
    alone: float
    """Weight of the embeddings' distribution where it answers alone."""
    embedding: float
    model: float
    """Weights of the two distributions in the answer of both."""
    sure: float
    """Confidence from which embeddings answer alone. 0: the model is never asked; over 1: always."""

    def by_embedding(self, probabilities: Distribution) -> list[float]:
        return combined((probabilities, self.alone))

    def by_both(self, embedding: Distribution, model: Distribution) -> list[float]:
        return combined((embedding, self.embedding), (model, self.model))


@dataclass(frozen=True, slots=True)
class Calibration:
    english: Weights
    other: Weights
    """For texts in other languages, which an embedding model may not know."""
    source: str
    """``measured`` on this machine, ``shipped``, or ``default``."""

    @property
    def asks(self) -> bool:
        """Whether the model's answers are worth asking for."""
        return self.english.sure > 0


def combined(*weighted: tuple[Distribution, float]) -> list[float]:
    """Returns the normalised product of distributions, each to the power of its weight."""
    powers = [
        math.prod((FLOOR + p) ** weight for p, (_, weight) in zip(each, weighted, strict=True))
        for each in zip(*(distribution for distribution, _ in weighted), strict=True)
    ]
    total = sum(powers)
    return [power / total for power in powers]


def calibration_of(profile: Profile, folder: Path | None) -> Calibration:
    """Returns what was measured for the profile's models: by the user, else by us, else the default."""
    if folder:
        try:
            text = (folder / file_name(profile.model, profile.embedding_model)).read_text(encoding="utf-8")
            stored = cast("JsonObject", json.loads(text))
            # Another model under the same name was not measured.
            if stored["parameters"] == profile.parameters:
                return _calibration(stored, "measured")
        except (OSError, ValueError, TypeError, KeyError):
            pass  # Not measured, or a damaged file, which measuring again replaces.
    shipped = _shipped()
    name = profile.model if profile.model in shipped else DEFAULT
    return _calibration(shipped[name], "default" if name == DEFAULT else "shipped")


def file_name(model: str, embedding_model: str) -> str:
    """Returns the name of the file that holds the measured calibration of two models."""
    return re.sub(r"[^\w.+-]+", "-", f"{model}+{embedding_model}") + ".json"


def as_json(profile: Profile, calibration: Calibration) -> JsonObject:
    """Returns the content of a calibration file."""
    return {
        "model": profile.model,
        "embedding_model": profile.embedding_model,
        "parameters": profile.parameters,
        "english": asdict(calibration.english),
        "other": asdict(calibration.other),
    }


def _calibration(stored: JsonObject, source: str) -> Calibration:
    return Calibration(_weights(stored["english"]), _weights(stored["other"]), source)


def _weights(stored: object) -> Weights:
    numbers = cast("Mapping[str, float]", stored)
    return Weights(**{field.name: float(numbers[field.name]) for field in fields(Weights)})


@cache
def _shipped() -> Mapping[str, JsonObject]:
    return cast("Mapping[str, JsonObject]", json.loads(SHIPPED.read_text(encoding="utf-8")))
