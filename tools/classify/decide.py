"""Decides labels by a cascade: embeddings answer where they are sure enough, else both they and the model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio.to_thread

from engines.errors import AgentError
from tools.classify.arguments import ClassifyArguments, Verdict
from tools.classify.by_embedding import embedding_probabilities
from tools.classify.by_model import UNKNOWN, model_probabilities, several_labels
from tools.classify.calibration import Calibration, Distribution, Weights, calibration_of
from tools.classify.language import is_english
from tools.classify.orders import order_of, without_orders
from tools.pipeline.parallel import each
from tools.pipeline.run import Run

SEVERAL = 0.2
"""Probability from which a label of a ``multi`` call is one of the answers, where embeddings decide.

Measured: the middle of the best range (0.15 to 0.25) by micro-F1 on pairs of texts of nine public sets.
"""

FEW_SHOT = Weights(alone=0.8, embedding=0.6, model=0.5, sure=0.8)
"""Weights with examples, on which the few-shot classifier calibrates itself; from 38 public sets."""

SHORT_LIST = 12
"""Labels the model chooses from when there are more than ``MANY_LABELS``: those nearest by embedding."""
MANY_LABELS = 24


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    by: str
    """``embedding``, ``few-shot``, ``logprobs`` or ``answer``."""


async def decide(arguments: ClassifyArguments, run: Run, texts: Sequence[str]) -> list[Decision]:
    """Returns a decision for each text; equal texts are decided once.

    Raises:
        AgentError: the texts could not be embedded, or every request to the model failed.
    """
    distinct = list(dict.fromkeys(texts))
    calibration = await anyio.to_thread.run_sync(calibration_of, run.profile, run.calibrations)
    shown = await anyio.to_thread.run_sync(_without_orders, distinct, list(arguments.labels))
    if shown != distinct:
        run.tally.note("sentences of a text that order a label were left out")
    work = _several if arguments.multi else _one
    found = dict(zip(distinct, await work(arguments, run, shown, calibration), strict=True))
    return [found[text] for text in texts]


def _without_orders(texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    order = order_of(labels)
    return [without_orders(text, order) for text in texts]


async def _one(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str], calibration: Calibration
) -> list[Decision]:
    """Returns the best label of each text."""
    labels, capabilities = list(arguments.labels), run.profile.capabilities
    embedded = [([1 / len(labels)] * len(labels), 1.0)] * len(texts)
    if capabilities.embed:
        embedded = await embedding_probabilities(arguments, run, texts)

    def alone() -> tuple[list[Weights], list[Verdict]]:
        weights = [_weights(arguments, calibration, text) for text in texts]
        pairs = zip(weights, embedded, strict=True)
        return weights, [_best(labels, each.by_embedding(row), scope) for each, (row, scope) in pairs]

    # In a thread, because a call may have thousands of texts.
    weights, verdicts = await anyio.to_thread.run_sync(alone)
    decisions = [Decision(verdict, "few-shot" if arguments.examples else "embedding") for verdict in verdicts]
    unsure = [
        index
        for index, (verdict, each) in enumerate(zip(verdicts, weights, strict=True))
        if not capabilities.embed or (verdict.confidence < each.sure and not verdict.abstained)
    ]
    if not unsure:
        return decisions
    candidates = [_candidates(labels, embedded[index][0]) for index in unsure]
    answers = await model_probabilities(arguments, run, [texts[index] for index in unsure], candidates)
    for index, answer in zip(unsure, answers, strict=True):
        verdict = Verdict(error=answer.message) if isinstance(answer, AgentError) else _best(
            labels, weights[index].by_both(embedded[index][0], [answer.get(label, 0) for label in labels])
        )  # fmt: skip
        decisions[index] = Decision(verdict, "logprobs" if capabilities.logprobs else "answer")
    return decisions


def _weights(arguments: ClassifyArguments, calibration: Calibration, text: str) -> Weights:
    english = is_english(text, arguments.instructions or "")
    weights = calibration.english if english else calibration.other
    if arguments.examples:
        # Learned from examples, embeddings are as good in other languages.
        return replace(FEW_SHOT, model=weights.model, sure=min(weights.sure, FEW_SHOT.sure))
    return weights


def _candidates(labels: Sequence[str], probabilities: Distribution) -> list[str]:
    """Returns the labels the model chooses from, in the caller's order."""
    if len(labels) <= MANY_LABELS:
        return list(labels)
    nearest = set(sorted(range(len(labels)), key=lambda index: -probabilities[index])[:SHORT_LIST])
    return [label for index, label in enumerate(labels) if index in nearest]


def _best(labels: Sequence[str], probabilities: Distribution, in_scope: float = 1.0) -> Verdict:
    best = max(range(len(labels)), key=lambda index: probabilities[index])
    return Verdict((labels[best],), probabilities[best] * in_scope, abstained=in_scope < 0.5)


async def _several(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str], calibration: Calibration
) -> list[Decision]:
    """Returns all labels that fit each text: by the model if it is worth asking, else by embedding."""
    labels, capabilities = list(arguments.labels), run.profile.capabilities
    if calibration.asks or not capabilities.embed:
        errors: list[AgentError] = []

        async def judge(text: str) -> Decision:
            try:
                found = await several_labels(arguments, run, text)
            except AgentError as error:
                errors.append(error)
                return Decision(Verdict(error=error.message), "answer")
            return Decision(Verdict(tuple(found), UNKNOWN, abstained=not found), "answer")

        answered = await each(run, texts, judge, "classified")
        if len(errors) == len(texts):
            raise errors[0]
        return answered
    decisions: list[Decision] = []
    for probabilities, in_scope in await embedding_probabilities(arguments, run, texts):
        order = sorted(range(len(labels)), key=lambda index: -probabilities[index])
        chosen = [labels[index] for index in order if probabilities[index] >= SEVERAL] or [labels[order[0]]]
        verdict = Verdict(tuple(chosen), probabilities[order[0]] * in_scope, abstained=in_scope < 0.5)
        decisions.append(Decision(verdict, "embedding"))
    return decisions
