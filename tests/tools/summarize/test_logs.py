import random

import pytest

from tools.summarize.logs import counted

LOG = "\n".join(
    f"2026-11-{1 + n % 28:02d}T10:00:{n % 60:02d}Z api "
    + (f"ERROR timeout after {n}ms calling inventory" if n % 10 == 0 else f"INFO request id={n:x}7 served")
    for n in range(200)
)


def test_a_log_is_summarized_by_its_kinds_of_lines_the_worst_first():
    assert counted([LOG], max_words=150) == [
        "200 lines of 2 kinds",
        "20 times: …Z api ERROR timeout after …ms calling inventory",
        "180 times: …Z api INFO request id=… served",
    ]


def test_lines_of_several_files_are_counted_together():
    assert counted([LOG, LOG], max_words=150)[0] == "400 lines of 2 kinds"


def test_words_of_any_length_take_no_time():
    assert counted(["\n".join([100_000 * "x"] * 20)], max_words=5)[0] == "20 lines of 1 kinds"


def test_a_focus_puts_what_it_names_first():
    assert "served" in counted([LOG], focus="how many requests were served?", max_words=150)[1]


def test_a_summary_has_no_more_words_than_asked_for_but_at_least_one_kind():
    assert len(counted([LOG], max_words=12)) == 2
    assert len(counted([LOG], max_words=1)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ERROR one line",
        "\n".join(f"{n},{n * 7},{n * 3.5}" for n in range(40)),
        "\n".join(
            " ".join(random.Random(n).choices(["of", "men", "mice", "sun", "rain", "bread", "salt"], k=8))
            for n in range(40)
        ),
    ],
)
def test_what_hardly_repeats_is_no_log(text: str):
    assert counted([text], max_words=150) == []
