"""Selects the passages of long texts that are nearest to a question, within a token budget.

Retrieval over the texts of one call: passages of about 200 tokens, scored by embeddings and by the words they
share with the question, rare ones counting more (inverse document frequency, Sparck Jones 1972).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import anyio.to_thread

from tools.pipeline.parallel import each
from tools.pipeline.run import Run
from tools.sources.chunks import Chunk, split
from tools.sources.documents import Document
from tools.sources.words import COMMON, words

PASSAGE = 200
"""Tokens of a passage; the embedding model reads at most 256 word pieces."""
EMBEDDED = 1_000
"""Passages embedded at most; of more, those that share most words with the question."""
BATCH = 32
SAME_WORDS = 0.5
"""Weight of the share of the question's rare words in a passage, beside a cosine similarity."""
GAP = "[...]"
"""Stands in an excerpt for what was left out."""


async def excerpts(
    run: Run, documents: Sequence[Document], question: str, budget: int, count: Callable[[str], int]
) -> list[Document]:
    """Returns ``documents``, cut to their passages nearest to ``question`` if they exceed ``budget``.

    ``budget`` is in tokens by ``count``. The order of the text is kept; documents without a passage are left
    out; the receipt gets a note of how much was read.
    """
    sizes = [count(document.text) for document in documents]
    if sum(sizes) <= budget:
        return list(documents)
    passages = await anyio.to_thread.run_sync(
        lambda: [chunk for document in documents for chunk in split(document, PASSAGE, count)]
    )
    scores = await _scores(run, question, passages)
    chosen: list[int] = []
    used = 0
    for index in sorted(range(len(passages)), key=lambda index: -scores[index]):
        size = count(passages[index].text) + 2
        if chosen and used + size > budget:
            break
        chosen.append(index)
        used += size
    run.tally.note(f"of {sum(sizes)} tokens the model read {used}: the passages nearest to what was asked")
    by_document = groupby(sorted(chosen), key=lambda index: passages[index].document.id)
    return [_excerpt(passages, list(group)) for _, group in by_document]


def _excerpt(passages: Sequence[Chunk], indices: Sequence[int]) -> Document:
    text, last = "", indices[0]
    for index in indices:
        text += passages[index].text if index <= last + 1 else f"\n{GAP}\n{passages[index].text}"
        last = index
    first = passages[indices[0]]
    return replace(first.document, text=text, line=first.line)


async def _scores(run: Run, question: str, passages: Sequence[Chunk]) -> list[float]:
    texts = [passage.text for passage in passages]
    shared = await anyio.to_thread.run_sync(_shared, question, texts)
    if not run.profile.capabilities.embed:
        return shared
    likeliest = sorted(range(len(texts)), key=lambda index: -shared[index])[:EMBEDDED]
    [wanted] = (await run.embed([question])).vectors
    batches = [likeliest[at : at + BATCH] for at in range(0, len(likeliest), BATCH)]

    async def embed(batch: Sequence[int]) -> list[float]:
        vectors = (await run.embed([texts[index] for index in batch])).vectors
        return [sum(map(float.__mul__, wanted, vector)) for vector in vectors]

    similar = await each(run, batches, embed, "searched part")
    scores = [SAME_WORDS * share - 1 for share in shared]
    for index, cosine in zip(likeliest, (cosine for batch in similar for cosine in batch), strict=True):
        scores[index] += 1 + cosine
    return scores


def _shared(question: str, texts: Sequence[str]) -> list[float]:
    """Returns the share of the question's words in each text, weighted by rarity."""
    held = [set(words(text)) for text in texts]
    asked = set(words(question)) - COMMON
    rarity = {word: math.log((1 + len(held)) / (1 + sum(word in one for one in held))) for word in asked}
    whole = sum(rarity.values()) or 1.0
    return [sum(rarity[word] for word in asked & one) / whole for one in held]
