"""Measures a model's calibration of classify on labelled rows: the tool behind ``local-llm-agent calibrate``.

Not in the catalogue: agents cannot call it. Sources and licences of the rows are in ``calibration_rows.md``.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import ClassVar, cast

import anyio.to_thread

from engines.base import JsonObject
from engines.errors import AgentError
from tools.arguments import Arguments
from tools.base import silent
from tools.classify.arguments import ClassifyArguments
from tools.classify.by_embedding import embedding_probabilities
from tools.classify.by_model import model_probabilities
from tools.classify.calibration import Calibration, Distribution, Weights, as_json, combined
from tools.pipeline.run import Run
from tools.sources.language import is_english
from tools.tool import Output, Tool

ROWS = Path(__file__).with_name("calibration_rows.jsonl")

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3)
SURE = (0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
LOSS = 0.005
"""Accuracy given up for asking the model less often."""


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled text, and the probabilities both sides gave to its labels."""

    set: str
    english: bool
    embedding: Sequence[float]
    model: Sequence[float]
    right: int
    """Index of the right label."""


class Calibrate(Tool[Arguments]):
    name = "calibrate"
    description = "Measure how far this model's labels can be believed."
    wants = "small"
    output_schema: ClassVar[JsonObject | None] = None
    arguments = Arguments

    async def run(self, arguments: Arguments, run: Run) -> Output:
        """Returns the content of the model's calibration file, and what it gains on the rows.

        Raises:
            UnsupportedFeatureError: the engine has no embedding model, so there is nothing to weigh.
            AgentError: a request failed.
        """
        questions = await anyio.to_thread.run_sync(load)
        total = sum(len(labelled) for _, labelled in questions.values())
        rows: list[Row] = []
        quiet = replace(run, progress=silent)
        for name, (question, labelled) in questions.items():
            texts = [text for text, _ in labelled]
            labels = list(question.labels)
            embedded = await embedding_probabilities(question, quiet, texts)
            answers = await model_probabilities(question, quiet, texts, [labels] * len(texts))
            for (text, right), (probabilities, _), answer in zip(labelled, embedded, answers, strict=True):
                if isinstance(answer, AgentError):
                    raise answer
                english = is_english(text, question.instructions or "")
                model = [answer[label] for label in labels]
                rows.append(Row(name, english, probabilities, model, labels.index(right)))
            await run.progress(len(rows), total, f"asked about {len(rows)} of {total} texts")
        calibration = await anyio.to_thread.run_sync(fit, rows)
        return Output({**as_json(run.profile, calibration), "measured": measured(rows, calibration)})


def load() -> dict[str, tuple[ClassifyArguments, list[tuple[str, str]]]]:
    """Returns each set's question, and its texts with their labels."""
    questions: dict[str, ClassifyArguments] = {}
    labelled: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in ROWS.read_text(encoding="utf-8").split("\n"):
        if line:
            row = cast("Mapping[str, str]", json.loads(line))
            if row["set"] not in questions:
                questions[row["set"]] = ClassifyArguments.model_validate(
                    {"text": "", "labels": row["labels"], "instructions": row["instructions"]}
                )
            labelled[row["set"]].append((row["text"], row["label"]))
    return {name: (question, labelled[name]) for name, question in questions.items()}


def fit(rows: Sequence[Row]) -> Calibration:
    """Returns the weights that give the right labels the highest probability, and the least asking."""
    return Calibration(
        _fitted([row for row in rows if row.english]),
        _fitted([row for row in rows if not row.english]),
        "measured",
    )


def _fitted(rows: Sequence[Row]) -> Weights:
    alone = min(WEIGHTS, key=lambda weight: _loss(rows, weight, 0))
    embedding, model = min(product(WEIGHTS, WEIGHTS), key=lambda pair: _loss(rows, *pair))
    both = {sure: _accuracy(rows, Weights(alone, embedding, model, sure)) for sure in (0.0, *SURE)}
    # The model is not asked at all where it adds nothing.
    sure = min(sure for sure, accuracy in both.items() if accuracy >= max(both.values()) - LOSS)
    return Weights(alone, embedding, model, sure)


def _is_asked(row: Row, weights: Weights) -> bool:
    return max(weights.by_embedding(row.embedding)) < weights.sure


def _decided(row: Row, weights: Weights) -> list[float]:
    """Returns the probabilities that the cascade gives."""
    if _is_asked(row, weights):
        return weights.by_both(row.embedding, row.model)
    return weights.by_embedding(row.embedding)


def _loss(rows: Sequence[Row], embedding: float, model: float) -> float:
    """Returns the mean negative log-likelihood of the right labels, each set weighing the same."""
    return _mean(
        rows,
        lambda row: -math.log(combined((row.embedding, embedding), (row.model, model))[row.right]),
    )


def _accuracy(rows: Sequence[Row], weights: Weights) -> float:
    return _mean(rows, lambda row: float(_is_right(row, _decided(row, weights))))


def _is_right(row: Row, probabilities: Distribution) -> bool:
    return probabilities[row.right] == max(probabilities)


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """Returns the mean over sets of the mean over a set's rows."""
    by_set: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_set[row.set].append(value(row))
    return fmean(fmean(values) for values in by_set.values())


def measured(rows: Sequence[Row], calibration: Calibration) -> JsonObject:
    """Returns accuracies on the rows, and the share of rows that the model was asked."""

    def weights(row: Row) -> Weights:
        return calibration.english if row.english else calibration.other

    decided = [(row, _decided(row, weights(row))) for row in rows]
    return {
        "rows": len(rows),
        "embedding": round(_mean(rows, lambda row: float(_is_right(row, row.embedding))), 3),
        "model": round(_mean(rows, lambda row: float(_is_right(row, row.model))), 3),
        "both": round(_mean(rows, lambda row: float(_is_right(row, _decided(row, weights(row))))), 3),
        "confidence": round(fmean(max(probabilities) for _, probabilities in decided), 3),
        "asked": round(fmean(_is_asked(row, weights(row)) for row in rows), 2),
    }
