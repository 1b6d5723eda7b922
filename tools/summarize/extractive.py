"""Extractive summaries: selects the text's own sentences, for models too small to write a summary.

Sentences are scored by their similarity to the centroid (as in Radev's MEAD) or to a question, by position
and by cue phrases (Edmundson 1969), and selected by maximal marginal relevance (Carbonell and Goldstein
1998). Measured on abstracts and meetings: ROUGE is insensitive to halving or doubling any weight below.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import anyio.to_thread

from tools.pipeline.parallel import each
from tools.pipeline.run import Run
from tools.sources.documents import Document
from tools.sources.sentences import Sentence, sentences
from tools.sources.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]

BATCH = 64
"""Sentences embedded by one request; the unit of progress and of the cache."""
FOCUS = 0.7
"""Weight of the similarity to a question; the rest is centrality."""
SAME_WORDS = 0.3
"""Weight of a question's own rare words in a sentence, such as names that embeddings do not know."""
TITLE = 0.2
LEAD = 0.2
"""Weight of a position at the beginning; it falls to a third within a fifth of the text."""
OPENS = 0.03
CUE = 0.15
DULL = 0.1
"""Penalty of a question, an announcement of a list or a very short sentence."""
REPEATS = 0.5
"""Penalty of a sentence that repeats a selected one."""
TWICE = 0.95
"""Similarity from which two sentences count as the same."""
SPREAD = 0.1
"""Bonus of a sentence from a third of the text that has none selected yet."""
FILLED = 0.8
"""Share of the allowed words after which a summary is long enough; two thirds for an answer to a question."""
LONG = 30
"""Words beyond which a sentence's weight in the centroid no longer grows."""

_CUE = re.compile(
    r"\bth(?:is|e) (?:paper|document|proposal|pep|rfc|report|library|package|module|change|article|page|guide"
    r"|release|project|tool|specification|section|meeting)\b"
    r"|\bwe (?:propose|present|describe|introduce|recommend|decided)\b"
    r"|\b(?:in summary|in conclusion|to summari[sz]e|the (?:goal|purpose|aim)|is proposed|proposes|agreed)\b",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"\A\s*(?:---\n)?(?:[A-Z][\w-]{0,40}:.*\n(?:[ \t]+\S.*\n)*){0,20}?"
    r"(?:[Tt]itle: *(?P<meta>\S.*)|# +(?P<hash>\S.*?)#*)$"
    r"|\A\s*(?:={3,}\n)?(?P<lined>[^\n.]{3,100})\n(?:={3,}|-{3,})\n",
    re.MULTILINE,
)
_DIMENSIONS = 4096


@dataclass(frozen=True, slots=True)
class Excerpt:
    sentences: list[tuple[Document, Sentence]]
    parts: int
    """Requests in which the text was read."""


async def excerpt(
    run: Run, documents: Sequence[Document], *, focus: str, max_words: int, most: int = 1_000
) -> Excerpt:
    """Returns the most relevant sentences, at most ``most``, in the order of the text."""
    read = partial(_read, documents)
    found = await anyio.to_thread.run_sync(read)
    if not found:
        return Excerpt([], 0)
    title = title_of(documents[0].text) if len(documents) == 1 else ""
    texts = [sentence.text for _, sentence in found]
    vectors, parts = await _vectors(run, [focus or title or "-", *texts])
    scores = await anyio.to_thread.run_sync(partial(_scored, found, vectors, focus, bool(title)))
    filled = max_words * (2 / 3 if focus else FILLED)
    chosen = _chosen(
        found, scores, vectors[1:], max_words, filled, 1 if most == 1 else most, spread=not focus
    )
    return Excerpt([found[index] for index in sorted(chosen)], parts)


def title_of(text: str) -> str:
    """Returns the title in the text's first lines."""
    found = _TITLE.search(text[:5_000])
    return (found["meta"] or found["hash"] or found["lined"] or "").strip(" #*_\"'") if found else ""


def _read(documents: Sequence[Document]) -> list[tuple[Document, Sentence]]:
    return [(document, sentence) for document in documents for sentence in sentences(document.text)]


async def _vectors(run: Run, texts: Sequence[str]) -> tuple["Vectors", int]:
    """Returns a unit vector for each text, and the number of requests."""
    import numpy as np

    if not run.profile.capabilities.embed:
        return await anyio.to_thread.run_sync(_lexical, texts), 1
    batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]

    async def embed(batch: Sequence[str]) -> "Vectors":
        return np.array((await run.embed(batch)).vectors, dtype=np.float32)

    return np.concatenate(await each(run, batches, embed, "read part")), len(batches)


def _lexical(texts: Sequence[str]) -> "Vectors":
    """Returns hashed TF-IDF vectors, for use without an embedding model."""
    import numpy as np

    word_counts = [Counter(words(text)) for text in texts]
    seen = Counter(word for counts in word_counts for word in counts)
    vectors = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
    for row, counts in enumerate(word_counts):
        for word, count in counts.items():
            rarity = math.log((1 + len(texts)) / seen[word])
            vectors[row, zlib.crc32(word.encode()) % _DIMENSIONS] += (1 + math.log(count)) * rarity
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _scored(
    found: Sequence[tuple[Document, Sentence]], vectors: "Vectors", focus: str, titled: bool
) -> "Vectors":
    """Returns the score of each sentence; ``vectors`` begin with that of the question or title."""
    import numpy as np

    wanted, there = vectors[0], vectors[1:]
    lengths = np.array([sentence.words for _, sentence in found], dtype=np.float32)
    middle = (there * np.minimum(lengths, LONG)[:, None]).sum(axis=0)
    central = there @ (middle / max(float(np.linalg.norm(middle)), 1e-9))
    own = np.array([_own(sentence) for _, sentence in found], dtype=np.float32)
    if focus:
        return FOCUS * (there @ wanted) + (1 - FOCUS) * central + own + SAME_WORDS * _shared(found, focus)
    lead = np.array([LEAD * math.exp(-5 * sentence.at) for _, sentence in found], dtype=np.float32)
    weight = TITLE if titled else 0.0
    return (1 - weight) * central + weight * (there @ wanted) + own + lead


def _own(sentence: Sentence) -> float:
    dull = sentence.text.endswith(("?", ":")) or sentence.words < 8
    return OPENS * sentence.opens + CUE * bool(_CUE.search(sentence.text)) - DULL * dull


def _shared(found: Sequence[tuple[Document, Sentence]], focus: str) -> "Vectors":
    """Scores each sentence by the question's words in it; rare ones count more."""
    import numpy as np

    held = [set(words(sentence.shown)) for _, sentence in found]
    rarity = {
        word: math.log((1 + len(held)) / (1 + sum(word in one for one in held))) for word in set(words(focus))
    }
    whole = sum(rarity.values()) or 1.0
    return np.array(
        [sum(rarity[word] for word in rarity.keys() & one) / whole for one in held], dtype=np.float32
    )


def _chosen(
    found: Sequence[tuple[Document, Sentence]],
    scores: "Vectors",
    vectors: "Vectors",
    max_words: int,
    filled: float,
    most: int,
    *,
    spread: bool,
) -> list[int]:
    """Returns the best sentences that fit, without near duplicates."""
    import numpy as np

    thirds = np.arange(len(found)) * 3 // len(found)
    left, likeness = scores.copy(), np.zeros(len(found), dtype=np.float32)
    chosen: list[int] = []
    used = 0
    while used < filled and len(chosen) < most:
        reached = np.isin(thirds, thirds[chosen]) if spread and chosen else np.ones(len(found), dtype=bool)
        best = int(np.argmax(left - REPEATS * likeness + SPREAD * ~reached))
        if left[best] == -np.inf:
            break
        left[best] = -np.inf
        size = len(found[best][1].shown.split())
        # The first is selected whatever its length: the summary is cut at the end.
        if not chosen or used + size <= max_words:
            chosen.append(best)
            used += size
            likeness = np.maximum(likeness, vectors @ vectors[best])
            left[likeness > TWICE] = -np.inf
    return chosen
