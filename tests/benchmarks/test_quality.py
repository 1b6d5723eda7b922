"""What docs/quality.md reports: measures worked out by hand, and a page made of figures alone."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.figures import figures
from benchmarks.quality import DOCUMENT, FIGURES, spread
from benchmarks.report import document
from benchmarks.rouge import rouge
from benchmarks.rows import Row, examples_of, with_examples
from benchmarks.scores import (
    Answer,
    accuracy,
    accurate_at,
    calibration_error,
    coverage,
    exact,
    gain,
    interval,
    out_of_scope,
    slot_f1,
)


def judged(*answers: tuple[str, str | None, float]) -> list[tuple[Row, Answer]]:
    """Pairs of what was said, what is right (``None``: no label fits) and how sure it was."""
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


def test_coverage_is_the_longest_beginning_of_the_surest_that_is_right_nine_times_in_ten() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 9, ("a", "b", 0.8), ("a", "b", 0.7), ("a", "b", 0.6))
    assert coverage(pairs) == pytest.approx(10 / 12)
    assert accurate_at(pairs, 0.75) == 1


def test_texts_no_label_fits_rank_below_the_others_or_by_chance() -> None:
    assert out_of_scope(judged(("a", "a", 0.9), ("a", "b", 0.8), ("a", None, 0.1))) == 1
    assert out_of_scope(judged(("a", "a", 0.5), ("a", None, 0.5))) == 0.5
    assert out_of_scope(judged(("a", "a", 0.1), ("a", None, 0.2), ("a", None, 0.05))) == 0.5


def test_f1_counts_values_by_name_and_exact_counts_rows() -> None:
    row = Row("1", "set", "extract", "", "text", {"a": "x", "b": None, "c": [1, 2]})
    half = (row, Answer("1", {"a": "x", "b": "y", "c": [1]}, valid=True))
    whole = (row, Answer("1", {"a": "x", "b": None, "c": [2, 1]}, valid=True))
    assert slot_f1([half]) == pytest.approx(2 * 2 / (3 + 3))
    assert exact([half, whole]) == 0.5
    assert slot_f1([whole]) == 1


def test_the_same_words_in_another_order_share_words_but_no_pairs() -> None:
    found = rouge("one two three", ("three two one",))
    assert (found["rouge1"], found["rouge2"]) == (1, 0)
    assert found["rougeL"] == pytest.approx(1 / 3)


def test_an_interval_holds_its_figure_and_repeats() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    value, low, high = interval([pairs], accuracy)
    assert low < value == 0.6 < high
    assert interval([pairs], accuracy) == (value, low, high)


def test_the_mean_of_many_sets_is_surer_than_each() -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    value, low, high = interval([pairs], accuracy)
    mean, above, below = interval([pairs] * 9, accuracy)
    assert mean == pytest.approx(value)
    assert low < above < mean < below < high


def test_what_one_way_gains_is_counted_row_by_row() -> None:
    assert gain([(True, False), (True, True), (False, True), (True, False)]) == 0.25
    # The same rows right in both ways are no gain, however they are drawn.
    assert interval([[(True, True)] * 5 + [(False, False)] * 5], gain) == (0, 0, 0)


def test_plain_rows_are_spread_over_the_set() -> None:
    rows = [row for row, _ in judged(*[("a", "a", 0.9)] * 10)]
    assert [row.id for row in spread(rows, 3)] == ["0", "3", "6"]
    assert spread(rows, 100) == rows
    assert spread(rows, 0) == []


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


def test_the_page_says_where_the_tool_loses(tmp_path: Path) -> None:
    pairs = judged(*[("a", "a", 0.9)] * 6, *[("a", "b", 0.9)] * 4)
    better = [(row, replace(answer, value=row.gold)) for row, answer in pairs]
    for way, told in (("ours", pairs), ("bare", better), ("plain", better[:5])):
        lines = [json.dumps(answer.as_json()) + "\n" for _, answer in told]
        (tmp_path / f"set.{way}.jsonl").write_text("".join(lines))
    page = document({"engine": figures(tmp_path, {"set": [row for row, _ in pairs]})})
    found = re.search(r"against the bare embedding: -40\.0 points on average \[(.*?), (.*?)\]", page)
    assert found
    assert float(found[1]) < -40 < float(found[2])
    assert "] (set -40.0); loses on set." in page
    assert "against plain chat: +0.0 points on average [+0.0, +0.0] (set +0.0); loses on none." in page
    assert "| set | 0.600 [" in page


def test_the_page_in_the_documents_is_made_of_the_figures_beside_the_benchmark() -> None:
    assert document(json.loads(FIGURES.read_text(encoding="utf-8"))) == DOCUMENT.read_text(encoding="utf-8")
