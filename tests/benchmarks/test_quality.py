"""Tests the measures of docs/quality.md against hand-computed values, and the generation of the page."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from benchmarks.figures import figures
from benchmarks.quality import DOCUMENT, FIGURES, settings_of
from benchmarks.report import document
from benchmarks.rouge import rouge
from benchmarks.rows import Row, examples_of, load, plain_call, spread, with_examples
from benchmarks.scores import (
    Answer,
    accuracy,
    accurate_at,
    calibration_error,
    coverage,
    gain,
    interval,
    out_of_scope,
    slot_f1,
    token_f1,
)
from engines.base import JsonObject
from engines.settings import VllmSettings
from tools.pipeline.structured import validator_of


def judged(*answers: tuple[str, str | None, float]) -> list[tuple[Row, Answer]]:
    """Returns rows and answers from given label, right label (``None``: none fits) and confidence."""
    return [
        (
            Row(str(n), "set", "classify", "", f"text {n}", gold, ("a", "b"), abstain=gold is None),
            Answer(str(n), said, valid=True, confidence=sure),
        )
        for n, (said, gold, sure) in enumerate(answers)
    ]


def test_rows_no_label_fits_do_not_count_as_wrong_labels() -> None:
    assert accuracy(judged(("a", "a", 0.9), ("b", "a", 0.9), ("a", None, 0.1))) == 0.5


def test_confidence_is_measured_against_what_was_right() -> None:
    right = judged(*[("a", "a", 0.75)] * 3, ("a", "b", 0.75))
    assert calibration_error(right) == pytest.approx(0)
    assert calibration_error(judged(("a", "b", 0.9), ("a", "b", 0.9))) == pytest.approx(0.9)


def test_coverage_is_the_largest_share_of_most_confident_rows_that_is_right_nine_times_in_ten() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 9, ("a", "b", 0.8), ("a", "b", 0.7), ("a", "b", 0.6))
    assert coverage(pairs) == pytest.approx(10 / 12)
    assert accurate_at(pairs, 0.75) == 1


def test_texts_no_label_fits_rank_below_the_others_or_by_chance() -> None:
    assert out_of_scope(judged(("a", "a", 0.9), ("a", "b", 0.8), ("a", None, 0.1))) == 1
    assert out_of_scope(judged(("a", "a", 0.5), ("a", None, 0.5))) == 0.5
    assert out_of_scope(judged(("a", "a", 0.1), ("a", None, 0.2), ("a", None, 0.05))) == 0.5


def test_slot_f1_counts_values_by_path_in_any_order_and_case() -> None:
    row = Row("1", "set", "extract", "", "text", {"a": "X  y", "b": None, "c": [{"d": 1}, {"d": 2}]})
    half = (row, Answer("1", {"a": "x y", "b": "z", "c": [{"d": 1}]}, valid=True))
    whole = (row, Answer("1", {"a": "x Y", "b": "", "c": [{"d": 2}, {"d": 1}]}, valid=True))
    assert slot_f1([half]) == pytest.approx(2 * 2 / (3 + 3))
    assert slot_f1([whole]) == 1
    assert slot_f1([(row, Answer("1", error="too long"))]) == 0


def test_token_f1_is_that_of_the_best_accepted_answer_without_articles() -> None:
    row = Row("1", "set", "chat", "", "text", {"answers": ["the red house", "a barn"]})
    assert token_f1([(row, Answer("1", "Red, house."))]) == 1
    assert token_f1([(row, Answer("1", "old barn"))]) == pytest.approx(2 / 3)
    assert token_f1([(row, Answer("1"))]) == 0


def test_the_same_words_in_another_order_share_words_but_no_pairs() -> None:
    found = rouge("one two three", ("three two one",))
    assert (found["rouge1"], found["rouge2"]) == (1, 0)
    assert found["rougeL"] == pytest.approx(1 / 3)


def test_an_interval_holds_its_figure_and_repeats() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    value, low, high = interval([pairs], accuracy)
    assert low < value == 0.6 < high
    assert interval([pairs], accuracy) == (value, low, high)


def test_the_mean_of_many_sets_has_a_narrower_interval_than_each() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    value, low, high = interval([pairs], accuracy)
    mean, above, below = interval([pairs] * 9, accuracy)
    assert mean == pytest.approx(value)
    assert low < above < mean < below < high


def test_what_one_way_gains_is_counted_row_by_row() -> None:
    pairs = judged(("a", "a", 0.9), ("a", "a", 0.9), ("b", "a", 0.9), ("a", "a", 0.9))
    both = [(row, one, replace(one, value="b" if one.id == "0" else "a")) for row, one in pairs]
    assert gain(accuracy)(both) == 0
    assert gain(accuracy)(both[:2]) == 0.5
    # If both ways have the same rows right, the gain is 0 in every resample.
    assert interval([[(row, one, one) for row, one in pairs]], gain(accuracy)) == (0, 0, 0)


def test_rows_are_taken_at_equal_steps() -> None:
    rows = [row for row, _ in judged(*[("a", "a", 0.9)] * 10)]
    assert [row.id for row in spread(rows, 4)] == ["0", "2", "5", "7"]
    assert spread(rows, 100) == rows


def test_a_sample_leaves_out_what_no_label_fits_and_sets_no_tool_answers(tmp_path: Path) -> None:
    said = {"instruction": "Which?", "input": "a\u2028b", "gold": "x", "labels": ["x", "y"]}
    lines = [{**said, "id": n, "task": "classify", "abstain": n == 0} for n in range(3)]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (tmp_path / "labels.jsonl").write_text(text, encoding="utf-8")
    route = {**said, "id": 1, "task": "route"}
    (tmp_path / "route.jsonl").write_text(json.dumps(route), encoding="utf-8")
    assert [row.id for row in load(tmp_path, [], 3)["labels"]] == ["1", "2"]
    assert len(load(tmp_path, [], 0)["labels"]) == 3
    assert list(load(tmp_path, [], 0)) == ["labels"]


def test_plain_chat_is_one_message_and_the_schema_of_the_answer(tmp_path: Path) -> None:
    tool_output: JsonObject = {
        "id": "1",
        "task": "extract_many",
        "many": True,
        "fields": {"file": "source file"},
        "instruction": "Every error.",
        "input": "x" * 20_000,
        "gold": [],
    }
    (tmp_path / "set.jsonl").write_text(json.dumps(tool_output), encoding="utf-8")
    asked = plain_call(load(tmp_path, [], 0)["set"][0]).arguments
    assert asked["messages"] == [{"role": "user", "content": "Every error.\n\n" + "x" * 12_000}]
    assert validator_of(cast("JsonObject", asked["schema"])).is_valid([{"file": "a"}, {"file": None}])
    label = plain_call(judged(("a", "a", 0.9))[0][0]).arguments
    assert label["messages"] == [{"role": "user", "content": " Answer with one of: a, b.\n\ntext 0"}]
    assert validator_of(cast("JsonObject", label["schema"])).is_valid({"label": "a"})


def test_a_model_is_given_to_the_engine_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_LLM_CONFIG", raising=False)
    assert settings_of("llamacpp", "a.gguf").llamacpp.model == "a.gguf"
    assert settings_of("ollama", "b:7b").ollama.model == "b:7b"
    assert settings_of("vllm").vllm == VllmSettings()


def test_examples_are_never_among_what_is_asked(tmp_path: Path) -> None:
    rows = [row for row, _ in judged(*[("a", "a", 0.9)] * 6, *[("b", "b", 0.9)] * 6)]
    examples, left = with_examples(rows, 2, seed=1)
    assert len(examples) == 4
    assert not {row.input for row in left} & {str(example["text"]) for example in examples}
    lines = [{"text": f"Text {n}", "label": "a"} for n in range(20)]
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    chosen = [str(example["text"]).lower() for example in examples_of(path, 5, rows, seed=1)]
    assert len(chosen) == 5
    assert not set(chosen) & {row.input for row in rows}


def test_the_page_states_where_the_tool_loses(tmp_path: Path) -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    better = [(row, replace(answer, value=row.gold)) for row, answer in pairs]
    for way, answered in (("ours", pairs), ("plain", better[2:])):
        lines = [json.dumps(answer.as_json()) + "\n" for _, answer in answered]
        (tmp_path / f"set.{way}.jsonl").write_text("".join(lines))
    measured = figures(tmp_path, {"set": [row for row, _ in pairs]})
    page = document({"small": {"sets": {}, "speed": {"items": 2}}, "engine": measured})
    found = re.search(r"\| set \| classify \| 8 \| 0\.500 \| 1\.000 \| -50\.0 \[(.*?), (.*?)\]", page)
    assert found
    assert float(found[1]) < -50 < float(found[2])
    verdict = "The tool scores below plain chat on classify (-50.0 points on average; behind on set)."
    assert f"**{verdict}**" in page
    assert "| set | one per call | 10 | 0.600 [" in page
    assert page.index("## engine") < page.index("## small")


def test_the_page_in_the_documents_is_made_of_the_figures_beside_the_benchmark() -> None:
    assert document(json.loads(FIGURES.read_text(encoding="utf-8"))) == DOCUMENT.read_text(encoding="utf-8")
