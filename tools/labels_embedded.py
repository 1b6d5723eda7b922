"""Labels by meaning: how near the text's embedding lies to each label's."""

from collections.abc import Sequence

from tools.labels import ClassifyArguments, Verdict
from tools.run import Run
from tools.sources import Document


async def embedded(arguments: ClassifyArguments, run: Run, documents: Sequence[Document]) -> list[Verdict]:
    """A verdict for each document."""
    import numpy as np

    labels = list(arguments.labels)
    named = [f"{label} {arguments.labels[label]}".replace("_", " ") for label in labels]
    vectors = np.array((await run.embed([*named, *(d.text for d in documents)])).vectors)
    scores = vectors[len(labels) :] @ vectors[: len(labels)].T
    odds = np.exp(scores * 20)
    odds /= odds.sum(axis=1, keepdims=True)
    return [Verdict((labels[int(row.argmax())],), float(row.max())) for row in odds]
