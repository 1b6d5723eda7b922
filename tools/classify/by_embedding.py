"""Classifies by sentence embeddings: the similarity of a text to each label, or to the examples."""

from collections.abc import Sequence

import anyio.to_thread

from tools.classify.arguments import ClassifyArguments, Verdict
from tools.pipeline.run import Run
from tools.sources.documents import Document

BATCH = 256
"""Texts embedded between two progress reports."""


async def classify_by_embedding(
    arguments: ClassifyArguments, run: Run, documents: Sequence[Document]
) -> list[Verdict]:
    """Returns a verdict for each document, scored together.

    Raises:
        AgentError: the texts could not be embedded.
    """
    # Imported here: numpy is not needed before the first classification.
    from tools.classify.scoring import Opinion, Plan, Question
    from tools.classify.text_views import is_cut

    examples = tuple((example.text, example.label) for example in arguments.examples or ())
    question = Question(arguments.labels, arguments.instructions or "", examples, arguments.multi)
    plan = Plan(question, [document.text for document in documents])
    texts = await anyio.to_thread.run_sync(lambda: plan.texts, abandon_on_cancel=True)
    vectors: list[tuple[float, ...]] = []
    for start in range(0, len(texts), BATCH):
        vectors += (await run.embed(texts[start : start + BATCH])).vectors
        await run.progress(len(vectors), len(texts), f"embedded {len(vectors)} of {len(texts)} texts")

    long = sum(is_cut(document.text) for document in documents)
    if long:
        run.tally.note(f"{long} long texts were classified by their first 150 words")

    def judged() -> list[Opinion]:
        return plan.opinions(vectors)

    return [
        Verdict(opinion.labels, opinion.confidence, opinion.out_of_scope)
        for opinion in await anyio.to_thread.run_sync(judged, abandon_on_cancel=True)
    ]
