"""Calibration: weights, where they come from, and how they are measured."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Capabilities, Profile
from engines.routing import Router, Tier
from engines.tokens import LazyEstimator
from tests.tools.single_engine import SingleEngine
from tools.base import Call
from tools.classify.calibrate import Calibrate, Row, fit, load
from tools.classify.calibration import (
    Calibration,
    Weights,
    as_json,
    calibration_of,
    combined,
    file_name,
)
from tools.pipeline.dispatch import Dispatcher

CAPABLE = Profile("llamacpp", "qwen2.5-coder-1.5b", Capabilities(), "all-minilm-l6-v2", 1.5)
UNKNOWN = replace(CAPABLE, model="never-seen:7b", parameters=7.0)
WEIGHTS = Weights(alone=0.1, embedding=0.2, model=0.3, sure=0.4)


def test_a_weight_of_one_leaves_a_distribution_as_it_is() -> None:
    assert combined(([0.2, 0.8], 1.0)) == pytest.approx([0.2, 0.8], abs=1e-3)


def test_a_small_weight_makes_a_distribution_less_sure() -> None:
    assert combined(([0.2, 0.8], 0.5)) == pytest.approx([1 / 3, 2 / 3], abs=1e-3)
    assert combined(([0.2, 0.8], 0.0)) == pytest.approx([0.5, 0.5])


def test_two_that_agree_are_surer_than_one() -> None:
    assert combined(([0.2, 0.8], 1.0), ([0.3, 0.7], 1.0))[1] > 0.85


def test_no_side_rules_a_label_out_alone() -> None:
    assert combined(([0.0, 1.0], 1.0), ([0.9, 0.1], 2.0)) == pytest.approx([0.008, 0.992], abs=2e-3)


def test_an_unknown_model_gets_the_default_and_asks(tmp_path: Path) -> None:
    found = calibration_of(UNKNOWN, tmp_path)
    assert found.source == "default"
    assert found.asks


def test_a_model_of_the_catalogue_has_a_shipped_calibration() -> None:
    assert calibration_of(CAPABLE, None).source == "shipped"
    assert not calibration_of(replace(CAPABLE, model="smollm2-135m"), None).asks


def test_what_the_user_measured_comes_first(tmp_path: Path) -> None:
    measured = Calibration(WEIGHTS, replace(WEIGHTS, sure=0.9), "measured")
    file = tmp_path / file_name(UNKNOWN.model, UNKNOWN.embedding_model)
    file.write_text(json.dumps(as_json(UNKNOWN, measured)), encoding="utf-8")
    assert calibration_of(UNKNOWN, tmp_path) == measured
    # Another model under the same name was not measured.
    assert calibration_of(replace(UNKNOWN, parameters=3.0), tmp_path).source == "default"


@pytest.mark.parametrize("content", ["", "{}", '{"parameters": 7.0, "english": 3}', "[]"])
def test_a_damaged_file_is_as_good_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / file_name(UNKNOWN.model, UNKNOWN.embedding_model)).write_text(content, encoding="utf-8")
    assert calibration_of(UNKNOWN, tmp_path).source == "default"


def rows(embedding: float, model: float, *, english: bool = True, count: int = 200) -> list[Row]:
    """Rows whose sides are right with these probabilities, each with a confidence of 0.9."""
    chance = random.Random(7)

    def side(accuracy: float, right: int) -> list[float]:
        chosen = right if chance.random() < accuracy else 1 - right
        return [0.9 if index == chosen else 0.1 for index in (0, 1)]

    return [
        Row(f"set {n % 4}", english, side(embedding, n % 2), side(model, n % 2), n % 2) for n in range(count)
    ]


def test_a_fit_makes_a_side_as_sure_as_it_is_right() -> None:
    weights = fit(rows(0.7, 0.6) + rows(0.7, 0.6, english=False)).english
    assert max(weights.by_embedding([0.9, 0.1])) == pytest.approx(0.7, abs=0.05)


def test_a_model_that_guesses_is_not_asked() -> None:
    assert not fit(rows(0.8, 0.5) + rows(0.8, 0.5, english=False)).asks


def test_a_good_model_beside_poor_embeddings_is_always_asked() -> None:
    calibration = fit(rows(0.5, 0.9) + rows(0.95, 0.5, english=False))
    assert calibration.english.sure > 0.5
    assert calibration.english.model > calibration.english.embedding
    # Languages are measured apart.
    assert calibration.other.sure == 0


def test_the_built_in_rows_are_few_and_in_two_languages() -> None:
    questions = load()
    count = sum(len(labelled) for _, labelled in questions.values())
    assert 200 < count <= 300
    assert sum(name.endswith("-es") for name in questions) >= 5
    for question, labelled in questions.values():
        assert {label for _, label in labelled} <= set(question.labels)


@pytest.mark.anyio
async def test_calibrate_asks_every_row_and_returns_a_file_that_is_used(tmp_path: Path) -> None:
    engine = ScriptedEngine(parameters=7.0)
    router = Router([Tier("small", 512, 4096, 500)], lambda tier: engine)
    seen: list[float] = []

    async def progress(done: float, total: float, message: str) -> None:
        seen.append(done / total)

    dispatcher = Dispatcher(
        router, SingleEngine(engine), LazyEstimator(tmp_path), deadline_s=60, calibrations=tmp_path
    )
    result = await dispatcher.serving(Calibrate()).run(Call("calibrate", {}), progress)
    measured = result.fields["measured"]
    assert isinstance(measured, dict)
    assert measured["rows"] == 287
    assert seen == sorted(seen)
    assert math.isclose(seen[-1], 1)
    profile = await engine.profile()
    (tmp_path / file_name(profile.model, profile.embedding_model)).write_text(json.dumps(result.fields))
    assert calibration_of(profile, tmp_path).source == "measured"
