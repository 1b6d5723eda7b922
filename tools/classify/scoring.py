"""Scores labels by sentence embeddings: which texts to embed, and labels with confidences from the vectors.

Pure arithmetic, no engine: ``Plan.texts`` lists the texts to embed, the caller embeds them, ``Plan.opinions``
turns the vectors into labels with calibrated confidences. Without examples a label is represented by its
name, description and glossary phrases (zero-shot), and the items of a call refine each other; with examples a
few-shot classifier is trained (``tools.classify.few_shot``). ``tools.classify.calibration`` makes
probabilities of similarities.

Constants were chosen on twenty-four public sets that docs/quality.md does not report on: news, tweets,
reviews, a home assistant, flights, questions, log lines, issues, the commits of three repositories.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.classify.calibration import TEMPERATURE, smoothed_by_neighbours, softmax, zero_shot
from tools.classify.few_shot import fit
from tools.classify.glossary import ORDINARY, denials, is_fallback, phrases, words
from tools.classify.text_views import text_views
from tools.classify.word_overlap import overlap

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

WORDS = 0.1
"""Added to a text's cosine if it contains all of a label's words; 0.05 to 0.2 measured equal."""

SEVERAL = 0.2
"""Probability from which a label of a ``multi`` question is one of the answers.

Measured: the middle of the best range (0.15 to 0.25) by micro-F1 on pairs of texts of nine public sets.
"""

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
    multi: bool = False


@dataclass(frozen=True, slots=True)
class Opinion:
    """Labels and confidence of one item."""

    labels: tuple[str, ...]
    """Best first: one, or with ``multi`` all from ``SEVERAL`` up, at least one."""
    confidence: float
    """Probability of the first label among the labels, 0 to 1; times ``in_scope``, unless a label such as
    ``other`` stands for what is not in scope.
    """
    runner_up: str
    """The label after the first; empty if there is none."""
    in_scope: float
    """0.5 where the item is as similar to its nearest label as unrelated texts are, 1 far above.

    Always 1 unless the question allows abstention. Ranks out-of-scope texts better than ``confidence``.
    """

    @property
    def out_of_scope(self) -> bool:
        return self.in_scope < 0.5


def may_abstain(question: Question) -> bool:
    """Returns whether the caller allows abstention, or gave a label such as ``other``."""
    return bool(_ABSTAIN.search(question.instructions)) or any(map(is_fallback, question.labels))


def label_texts(question: Question) -> list[tuple[str, ...]]:
    """Returns for each label the texts whose mean embedding represents it."""
    unsaid = [label for label, description in question.labels.items() if not description.strip()]
    meant, denied = phrases(unsaid), denials(question.labels).intersection(unsaid)
    return [
        (ORDINARY,) if label in denied else _readings_of_name(label, description, *meant.get(label, ()))
        for label, description in question.labels.items()
    ]


def _readings_of_name(label: str, *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in (words(label) or label, *more) if text.strip()))


@dataclass(frozen=True)
class Plan:
    """Embedding plan for a question about some items: ``texts`` to embed, then ``opinions``."""

    question: Question
    items: Sequence[str]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text to embed, without duplicates."""
        groups = (*self._labels, *self._views, *self._examples, self._unrelated)
        return tuple(dict.fromkeys(text for group in groups for text in group))

    @cached_property
    def _labels(self) -> list[tuple[str, ...]]:
        return label_texts(self.question)

    @cached_property
    def _views(self) -> list[tuple[str, ...]]:
        return [text_views(item) for item in self.items]

    @cached_property
    def _examples(self) -> list[tuple[str, ...]]:
        return [text_views(text) for text, _ in self.question.examples]

    @cached_property
    def _unrelated(self) -> tuple[str, ...]:
        return _ANYTHING if may_abstain(self.question) else ()

    def opinions(self, vectors: Sequence[Sequence[float]] | Matrix) -> list[Opinion]:
        """Returns an opinion for each item, from one vector for each of ``texts``, in order."""
        if not self.items:
            return []
        space = _Space(self.texts, np.asarray(vectors, dtype=np.float32))
        # Equal items count once, or a thousand equal log lines would dominate a call.
        distinct = dict(zip(self._views, self.items, strict=True))
        items = space.means(list(distinct))
        labels, examples = space.means(self._labels), space.means(self._examples)
        if self._examples:
            probabilities = self._few_shot_probabilities(
                space, items, labels, examples, list(distinct.values())
            )
        else:
            near = self._similarities(space, items, labels, list(distinct.values()))
            probabilities = zero_shot(items, near, self._readings(space, labels, list(distinct)))
        scope = self._scope(space, items, _anchored(labels, examples, self._example_columns))
        rows = zip(probabilities * scope[:, None], scope.tolist(), strict=True)
        found = {
            views: self._opinion(row, inside) for views, (row, inside) in zip(distinct, rows, strict=True)
        }
        return [found[views] for views in self._views]

    def _similarities(self, space: "_Space", texts: Matrix, labels: Matrix, raw: Sequence[str]) -> Matrix:
        """Returns the similarity of each text (row) to each label (column)."""
        near = texts @ labels.T + WORDS * self._word_overlap(raw)
        if rest := self._fallback_columns:
            # A label such as ``other`` gets the baseline similarity, whatever the item.
            near[:, rest] = _baseline_similarity(space, np.delete(labels, rest, axis=0))
        return near

    def _readings(self, space: "_Space", labels: Matrix, views: Sequence[Sequence[str]]) -> Matrix:
        """Returns similarities of each view of the items to each phrase of the glossary separately.

        A description is the caller's definition of a label, so it is used together with the name.
        """
        described = [bool(description.strip()) for description in self.question.labels.values()]
        guessed = {
            column: group
            for column, group in enumerate(self._labels)
            if len(group) > 1 and not described[column]
        }
        turns = max(map(len, guessed.values()), default=1)
        meant = np.repeat(labels[None], turns, axis=0)
        for column, group in guessed.items():
            meant[:, column] = space.rows(group[min(turn, len(group) - 1)] for turn in range(turns))
        texts = space.rows(group[end] for end in (0, -1) for group in views)
        near = texts @ meant.reshape(-1, labels.shape[1]).T
        readings = near.reshape(2, len(views), turns, len(labels))
        readings[..., self._fallback_columns] = 0
        return readings

    def _few_shot_probabilities(
        self, space: "_Space", items: Matrix, labels: Matrix, examples: Matrix, texts: Sequence[str]
    ) -> Matrix:
        """Returns label probabilities, a row per item, by the few-shot classifier."""
        example_texts = [text for text, _ in self.question.examples]
        prior = softmax(self._similarities(space, examples, labels, example_texts) / TEMPERATURE)
        expected = softmax(self._similarities(space, items, labels, texts) / TEMPERATURE)
        return smoothed_by_neighbours(
            items, fit(example_texts, examples, self._example_columns, prior)(texts, items, expected)
        )

    def _word_overlap(self, texts: Sequence[str]) -> Matrix:
        """Returns the share of each label's name that occurs in the embedded part of each text."""
        names = [words(label) for label in self.question.labels]
        return overlap([text_views(text)[-1] for text in texts], names)

    def _scope(self, space: "_Space", items: Matrix, anchors: Matrix) -> Vector:
        """Returns the probability that each item belongs to any label at all."""
        if self._fallback_columns or not _ABSTAIN.search(self.question.instructions):
            return np.ones(len(items))
        above = (items @ anchors.T).max(axis=1) - _baseline_similarity(space, anchors)
        return 1 / (1 + np.exp(-above / TEMPERATURE))

    @cached_property
    def _fallback_columns(self) -> list[int]:
        """Columns of the labels for texts that fit no other; none if all labels are such."""
        found = [index for index, label in enumerate(self.question.labels) if is_fallback(label)]
        return found if len(found) < len(self.question.labels) else []

    @cached_property
    def _example_columns(self) -> NDArray[np.intp]:
        """The column of each example's label."""
        place = {label: index for index, label in enumerate(self.question.labels)}
        return np.array([place[label] for _, label in self.question.examples], dtype=np.intp)

    def _opinion(self, row: Vector, in_scope: float) -> Opinion:
        names = list(self.question.labels)
        order: list[int] = np.argsort(-row, kind="stable").tolist()
        many = int((row >= SEVERAL).sum()) if self.question.multi else 1
        return Opinion(
            labels=tuple(names[index] for index in order[: max(many, 1)]),
            confidence=float(row[order[0]]),
            runner_up=names[order[1]] if len(names) > 1 else "",
            in_scope=in_scope,
        )


class _Space:
    """Lookup of texts' vectors."""

    def __init__(self, texts: Sequence[str], vectors: Matrix) -> None:
        self._row = {text: index for index, text in enumerate(texts)}
        self._vectors = vectors

    def rows(self, texts: Iterable[str]) -> Matrix:
        return self._vectors[[self._row[text] for text in texts]]

    def means(self, groups: Sequence[Sequence[str]]) -> Matrix:
        """Returns the direction of the mean vector of each group of texts."""
        if not groups:
            return self._vectors[:0]
        starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
        return unit(np.add.reduceat(self.rows(text for group in groups for text in group), starts, axis=0))


def unit(vectors: Matrix) -> Matrix:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _anchored(labels: Matrix, examples: Matrix, chosen: NDArray[np.intp]) -> Matrix:
    """Returns a vector per label: its words' direction plus its examples' mean direction."""
    anchors = labels.copy()
    for index in np.unique(chosen):
        anchors[index] += unit(examples[chosen == index].mean(axis=0))
    return unit(anchors)


def _baseline_similarity(space: _Space, anchors: Matrix) -> float:
    """Returns the average similarity of unrelated texts to the nearest of ``anchors``."""
    return float((space.rows(_ANYTHING) @ anchors.T).max(axis=1).mean())
