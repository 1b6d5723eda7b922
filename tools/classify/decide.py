"""Decides labels by a cascade: embeddings answer where they are sure enough, else both they and the model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio.to_thread

from engines.errors import AgentError
from tools.classify.arguments import ClassifyArguments, Verdict
from tools.classify.by_embedding import embedding_probabilities, most_similar
from tools.classify.by_model import UNKNOWN, model_probabilities, several_labels
from tools.classify.calibration import (
    FLOOR,
    Calibration,
    Distribution,
    Weights,
    calibration_of,
    combined,
)
from tools.classify.label_names import spoken_for
from tools.classify.orders import order_of, without_orders
from tools.pipeline.parallel import each
from tools.pipeline.passages import READING_S
from tools.pipeline.run import Run
from tools.sources.language import is_english
from tools.sources.levels import INFO, level_of

SEVERAL = 0.2
"""Probability from which a label of a ``multi`` call is one of the answers, where embeddings decide.

Measured: the middle of the best range (0.15 to 0.25) by micro-F1 on pairs of texts of nine public sets.
"""

FEW_SHOT = Weights(alone=0.8, embedding=0.6, model=0.5, sure=0.8)
"""Weights with examples, on which the few-shot classifier calibrates itself; from 38 public sets."""

EMBEDDED = 1_500
"""Characters from which embeddings count half: their model reads the first 256 word pieces only.

With it 1.5B gets 0.64 of long issues right in place of 0.58, and 0.63 in place of 0.56 of those of another
set, and as many long news articles as before (0.91).
"""

SHORT_LIST = 6
"""Labels the model chooses from when there are more than ``MANY_LABELS``: those nearest by embedding.

Of 120 rows with 150 labels, 1.5B has 0.74 right with 12 or 8 of them, 0.76 with 6, 0.77 with 4; the prompt
is half as long with 6 as with 12.
"""
MANY_LABELS = 24

LOG_QUESTION = "Which label fits this line of a log? Most lines report business as usual."
"""Asked of log lines. The second sentence makes a 1.5B model choose labels such as ``noise``: of two logs
0.99 and 0.94 of the lines are right with it, 0.18 and 0.42 without (docs/quality.md)."""

ROUTINE = ("The service is running.", "Request 4711 was answered in 12 ms.", "Configuration loaded.")
USUAL = 0.6
"""Least probability, on these lines, of the labels for what is usual; a model that gives them less is too
ready to see trouble (contextual calibration, Zhao et al. 2021). Qwen2.5-Coder 0.5B gives them 0.09."""

FIRST = 8
"""Lines after which the model's pace is known."""

LEVEL = 0.8
"""Probability of the label that a line's level word speaks for."""


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    by: str
    """``embedding``, ``few-shot``, ``logprobs`` or ``answer``."""


async def decide(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str], *, log: bool
) -> list[Decision]:
    """Returns a decision for each text; with ``log`` they are lines of one.

    Raises:
        AgentError: the texts could not be embedded, or every request to the model failed.
    """
    calibration = await anyio.to_thread.run_sync(calibration_of, run.profile, run.calibrations)
    shown = await anyio.to_thread.run_sync(_without_orders, texts, list(arguments.labels))
    if shown != list(texts):
        run.tally.note("sentences of a text that order a label were left out")
    if arguments.multi:
        return await _several(arguments, run, shown, calibration)
    if log and not arguments.examples and len(arguments.labels) <= MANY_LABELS:
        return await _lines(arguments, run, shown, calibration)
    return await _one(arguments, run, shown, calibration)


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


async def _lines(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str], calibration: Calibration
) -> list[Decision]:
    """Returns the label of each line of a log: by the model, or embeddings, and by the line's level word."""
    labels = list(arguments.labels)
    usual = spoken_for(INFO, labels)
    routine = ROUTINE if usual else ()
    if calibration.asks or not run.profile.capabilities.embed:
        by = "logprobs" if run.profile.capabilities.logprobs else "answer"
        answers = await _asked_in_time(arguments, run, [*routine, *texts])
    else:
        by = "embedding"
        answers = [row for row, _ in await embedding_probabilities(arguments, run, [*routine, *texts])]
    known = [answer for answer in answers[: len(routine)] if not isinstance(answer, AgentError)]
    doubt = _doubt(known, usual) if known else 1.0

    def decided(text: str, answer: Distribution | AgentError) -> Decision:
        if isinstance(answer, AgentError):
            return Decision(Verdict(error=answer.message), by)
        raised = [p * doubt if index in usual else p for index, p in enumerate(answer)]
        rank = level_of(text)
        spoken = spoken_for(rank, labels) if rank is not None else []
        level = [LEVEL / len(spoken) if index in spoken else 1 - LEVEL for index in range(len(labels))]
        return Decision(_best(labels, combined((raised, 1), *([(level, 1)] if spoken else []))), by)

    def all_decided() -> list[Decision]:
        return [decided(*pair) for pair in zip(texts, answers[len(routine) :], strict=True)]

    # In a thread, because a log may have tens of thousands of kinds.
    return await anyio.to_thread.run_sync(all_decided)


async def _asked_in_time(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str]
) -> list[Distribution | AgentError]:
    """Returns the model's answer to each text; to texts it has no time for, that to the most similar text."""
    labels = list(arguments.labels)
    question = arguments.model_copy(update={"instructions": arguments.instructions or LOG_QUESTION})

    async def ask(some: Sequence[str]) -> list[Distribution | AgentError]:
        found = await model_probabilities(question, run, some, [labels] * len(some), prior_weight=0)
        return [answer if isinstance(answer, AgentError) else list(answer.values()) for answer in found]

    began = time.monotonic()
    answers = await ask(texts[:FIRST])
    pace = (time.monotonic() - began) / FIRST
    most = len(texts)
    if run.profile.capabilities.embed:
        most = max(FIRST, int(READING_S / max(pace, 0.001)))
    if texts[FIRST:most]:
        answers += await ask(texts[FIRST:most])
    if texts[most:]:
        run.tally.note(
            f"the model read {most} of {len(texts)} kinds of lines, the largest; "
            "the others have the label of the most similar one"
        )
        nearest = await most_similar(run, texts[:most], texts[most:])
        answers += [answers[index] for index in nearest]
    return answers


def _doubt(routine: Sequence[Distribution], usual: Sequence[int]) -> float:
    """Returns the factor by which routine lines have ``USUAL`` probability of a usual label; at least 1."""
    share = sum(answer[index] for answer in routine for index in usual) / len(routine)
    return max(1.0, USUAL / (1 - USUAL) * (1 - share) / max(share, FLOOR))


def _weights(arguments: ClassifyArguments, calibration: Calibration, text: str) -> Weights:
    english = is_english(text, arguments.instructions or "")
    weights = calibration.english if english else calibration.other
    if len(text) > EMBEDDED:
        weights = replace(weights, embedding=weights.embedding / 2)
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
