"""Scoring with vectors of our own: a bag of words hashed to axes replaces the embedding model."""

import re
import time
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.classify.few_shot import softmax
from tools.classify.label_names import is_fallback, words
from tools.classify.scoring import PIECES, Plan, Question, Scores, embedded_part

FRUIT = {"fruit": "the apple, pear or plum", "metal": "the iron, copper or zinc"}


def bag(text: str) -> NDArray[np.float32]:
    """A unit vector with an axis for each word."""
    vector = np.zeros(1024, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % 1024] += 1
    return vector / np.float32(np.linalg.norm(vector))


def scores(question: Question, items: Sequence[str]) -> list[Scores]:
    plan = Plan(question, items)
    return plan.scores(np.array([bag(text) for text in plan.texts]))


def first(question: Question, items: Sequence[str]) -> list[str]:
    labels = list(question.labels)
    return [labels[int(np.argmax(each.probabilities))] for each in scores(question, items)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("AddToPlaylist", "add to playlist"),
        ("card_not_working?", "card not working"),
        ("visual-studio", "visual studio"),
        ("HTTPError", "http error"),
        ("Sci/Tech", "sci tech"),
        ("question", "question"),
        ("été", "été"),
    ],
)
def test_a_label_is_read_as_the_words_in_it(label: str, expected: str) -> None:
    assert words(label) == expected


@pytest.mark.parametrize("unit", ["word ", "f3a9", "漢字", "}{", "\n"])
def test_the_embedded_part_is_short_whatever_the_text(unit: str) -> None:
    assert len(re.findall(r"[A-Za-z]{1,4}|\S", embedded_part(unit * 100_000))) <= PIECES


def test_a_text_gets_the_label_it_is_near() -> None:
    apple, nothing = scores(Question(FRUIT), ["a ripe apple", "tomorrow"])
    assert apple.probabilities[0] > 0.6
    assert nothing.probabilities == pytest.approx([0.5, 0.5], abs=0.05)


def test_no_items_are_no_scores() -> None:
    assert scores(Question(FRUIT), []) == []


def test_other_items_of_a_call_change_nothing() -> None:
    alone = scores(Question(FRUIT), ["apple pear"])[0]
    crowd = scores(Question(FRUIT), ["apple pear", *(f"iron copper {n}" for n in range(200))])[0]
    assert crowd.probabilities == pytest.approx(alone.probabilities)


def test_each_text_is_embedded_once() -> None:
    texts = Plan(Question(FRUIT, examples=[("an apple", "fruit")]), ["an apple", "an apple", "iron"]).texts
    assert len(texts) == len(set(texts))
    assert {"an apple", "iron", "fruit", FRUIT["fruit"]} <= set(texts)


def test_one_label_having_most_items_leaves_the_others_theirs() -> None:
    items = [*(f"apple number {n}" for n in range(90)), *(f"iron part {n}" for n in range(10))]
    assert first(Question(FRUIT), items) == ["fruit"] * 90 + ["metal"] * 10


def test_probabilities_sum_to_one_whatever_the_numbers() -> None:
    wild = np.array([[1e6, -1e6, 0.0], [0.0, 0.0, 0.0]])
    assert softmax(wild).sum(axis=1) == pytest.approx([1.0, 1.0])


def test_one_example_a_label_already_helps() -> None:
    question = Question({"a": "", "b": ""}, examples=[("green leaf", "a"), ("blue wave", "b")])
    assert first(question, ["leaf", "wave"]) == ["a", "b"]


def test_examples_outweigh_a_misleading_name() -> None:
    wrong = [(f"apple number {n}", "metal") for n in range(10)] + [
        (f"iron number {n}", "fruit") for n in range(10)
    ]
    assert first(Question(FRUIT, examples=wrong), ["apple", "iron"]) == ["metal", "fruit"]


def test_a_label_without_examples_can_still_win() -> None:
    taught = [(f"apple number {n}", "fruit") for n in range(10)]
    assert first(Question(FRUIT, examples=taught), ["iron and copper", "apple"]) == ["metal", "fruit"]


def test_examples_that_contradict_each_other_leave_little_confidence() -> None:
    clear = [(f"{word} {n}", label) for n in range(8) for word, label in (("red", "a"), ("blue", "b"))]
    mixed = [(text, "ab"[index % 3 % 2]) for index, (text, _) in enumerate(clear)]
    sure = scores(Question({"a": "", "b": ""}, examples=clear), ["red"])[0]
    unsure = scores(Question({"a": "", "b": ""}, examples=mixed), ["red"])[0]
    assert max(sure.probabilities) > 0.9 > 0.8 > max(unsure.probabilities)


@pytest.mark.parametrize("label", ["other", "None", "none_of_the_above", "OOS", "misc"])
def test_a_fallback_label_is_recognised_by_its_name(label: str) -> None:
    assert is_fallback(label)


def test_a_fallback_label_gets_what_is_near_no_other() -> None:
    assert first(Question({**FRUIT, "other": ""}), ["iron and zinc", "tuesday xylophone"]) == [
        "metal",
        "other",
    ]


@pytest.mark.parametrize(
    ("instructions", "asked"),
    [
        ("If none of the labels fits, abstain.", True),
        ("Leave out what doesn't fit.", True),
        ("Which is it?", False),
        ("Which outfit is it?", False),
    ],
)
def test_abstention_is_for_those_who_ask_for_it(instructions: str, asked: bool) -> None:
    question = Question(FRUIT, instructions)
    found = [each.in_scope < 0.5 for each in scores(question, ["iron", "tuesday xylophone"])]
    assert found == [False, asked]


def test_fallback_labels_alone_are_ordinary_labels() -> None:
    assert first(Question({"other": "", "unknown": ""}), ["other", "unknown"]) == ["other", "unknown"]


def test_hundreds_of_labels_and_thousands_of_items_take_seconds() -> None:
    labels = {f"topic{n} subject{n}": "" for n in range(200)}
    items = [f"about subject{n % 200} number {n}" for n in range(2_000)]
    plan = Plan(Question(labels), items)
    vectors = np.array([bag(text) for text in plan.texts])
    started = time.process_time()
    found = [int(np.argmax(each.probabilities)) for each in plan.scores(vectors)]
    assert time.process_time() - started < 5
    assert sum(label == n % 200 for n, label in enumerate(found)) > 1_200


def test_more_examples_than_can_be_fitted_are_taken_from_every_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.classify.few_shot.EXAMPLES_AT_MOST", 6)
    many = [(f"apple {n}", "fruit") for n in range(100)] + [(f"iron {n}", "metal") for n in range(3)]
    assert first(Question(FRUIT, examples=many), ["apple", "iron"]) == ["fruit", "metal"]
