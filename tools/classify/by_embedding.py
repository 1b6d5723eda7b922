"""Classifies by sentence embeddings: the similarity of a text to each label, or to the examples."""

from collections.abc import Sequence

import anyio.to_thread

from tools.classify.arguments import ClassifyArguments
from tools.pipeline.run import Run

BATCH = 256
"""Texts embedded between two progress reports."""


async def embedding_probabilities(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str]
) -> list[tuple[list[float], float]]:
    """Returns for each text the probability of each label, and that any label fits.

    Raises:
        AgentError: the texts could not be embedded.
    """
    # Imported here: numpy is not needed before the first classification.
    from tools.classify.scoring import Plan, Question, Scores

    examples = tuple((example.text, example.label) for example in arguments.examples or ())
    plan = Plan(Question(arguments.labels, arguments.instructions or "", examples), texts)
    embedded, cut = await anyio.to_thread.run_sync(lambda: (plan.texts, plan.cut), abandon_on_cancel=True)
    vectors: list[tuple[float, ...]] = []
    for start in range(0, len(embedded), BATCH):
        vectors += (await run.embed(embedded[start : start + BATCH])).vectors
        await run.progress(len(vectors), len(embedded), f"embedded {len(vectors)} of {len(embedded)} texts")

    if cut:
        run.tally.note(f"{cut} long texts were embedded by their first 150 words")

    def scored() -> list[Scores]:
        return plan.scores(vectors)

    found = await anyio.to_thread.run_sync(scored, abandon_on_cancel=True)
    return [(scores.probabilities, scores.in_scope) for scores in found]


async def most_similar(run: Run, texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """Returns for each of ``others`` the index of the most similar of ``texts``.

    Raises:
        AgentError: the texts could not be embedded.
    """
    import numpy as np

    from tools.classify.scoring import embedded_part

    rows = [embedded_part(text) for text in (*texts, *others)]
    vectors: list[tuple[float, ...]] = []
    for start in range(0, len(rows), BATCH):
        vectors += (await run.embed(rows[start : start + BATCH])).vectors

    def nearest() -> list[int]:
        table = np.asarray(vectors, dtype=np.float32)
        return [int(index) for index in (table[len(texts) :] @ table[: len(texts)].T).argmax(axis=1)]

    return await anyio.to_thread.run_sync(nearest, abandon_on_cancel=True)
