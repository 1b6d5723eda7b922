"""Scoring with vectors of our own: a bag of words hashed to axes replaces the embedding model."""

import re
import time
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.classify.calibration import smoothed_by_neighbours, softmax, zero_shot
from tools.classify.glossary import is_fallback, phrases, words
from tools.classify.scoring import Opinion, Plan, Question, label_texts, may_abstain
from tools.classify.text_views import text_views
from tools.classify.word_overlap import overlap

FRUIT = {"fruit": "the apple, pear or plum", "metal": "the iron, copper or zinc"}


def bag(text: str) -> NDArray[np.float32]:
    """A unit vector with an axis for each word."""
    vector = np.zeros(1024, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % 1024] += 1
    return vector / np.float32(np.linalg.norm(vector))


def opinions(question: Question, items: Sequence[str]) -> list[Opinion]:
    plan = Plan(question, items)
    return plan.opinions(np.array([bag(text) for text in plan.texts]))


def first(question: Question, items: Sequence[str]) -> list[str]:
    return [opinion.labels[0] for opinion in opinions(question, items)]


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


def test_a_label_without_letters_is_embedded_as_it_stands() -> None:
    assert label_texts(Question({"??": "", "!!": ""})) == [("??",), ("!!",)]


def test_common_names_of_one_group_bring_their_phrases() -> None:
    meant = phrases(["feat", "fix", "ci"])
    assert set(meant) == {"feat", "fix", "ci"}
    assert any("pipeline" in phrase for phrase in meant["ci"])


def test_one_common_name_without_others_of_its_group_brings_none() -> None:
    assert phrases(["style", "colour", "fabric"]) == {}
    assert phrases(["yes", "no", *(f"intent {n}" for n in range(20))]) == {}


def test_the_other_labels_decide_which_meaning_is_used() -> None:
    assert phrases(["critical", "fatal", "debug", "info"])["critical"][0] == "the system is down"
    assert (
        phrases(["critical", "high", "medium", "low"])["critical"][0] == "urgent, must be fixed immediately"
    )


@pytest.mark.parametrize("negated", ["not_offensive", "non-offensive", "NotOffensive"])
def test_a_negated_label_is_not_embedded_as_what_it_denies(negated: str) -> None:
    texts = label_texts(Question({"offensive": "", negated: ""}))
    assert texts[1] == ("an ordinary message",)
    assert texts[0][0] == "offensive"


def test_a_word_that_only_looks_negated_is_a_label_like_others() -> None:
    assert label_texts(Question({"note": "", "university": ""})) == [("note",), ("university",)]


def test_a_description_takes_the_place_of_the_glossary() -> None:
    texts = label_texts(Question({"bug": "a small animal with six legs", "feature": ""}))
    assert texts[0] == ("bug", "a small animal with six legs")


def test_a_text_is_seen_as_its_first_line_and_as_a_whole() -> None:
    assert text_views("It crashes\n\nOn start, always.") == ("It crashes", "It crashes\nOn start, always.")
    assert text_views("It crashes") == ("It crashes",)


def test_form_boilerplate_is_not_embedded() -> None:
    form = "Crash\n<!-- the rules -->\n### Version\n_No response_\n- [x] I searched\n```\ntrace\n```\n[log](http://a/b)"
    assert text_views(form)[1] == "Crash\nlog"


@pytest.mark.parametrize("text", ["", "  \n ", "<!-- only this -->", "```\ncode\n```"])
def test_a_text_of_noise_alone_still_has_a_view(text: str) -> None:
    assert all(view.strip() for view in text_views(text))


@pytest.mark.parametrize("unit", ["word ", "f3a9", "漢字", "}{", "\n"])
def test_a_view_is_short_whatever_the_text(unit: str) -> None:
    assert all(len(re.findall(r"[A-Za-z]{1,4}|\S", view)) <= 250 for view in text_views(unit * 100_000))


def test_a_hostile_text_is_cleaned_in_linear_time() -> None:
    started = time.process_time()
    for hostile in (
        "<!--" * 50_000,
        "![" * 50_000,
        "[](" * 50_000,
        "```" * 50_000,
        " \n" * 100_000,
        "- [" * 50_000,
    ):
        text_views(hostile)
    assert time.process_time() - started < 5


def test_each_text_is_embedded_once() -> None:
    texts = Plan(Question(FRUIT, examples=[("an apple", "fruit")]), ["an apple", "an apple", "iron"]).texts
    assert len(texts) == len(set(texts))
    assert {"an apple", "iron", "fruit", FRUIT["fruit"]} <= set(texts)


def test_a_text_gets_the_label_it_is_near() -> None:
    found = opinions(Question(FRUIT), ["a ripe apple"])
    assert found[0].labels == ("fruit",)
    assert found[0].runner_up == "metal"
    assert 0.5 < found[0].confidence <= 1


def test_a_text_near_no_label_has_little_confidence() -> None:
    assert opinions(Question(FRUIT), ["tomorrow"])[0].confidence == pytest.approx(0.5, abs=0.05)


def test_no_items_are_no_opinions() -> None:
    assert opinions(Question(FRUIT), []) == []


def test_equal_items_get_equal_opinions_and_count_once() -> None:
    items = ["a ripe apple", "rusty iron"]
    once, often = opinions(Question(FRUIT), items), opinions(Question(FRUIT), [*items[:1] * 50, items[1]])
    assert often[:50] == [once[0]] * 50
    assert often[50] == once[1]


def test_similar_items_refine_a_label() -> None:
    # "durian" is in no label; it comes with apples.
    others = [f"apple durian {n}" for n in range(15)] + [f"iron anvil {n}" for n in range(15)]
    assert opinions(Question(FRUIT), ["durian", *others])[0].labels == ("fruit",)
    assert opinions(Question(FRUIT), ["durian", *others])[0].confidence > 0.6


def test_the_label_of_a_clear_item_does_not_depend_on_the_other_items() -> None:
    alone = opinions(Question(FRUIT), ["apple pear"])[0]
    crowd = opinions(Question(FRUIT), ["apple pear", *(f"iron copper {n}" for n in range(200))])[0]
    assert alone.labels == crowd.labels == ("fruit",)


def test_one_label_having_most_items_leaves_the_others_theirs() -> None:
    items = [*(f"apple number {n}" for n in range(90)), *(f"iron part {n}" for n in range(10))]
    assert first(Question(FRUIT), items) == ["fruit"] * 90 + ["metal"] * 10


def test_labels_that_seldom_win_make_all_less_sure() -> None:
    rng = np.random.default_rng(1)
    items = rng.normal(size=(60, 64))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    fair = rng.normal(scale=0.05, size=(60, 2))
    biased = fair + np.array([0.2, 0.0])
    alone = softmax(biased / 0.06).max(axis=1).mean()
    assert zero_shot(items, biased, biased[None, :, None]).max(axis=1).mean() < alone - 0.05


@pytest.mark.parametrize("count", [1, 30])
def test_an_item_whose_readings_disagree_is_less_sure_and_keeps_its_label(count: int) -> None:
    items = np.eye(count, 64)
    scores = np.tile([0.5, 0.4], (count, 1))
    leads = np.array([[1.0, -1.0], [-1.0, 1.0]])[:, None, None]
    alike, apart = (scores[None, :, None] + lead * leads for lead in (0.0, 0.1))
    sure, unsure = zero_shot(items, scores, alike)[0], zero_shot(items, scores, apart)[0]
    assert 0.5 < unsure[0] < sure[0] - 0.05


def test_a_title_and_a_body_that_disagree_lower_the_confidence() -> None:
    plan = Plan(Question({"a": "", "b": ""}), ["title\nbody"])
    assert plan.texts == ("a", "b", "title", "title\nbody")
    labels, once, twice = [[1, 0], [0, 1]], [0.8, 0.6], [[0.96, 0.28], [0.6, 0.8]]
    agree, differ = plan.opinions([*labels, once, once])[0], plan.opinions([*labels, *twice])[0]
    assert agree.labels == differ.labels == ("a",)
    assert differ.confidence < agree.confidence - 0.1


def test_an_uninformative_name_with_a_description_does_not_lower_the_confidence() -> None:
    plain = {"apple pear plum": "", "iron copper zinc": ""}
    described = {"x1": "apple pear plum", "x2": "iron copper zinc"}
    clear, cryptic = (opinions(Question(labels), ["apple pear plum"])[0] for labels in (plain, described))
    assert cryptic.confidence > 0.9 * clear.confidence


def test_an_item_between_two_labels_gets_the_label_of_similar_items() -> None:
    items = np.array([[0.8, 0.6], *[[1.0, 0.0]] * 20, *[[-0.6, 0.8]] * 20])
    probabilities = np.array([[0.45, 0.55], *[[0.9, 0.1]] * 20, *[[0.1, 0.9]] * 20])
    smoothed = smoothed_by_neighbours(items, probabilities)
    assert smoothed[0, 0] > 0.5
    assert smoothed.sum(axis=1) == pytest.approx(1)
    assert smoothed_by_neighbours(items[:1], probabilities[:1])[0] == pytest.approx([0.45, 0.55])


def test_of_very_many_items_each_is_smoothed_within_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.classify.calibration.BLOCK", 10)
    rng = np.random.default_rng(2)
    items, probabilities = rng.normal(size=(23, 8)), rng.dirichlet([1, 1, 1], size=23)
    before = smoothed_by_neighbours(items, probabilities)
    items[8:] = rng.normal(size=(15, 8))
    after = smoothed_by_neighbours(items, probabilities)
    assert after[:8] == pytest.approx(before[:8])
    assert after[8:] != pytest.approx(before[8:])


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
    sure = opinions(Question({"a": "", "b": ""}, examples=clear), ["red"])[0]
    unsure = opinions(Question({"a": "", "b": ""}, examples=mixed), ["red"])[0]
    assert sure.confidence > 0.9 > 0.8 > unsure.confidence


def test_several_labels_are_those_with_a_share() -> None:
    question = Question({**FRUIT, "cloth": "wool silk linen"}, multi=True)
    both, one = opinions(question, ["apple and iron", "silk"])
    assert set(both.labels) == {"fruit", "metal"}
    assert one.labels == ("cloth",)


@pytest.mark.parametrize("label", ["other", "None", "none_of_the_above", "OOS", "misc"])
def test_a_fallback_label_is_recognised_by_its_name(label: str) -> None:
    assert is_fallback(label)
    assert may_abstain(Question({**FRUIT, label: ""}))


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
    assert may_abstain(question) is asked
    assert [opinion.out_of_scope for opinion in opinions(question, ["iron", "tuesday xylophone"])] == [
        False,
        asked,
    ]


def test_with_abstention_confidence_includes_the_probability_of_being_in_scope() -> None:
    plain, asked = (
        opinions(Question(FRUIT, instructions), ["pear tart"])[0]
        for instructions in ("", "Abstain if in doubt.")
    )
    assert plain.in_scope == 1
    assert 0.5 < asked.in_scope < 1
    assert asked.confidence == pytest.approx(plain.confidence * asked.in_scope)


def test_fallback_labels_alone_are_ordinary_labels() -> None:
    assert first(Question({"other": "", "unknown": ""}), ["other", "unknown"]) == ["other", "unknown"]


def test_hundreds_of_labels_and_thousands_of_items_take_seconds() -> None:
    labels = {f"topic{n} subject{n}": "" for n in range(200)}
    items = [f"about subject{n % 200} number {n}" for n in range(2_000)]
    plan = Plan(Question(labels), items)
    vectors = np.array([bag(text) for text in plan.texts])
    started = time.process_time()
    found = plan.opinions(vectors)
    assert time.process_time() - started < 5
    assert sum(opinion.labels[0].startswith(f"topic{n % 200} ") for n, opinion in enumerate(found)) > 1_500


def test_more_examples_than_can_be_fitted_are_taken_from_every_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.classify.few_shot.EXAMPLES_AT_MOST", 6)
    many = [(f"apple {n}", "fruit") for n in range(100)] + [(f"iron {n}", "metal") for n in range(3)]
    assert first(Question(FRUIT, examples=many), ["apple", "iron"]) == ["fruit", "metal"]


def test_a_label_whose_words_stand_in_a_text_gains_by_it() -> None:
    shares = overlap(["The oracle server says no.", "nothing of that"], ["oracle", "excel", "visual studio"])
    assert shares[0].tolist() == [1, 0, 0]
    assert not shares[1].any()


def test_a_word_of_all_labels_weighs_less_than_one_of_a_single_label() -> None:
    card, lost = overlap(["my card", "lost"], ["lost card", "new card"])
    assert 0 < card[0] == pytest.approx(card[1])
    assert lost[0] > card[0]
    assert lost[1] == 0
