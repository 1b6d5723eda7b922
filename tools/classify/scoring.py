"""Labels scored by sentence embeddings: what to embed for a question, and what the vectors say.

Pure arithmetic, no engine: ``Plan`` lists the texts to embed, the caller embeds them, ``Plan.opinions``
turns the vectors into labels with calibrated confidences. Without examples a label is what its name,
its description and the glossary say (zero-shot), and many items in one call refine each other; with
examples a small head learns from them (``tools.classify.few_shot``). How near becomes how probable in
``tools.classify.calibration``.

Constants were chosen on twenty-four public sets that docs/quality.md does not report on: news, tweets,
reviews, a home assistant, flights, questions, log lines, issues, the commits of three repositories. There
accuracy is 0.62 one item a call and 0.64 in one call, the nearest bare label name 0.55; without the glossary
0.56 and 0.59; with ten examples 0.72. Tried there without gain and left out: templates around labels, centred
label vectors, the instructions as a part of each label, utterances written by SmolLM2, calibration by
regression; for an item by itself, everyday texts in place of the company it lacks, each label's likeness to
them taken off, its keywords as one more view, the likeness of single words (a point for bare names alone, at
ten to sixty embeddings more an item).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.classify.calibration import TEMPERATURE, agreed, softmax, zero_shot
from tools.classify.few_shot import head
from tools.classify.glossary import ORDINARY, denials, is_fallback, phrases, words
from tools.classify.text_views import text_views
from tools.classify.word_overlap import overlap

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

WORDS = 0.1
"""What holding all of a label's words adds to a text's cosine to it: 0.05 to 0.2 are as good there."""

SEVERAL = 0.2
"""Probability from which a label of a ``multi`` question is one of the answers.

The middle of the flat top (0.15 to 0.25) of micro-F1 on pairs of texts of nine public sets joined into one.
"""

_ABSTAIN = re.compile(
    r"\babstain|\bnone of (?:the|these|them|those)\b|\bno label\b|n[o']t fit\b|\bout[- ]of[- ]scope\b",
    re.IGNORECASE,
)

# Unrelated everyday texts. How near they come to a set of labels is how near chance comes.
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
    """Text and label; labels not in ``labels`` are a ``KeyError``."""
    multi: bool = False


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the vectors say about one item."""

    labels: tuple[str, ...]
    """Best first: one, or with ``multi`` all from ``SEVERAL`` up, at least one."""
    confidence: float
    """Probability of the first label among the labels, 0 to 1; times ``in_scope``, unless a label such as
    ``other`` stands for what is not in scope."""
    runner_up: str
    """The label after the first; empty if there is none."""
    in_scope: float
    """0.5 where the item is as near to its nearest label as unrelated texts are to theirs, 1 far above.

    1 unless the question allows for abstention. Ranks out-of-scope texts better than ``confidence`` does.
    """

    @property
    def out_of_scope(self) -> bool:
        return self.in_scope < 0.5


def may_abstain(question: Question) -> bool:
    """Whether the caller said what to do with texts no label fits, or brought a label such as ``other``."""
    return bool(_ABSTAIN.search(question.instructions)) or any(map(is_fallback, question.labels))


def label_texts(question: Question) -> list[tuple[str, ...]]:
    """For each label, the texts whose mean embedding stands for it."""
    unsaid = [label for label, description in question.labels.items() if not description.strip()]
    meant, denied = phrases(unsaid), denials(question.labels).intersection(unsaid)
    return [
        (ORDINARY,) if label in denied else _said(label, description, *meant.get(label, ()))
        for label, description in question.labels.items()
    ]


def _said(label: str, *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in (words(label) or label, *more) if text.strip()))


@dataclass(frozen=True)
class Plan:
    """A question about some items: ``texts`` to embed, and ``opinions`` once they are."""

    question: Question
    items: Sequence[str]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text to embed, each once."""
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
        """An opinion for each item, from one vector for each of ``texts``, in order."""
        if not self.items:
            return []
        space = _Space(self.texts, np.asarray(vectors, dtype=np.float32))
        # Equal items count once, or a thousand equal log lines would be what a call is about.
        distinct = dict(zip(self._views, self.items, strict=True))
        items = space.means(list(distinct))
        labels, examples = space.means(self._labels), space.means(self._examples)
        if self._examples:
            probabilities = self._learned(space, items, labels, examples, list(distinct.values()))
        else:
            near = self._near(space, items, labels, list(distinct.values()))
            probabilities = zero_shot(items, near, self._readings(space, labels, list(distinct)))
        scope = self._scope(space, items, _anchored(labels, examples, self._chosen))
        rows = zip(probabilities * scope[:, None], scope.tolist(), strict=True)
        found = {
            views: self._opinion(row, inside) for views, (row, inside) in zip(distinct, rows, strict=True)
        }
        return [found[views] for views in self._views]

    def _near(self, space: "_Space", texts: Matrix, labels: Matrix, said: Sequence[str]) -> Matrix:
        """How near each text (row) is to each label (column)."""
        near = texts @ labels.T + WORDS * self._said_in(said)
        if rest := self._rest:
            # A label such as ``other`` is as near as chance, whatever the item.
            near[:, rest] = _chance(space, np.delete(labels, rest, axis=0))
        return near

    def _readings(self, space: "_Space", labels: Matrix, views: Sequence[Sequence[str]]) -> Matrix:
        """The nearness again, of each view of the items to each phrase of the glossary by itself.

        A description is the caller's word on what a label means, so it is read together with the name.
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
        readings[..., self._rest] = 0
        return readings

    def _learned(
        self, space: "_Space", items: Matrix, labels: Matrix, examples: Matrix, texts: Sequence[str]
    ) -> Matrix:
        """Probabilities of the labels, a row an item, by what the examples teach."""
        told = [text for text, _ in self.question.examples]
        prior = softmax(self._near(space, examples, labels, told) / TEMPERATURE)
        expected = softmax(self._near(space, items, labels, texts) / TEMPERATURE)
        return agreed(items, head(told, examples, self._chosen, prior)(texts, items, expected))

    def _said_in(self, texts: Sequence[str]) -> Matrix:
        """How much of each label's name stands in the part of each text that is embedded."""
        names = [words(label) for label in self.question.labels]
        return overlap([text_views(text)[-1] for text in texts], names)

    def _scope(self, space: "_Space", items: Matrix, anchors: Matrix) -> Vector:
        """How probable it is that each item belongs to some label at all."""
        if self._rest or not _ABSTAIN.search(self.question.instructions):
            return np.ones(len(items))
        above = (items @ anchors.T).max(axis=1) - _chance(space, anchors)
        return 1 / (1 + np.exp(-above / TEMPERATURE))

    @cached_property
    def _rest(self) -> list[int]:
        """Columns of the labels that stand for whatever fits no other; none if all do."""
        found = [index for index, label in enumerate(self.question.labels) if is_fallback(label)]
        return found if len(found) < len(self.question.labels) else []

    @cached_property
    def _chosen(self) -> NDArray[np.intp]:
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
    """Texts and their vectors."""

    def __init__(self, texts: Sequence[str], vectors: Matrix) -> None:
        self._row = {text: index for index, text in enumerate(texts)}
        self._vectors = vectors

    def rows(self, texts: Iterable[str]) -> Matrix:
        return self._vectors[[self._row[text] for text in texts]]

    def means(self, groups: Sequence[Sequence[str]]) -> Matrix:
        """The direction of the mean vector of each group of texts."""
        if not groups:
            return self._vectors[:0]
        starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
        return unit(np.add.reduceat(self.rows(text for group in groups for text in group), starts, axis=0))


def unit(vectors: Matrix) -> Matrix:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _anchored(labels: Matrix, examples: Matrix, chosen: NDArray[np.intp]) -> Matrix:
    """Where each label lies: its words' direction plus its examples' mean direction."""
    anchors = labels.copy()
    for index in np.unique(chosen):
        anchors[index] += unit(examples[chosen == index].mean(axis=0))
    return unit(anchors)


def _chance(space: _Space, anchors: Matrix) -> float:
    """How near an unrelated text comes to the nearest of ``anchors``, on average."""
    return float((space.rows(_ANYTHING) @ anchors.T).max(axis=1).mean())
