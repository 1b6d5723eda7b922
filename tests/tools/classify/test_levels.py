"""Level words of log lines, and the labels they speak for."""

import pytest

from tools.classify.label_names import spoken_for
from tools.sources.levels import level_of


@pytest.mark.parametrize(
    ("line", "rank"),
    [
        ("2026-03-04 08:00:01,120 DEBUG [cache] hit", 1),
        ("[Wed Oct 11 14:32:52 2000] [error] [client 127.0.0.1] denied", 5),
        ('{"time":"2026-03-04T08:00:01Z","level":"warn","msg":"slow"}', 4),
        ("time=2026-03-04 level=info msg=started", 2),
        ("gcc: fatal: no input files", 7),
        ("<warning> queue is long", 4),
        ("2026-03-04 SEVERE: out of memory", 5),
        ("the user made an error in the form", None),
        ("GET /errors/502 200", None),
        ("errors=remount-ro", None),
        ("INFO retried after ERROR", 2),
        ("x" * 300 + " ERROR", None),
    ],
)
def test_level_words_are_found_where_loggers_write_them(line: str, rank: int | None) -> None:
    assert level_of(line) == rank


@pytest.mark.parametrize(
    ("labels", "rank", "spoken"),
    [
        (["error", "warning", "noise"], 7, [0]),
        (["error", "warning", "noise"], 5, [0]),
        (["error", "warning", "noise"], 4, [1]),
        (["error", "warning", "noise"], 2, [2]),
        (["noise", "other", "Errors"], 1, [0, 1]),
        (["CRITICAL", "info"], 5, [1]),
        (["network", "disk"], 5, []),
    ],
)
def test_a_level_speaks_for_the_label_next_below_it(labels: list[str], rank: int, spoken: list[int]) -> None:
    assert spoken_for(rank, labels) == spoken
