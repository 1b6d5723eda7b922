"""Selects the passages of long texts that are nearest to a question, page by page.

Retrieval over the texts of one call: passages of about 200 tokens, ranked by embeddings and by the words they
share with a question, rare ones counting more (inverse document frequency, Sparck Jones 1972). Without a
question, by their similarity to the centre of all (as in Radev's MEAD).
"""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from tools.pipeline.parallel import each
from tools.pipeline.run import Run
from tools.sources.chunks import Chunk, split
from tools.sources.documents import Document
from tools.sources.words import COMMON, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

PAGE = 3_500
"""Tokens of a page: a minute of reading for a 1.5B model on two cores."""
READING_S = 100.0
"""Seconds in which pages are read after the first; a fast engine reads a whole file in them."""
PASSAGE = 200
"""Tokens of a passage; the embedding model reads at most 256 word pieces."""
EMBEDDED = 1_000
"""Passages embedded at most; of more, those that share most words with the question."""
BATCH = 32
SMOOTHING = 60
"""Of reciprocal rank fusion (Cormack 2009), by which the two scores of a passage are joined."""
GAP = "[...]"
"""Stands in a page for what was left out."""

Page = list[Document]
"""Documents cut to some of their passages, in the order of the text."""


async def pages(
    run: Run,
    documents: Sequence[Document],
    questions: Sequence[str],
    budget: int,
    count: Callable[[str], int],
) -> list[Page]:
    """Returns ``documents`` in pages of at most ``budget`` tokens, nearest to a question first.

    Documents that fit into one page are left as they are.
    """
    if sum(count(document.text) for document in documents) <= budget:
        return [list(documents)]
    budget = min(budget, PAGE)
    passages = await anyio.to_thread.run_sync(
        lambda: [chunk for document in documents for chunk in split(document, PASSAGE, count)]
    )
    scores = await _scores(run, questions, passages)
    filled: list[list[int]] = [[]]
    used = 0
    for index in sorted(range(len(passages)), key=lambda index: -scores[index]):
        size = count(passages[index].text) + 2
        if filled[-1] and used + size > budget:
            filled.append([])
            used = 0
        filled[-1].append(index)
        used += size
    return [_page(passages, sorted(indices)) for indices in filled]


async def first_page(
    run: Run,
    documents: Sequence[Document],
    questions: Sequence[str],
    budget: int,
    count: Callable[[str], int],
) -> Page:
    """Returns the page nearest to the questions; the receipt gets a note if there are others."""
    first, *others = await pages(run, documents, questions, budget, count)
    note_share(run, 1, 1 + len(others))
    return first


async def each_in_time(run: Run, parts: Sequence[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Runs ``work`` on the first part, then on as many as its time allows; notes how many were read."""
    began = time.monotonic()
    first = await work(parts[0])
    read = parts[: 1 + affordable(run, began)]
    note_share(run, len(read), len(parts), "from its beginning")
    return [first, *await each(run, read[1:], work, "read part")]


def affordable(run: Run, began: float) -> int:
    """Returns how many more pages can be read if the first, begun at ``began``, is read now."""
    return int(READING_S / max(time.monotonic() - began, 0.01)) * max(1, run.profile.capabilities.parallel)


def note_share(run: Run, read: int, whole: int, which: str = "the most relevant") -> None:
    if read < whole:
        run.tally.note(f"the model read {read} of {whole} parts of the text, {which}")


def _page(passages: Sequence[Chunk], indices: Sequence[int]) -> Page:
    by_document = groupby(indices, key=lambda index: passages[index].document.id)
    return [_excerpt(passages, list(group)) for _, group in by_document]


def _excerpt(passages: Sequence[Chunk], indices: Sequence[int]) -> Document:
    text, last = "", indices[0]
    for index in indices:
        text += passages[index].text if index <= last + 1 else f"\n{GAP}\n{passages[index].text}"
        last = index
    first = passages[indices[0]]
    return replace(first.document, text=text, line=first.line)


async def _scores(run: Run, questions: Sequence[str], passages: Sequence[Chunk]) -> list[float]:
    """Returns the best score of each passage over all questions: that of a passage near to one of them."""
    import numpy as np

    texts = [passage.text for passage in passages]
    by_words = [await anyio.to_thread.run_sync(_shared, question, texts) for question in questions]
    shares = [max(each) for each in zip(*by_words, strict=True)] if by_words else [0.0] * len(texts)
    if not run.profile.capabilities.embed:
        return shares
    likeliest = sorted(range(len(texts)), key=lambda index: -shares[index])[:EMBEDDED]
    rows: list[tuple[float, ...]] = []
    for at in range(0, len(likeliest), BATCH):
        rows += (await run.embed([texts[index] for index in likeliest[at : at + BATCH]])).vectors
    vectors = np.array(rows, dtype=np.float32)
    wanted = (await run.embed(questions)).vectors if questions else [tuple(vectors.mean(axis=0))]
    scores = [0.0] * len(texts)
    for number, vector in enumerate(wanted):
        ranked = [_ranks(vectors @ np.array(vector, dtype=np.float32))]
        if questions:
            ranked.append(_ranks([by_words[number][index] for index in likeliest]))
        for index, ranks in zip(likeliest, zip(*ranked, strict=True), strict=True):
            scores[index] = max(scores[index], sum(1.0 / (SMOOTHING + rank) for rank in ranks))
    return scores


def _ranks(scores: "Sequence[float] | NDArray[np.float32]") -> list[int]:
    """Returns the rank of each score, the highest first; equal scores share one."""
    order = sorted(map(float, scores), reverse=True)
    first = {score: rank for rank, score in reversed(list(enumerate(order, 1)))}
    return [first[float(score)] for score in scores]


def _shared(question: str, texts: Sequence[str]) -> list[float]:
    """Returns the share of the question's words in each text, weighted by rarity."""
    held = [set(words(text)) for text in texts]
    asked = set(words(question)) - COMMON
    rarity = {word: math.log((1 + len(held)) / (1 + sum(word in one for one in held))) for word in asked}
    whole = sum(rarity.values()) or 1.0
    return [sum(rarity[word] for word in asked & one) / whole for one in held]
