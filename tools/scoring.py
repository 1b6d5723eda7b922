"""Labels scored by sentence embeddings: what to embed for a question, and what the vectors say.

Pure arithmetic, no engine: ``Plan`` lists the texts to embed, the caller embeds them, ``Plan.opinions``
turns the vectors into labels with calibrated confidences. Without examples a label is what its name,
its description and the glossary say (zero-shot), and many items in one call refine each other; with
examples a small head learns from them (``tools.heads``).

Constants were chosen on eighteen public sets that docs/quality.md does not report on: news, tweets, reviews,
a home assistant, questions, log lines, the commits of three repositories. There, against the bare label
names (0.53), accuracy is 0.58 one item a call and 0.59 in one call; without the glossary 0.53 and 0.54; with
ten examples 0.70. Tried there without gain and left out: templates around labels, centred label vectors,
the instructions as a part of each label, utterances written by SmolLM2, calibration by regression.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.glossary import ORDINARY, denials, is_fallback, phrases, words
from tools.heads import head
from tools.overlap import overlap
from tools.views import text_views

Matrix = NDArray[np.floating]
Vector = NDArray[np.floating]

TEMPERATURE = 0.07
"""Cosines over this are log-odds. Lowest mean calibration error on the public sets: 0.13 (0.14 at 0.06)."""

COMPANY_TEMPERATURE, MISTRUST = 0.05, 3.5
"""The same among many items, ``0.05 * (1 + 3.5 * bias)``: 0.107 there (0.117 at 2.5). Which of twelve pairs
is best hardly depends on the set left out.
"""

WORDS = 0.1
"""What holding all of a label's words adds to a text's cosine to it: 0.05 to 0.2 are as good there."""

REFINEMENT = 0.6
"""Weight of the likeness to the items that seem to be a label's own, beside that to the label's words.

Not left out: a compromise from the 20 sets whose items share their labels. Where nine of ten items have
one label, 0.6 loses 0.02 of accuracy against each item alone and 1.0 loses 0.04, for no clear gain else.
Removing half of a label's mean similarity as well (batch calibration) gains another 0.02 on the balanced
dev sets and loses 0.10 there, so it is not done.
"""

ROUNDS = 4
FEW_ITEMS = 10.0
"""Items after which what a call's items have in common counts half."""

FEW_OWN = 5.0
"""Items of its own after which a label moves half of the way."""

SEVERAL = 0.25
"""Probability from which a label of a ``multi`` question is one of the answers.

The flat top (0.15 to 0.25) of micro-F1 on pairs of texts of nine sets joined into one.
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
        probabilities = self._probabilities(space, items, labels, examples, list(distinct.values()))
        scope = self._scope(space, items, _anchored(labels, examples, self._chosen))
        rows = zip(probabilities * scope[:, None], scope.tolist(), strict=True)
        found = {
            views: self._opinion(row, inside) for views, (row, inside) in zip(distinct, rows, strict=True)
        }
        return [found[views] for views in self._views]

    def _probabilities(
        self, space: "_Space", items: Matrix, labels: Matrix, examples: Matrix, texts: Sequence[str]
    ) -> Matrix:
        """Of the labels, a row an item."""
        near = items @ labels.T + WORDS * self._said_in(texts)
        taught = examples @ labels.T + WORDS * self._said_in([text for text, _ in self.question.examples])
        if rest := self._rest:
            # A label such as ``other`` is as near as chance, whatever the item.
            others = np.delete(labels, rest, axis=0)
            near[:, rest] = taught[:, rest] = _chance(space, others)
        if not self._examples:
            return zero_shot(items, near)
        prior = softmax(taught / TEMPERATURE)
        fitted = head([text for text, _ in self.question.examples], examples, self._chosen, prior)
        return fitted(texts, items, softmax(near / TEMPERATURE))

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


def zero_shot(items: Matrix, scores: Matrix) -> Matrix:
    """Probabilities of the labels (columns) for ``items`` by their ``scores``, cosines to the labels.

    One item: a softmax. Several: each label moves towards the items that are more likely its own than
    all others' together (a few rounds of k-means), fading in with their number. How unequally the labels
    share the items tells how far the scores are to be believed: it raises the temperature.
    """
    count = len(items)
    if count < 2:
        return softmax(scores / TEMPERATURE)
    weight = count / (count + FEW_ITEMS)
    around = items - items.mean(axis=0)
    refined = scores
    for _ in range(ROUNDS):
        share = softmax(refined / TEMPERATURE)
        own = np.where(share >= 0.5, share, 0)
        mass = own.sum(axis=0)
        centres = (own.T @ around) / (mass + FEW_OWN)[:, None]
        refined = scores + REFINEMENT * weight * (around @ centres.T)
    company = COMPANY_TEMPERATURE * (1 + MISTRUST * _bias(scores))
    return softmax(refined / (weight * company + (1 - weight) * TEMPERATURE))


def _bias(scores: Matrix) -> float:
    """How much of the differences between labels is the same for all items, 0 to 1.

    Over twenty sets its rank correlation with the best temperature of a set is 0.6, the highest of eleven
    measures tried (number of labels, their likeness, nearness of the items, ...).
    """
    centred = scores - scores.mean(axis=1, keepdims=True)
    return float(np.abs(centred.mean(axis=0)).mean() / max(float(centred.std()), 1e-6))


def softmax(scores: Matrix) -> Matrix:
    """Rows as probabilities."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


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
