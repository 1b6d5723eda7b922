"""Scores labels by sentence embeddings: which texts to embed, and label probabilities from the vectors.

Pure arithmetic, no engine: ``Plan.texts`` lists the texts to embed, the caller embeds them, ``Plan.scores``
turns the vectors into probabilities. Without examples (zero-shot) a label is its name and description; with
examples a few-shot classifier is trained (``tools.classify.few_shot``). How far the probabilities can be
believed is measured: ``tools.classify.calibration``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.classify.few_shot import fit, softmax
from tools.classify.label_names import is_fallback, words

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

TEMPERATURE = 0.055
"""Softmax temperature of cosines; calibration corrects it for each model."""

PIECES = 250
"""Pieces of a text that are embedded: about 150 English words, within the 256 tokens of all-MiniLM-L6-v2."""

# A word-piece token never spans two of these; common words take fewer tokens than pieces.
_PIECE = re.compile(r"[A-Za-z]{1,4}|\S")

_ABSTAIN = re.compile(
    r"\babstain|\bnone of (?:the|these|them|those)\b|\bno label\b|n[o']t fit\b|\bout[- ]of[- ]scope\b",
    re.IGNORECASE,
)

# Unrelated everyday texts. Their similarity to a set of labels is the baseline.
_ANYTHING = (
    "The meeting was moved to Thursday afternoon.",
    "She walked slowly along the river with her dog.",
    "My brother works in a small office near the park.",
    "Could you tell me where the library is?",
    "How do I remove a stain from a white shirt?",
    "When does the shop on the corner open?",
    "Please close the window before you leave.",
    "Turn off the lights in the kitchen.",
    "I would like a cup of coffee with milk.",
    "I am not sure what to think about this.",
    "What a lovely day, everyone is so happy.",
    "The company reported higher profits for the third quarter.",
    "The home team won the match after extra time.",
    "The patient was given medicine and sent home.",
    "Prices for houses in the city have doubled in ten years.",
    "Your order has been shipped and will arrive on Monday.",
    "The application closes when I press the save button.",
    "The server was restarted after the update at midnight.",
    "Update the version number in the configuration file.",
    "The connection to the database was closed by the other side.",
    "Contract between the two parties, signed on the first of May.",
    "Add a picture of the mountain to the album.",
    "The students wrote an essay about the ocean.",
    "The old bridge was built of stone and wood.",
)


@dataclass(frozen=True, slots=True)
class Question:
    labels: Mapping[str, str]
    """Label -> description; the description may be empty."""
    instructions: str = ""
    examples: Sequence[tuple[str, str]] = ()
    """Text and label; a label not in ``labels`` raises ``KeyError``."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What embeddings say of one item."""

    probabilities: list[float]
    """Of each label, in the question's order."""
    in_scope: float
    """Probability that any label fits; always 1 unless the question allows abstention and has no fallback.

    0.5 where the item is as similar to its nearest label as unrelated texts are, 1 far above.
    """


@dataclass(frozen=True)
class Plan:
    """Embedding plan for a question about some items: ``texts`` to embed, then ``scores``."""

    question: Question
    items: Sequence[str]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text to embed, without duplicates."""
        labels = (text for texts in self._labels for text in texts)
        unrelated = _ANYTHING if self._fallbacks or self._may_abstain else ()
        return tuple(dict.fromkeys((*labels, *self._parts, *self._examples, *unrelated)))

    @cached_property
    def cut(self) -> int:
        """Number of items of which only the beginning is embedded."""
        return sum(len(part) < len(item.strip()) for part, item in zip(self._parts, self.items, strict=True))

    @cached_property
    def _labels(self) -> list[list[str]]:
        """Name and description of each label."""
        return [
            [words(label) or label, *filter(str.strip, [description])]
            for label, description in self.question.labels.items()
        ]

    @cached_property
    def _parts(self) -> list[str]:
        return [embedded_part(item) for item in self.items]

    @cached_property
    def _examples(self) -> list[str]:
        return [embedded_part(text) for text, _ in self.question.examples]

    @cached_property
    def _fallbacks(self) -> list[int]:
        """Columns of the labels for texts that fit no other; none if all labels are such."""
        found = [index for index, label in enumerate(self.question.labels) if is_fallback(label)]
        return found if len(found) < len(self.question.labels) else []

    @property
    def _may_abstain(self) -> bool:
        return not self._fallbacks and bool(_ABSTAIN.search(self.question.instructions))

    def scores(self, vectors: Sequence[Sequence[float]] | Matrix) -> list[Scores]:
        """Returns the scores of each item, from one vector for each of ``texts``, in order."""
        row = {text: index for index, text in enumerate(self.texts)}
        table = np.asarray(vectors, dtype=np.float32)

        def rows(texts: Iterable[str]) -> Matrix:
            return table[[row[text] for text in texts]]

        items, labels = rows(self._parts), _unit(np.stack([rows(each).mean(axis=0) for each in self._labels]))
        unrelated = rows(_ANYTHING) if self._fallbacks or self._may_abstain else None

        def similar(texts: Matrix) -> Matrix:
            near = texts @ labels.T
            if self._fallbacks and unrelated is not None:
                # A label such as ``other`` is as near to every text as unrelated texts are to the rest.
                others = np.delete(labels, self._fallbacks, axis=0)
                near[:, self._fallbacks] = _nearest(unrelated, others).mean()
            return near

        probabilities, anchors = softmax(similar(items) / TEMPERATURE), labels
        if self._examples:
            examples = rows(self._examples)
            prior = softmax(similar(examples) / TEMPERATURE)
            place = {label: index for index, label in enumerate(self.question.labels)}
            columns = np.array([place[label] for _, label in self.question.examples], dtype=np.intp)
            classifier = fit([text for text, _ in self.question.examples], examples, columns, prior)
            probabilities = classifier(self.items, items, probabilities)
            anchors = _anchored(labels, examples, columns)
        in_scope = np.ones(len(items))
        if self._may_abstain and unrelated is not None:
            above = _nearest(items, anchors) - _nearest(unrelated, anchors).mean()
            in_scope = 1 / (1 + np.exp(-above / TEMPERATURE))
        return [Scores(*pair) for pair in zip(probabilities.tolist(), in_scope.tolist(), strict=True)]


def _unit(vectors: Matrix) -> Matrix:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _nearest(texts: Matrix, labels: Matrix) -> Vector:
    """Returns each text's similarity to its nearest label."""
    return (texts @ labels.T).max(axis=1)


def _anchored(labels: Matrix, examples: Matrix, columns: NDArray[np.intp]) -> Matrix:
    """Returns a vector per label: its words' direction plus its examples' mean direction."""
    anchors = labels.copy()
    for index in np.unique(columns):
        anchors[index] += _unit(examples[columns == index].mean(axis=0))
    return _unit(anchors)


def embedded_part(text: str) -> str:
    """Returns the beginning of ``text``, as much as an embedding model reads; never empty."""
    for count, piece in enumerate(_PIECE.finditer(text)):
        if count == PIECES:
            return text[: piece.start()].strip()
    return text.strip() or "empty"
