"""Kinds of texts that are classified once, and the groups of a short answer."""

from tools.classify.arguments import Verdict
from tools.classify.groups import LONGEST_IDS, grouped, ids
from tools.classify.kinds import kinds_in
from tools.sources.documents import Document
from tools.sources.kinds import Kind


def lines(*numbers: int, path: str = "a.log") -> list[Document]:
    return [Document(f"{path}:{number}", f"line {number}", path, number) for number in numbers]


def test_successive_lines_are_a_range() -> None:
    assert ids(lines(1, 2, 3, 7, 9, 10)) == "1-3,7,9-10"


def test_lines_of_several_files_have_the_name_of_their_file() -> None:
    assert ids(lines(1, 2) + lines(4, 6, path="b.log")) == "a.log:1-2,b.log:4,6"


def test_a_long_list_of_places_is_cut() -> None:
    shown = ids(lines(*range(0, 1_000, 2)))
    assert shown.startswith("0,2,4,")
    assert shown.endswith(",…")
    assert len(shown) <= LONGEST_IDS + 2


def test_items_and_texts_are_named_by_their_number() -> None:
    assert ids([Document(str(n), "x") for n in (0, 1, 2, 8)]) == "0-2,8"


def test_groups_are_by_label_with_the_largest_and_the_rarest_kinds() -> None:
    documents = lines(*range(1, 61))
    kinds = [
        Kind(f"kind {n} …", range(start, start + n), varied=False)
        for n, start in _runs((20, 15, 10, 8, 6, 1))
    ]
    verdicts = [Verdict(("noise",), 0.9)] * 5 + [Verdict(("error",), 0.8)]
    groups = grouped(["error", "noise"], documents, kinds, verdicts, 3)
    assert [
        (group["label"], group["count"], group.get("kinds")) for group in groups if isinstance(group, dict)
    ] == [
        ("error", 1, None),
        ("noise", 20, None),
        ("noise", 15, None),
        ("noise", 6, None),
        ("noise", 18, 2),
    ]
    assert groups[0] == {
        "label": "error", "count": 1, "share": 0.017, "pattern": "kind 1 …", "confidence": 0.8, "ids": "60",
    }  # fmt: skip


def _runs(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(size, sum(sizes[:index])) for index, size in enumerate(sizes)]


def test_verdicts_without_a_label_are_groups_of_their_own() -> None:
    kinds = [Kind("line 1", [0], varied=False), Kind("line 2", [1], varied=False)]
    verdicts = [Verdict(("noise",), 0.1, abstained=True), Verdict(error="no answer")]
    groups = grouped(["noise"], lines(1, 2), kinds, verdicts, 5)
    assert [group["label"] for group in groups if isinstance(group, dict)] == ["(abstained)", "(failed)"]


def test_lines_with_times_are_a_log_and_their_kinds_are_classified_once() -> None:
    texts = [f"08:00:{n:02d} INFO request {n} done" for n in range(6)] + ["08:01:00 ERROR disk full"]
    kinds = kinds_in(texts)
    assert kinds.log
    assert sorted(len(kind.members) for kind in kinds.each) == [1, 6]


def test_different_texts_are_kinds_of_their_own() -> None:
    texts = ["The order never came.", "Great service!", "The order never came.", "How do I pay?"]
    kinds = kinds_in(texts)
    assert not kinds.log
    assert [list(kind.members) for kind in kinds.each] == [[0, 2], [1], [3]]


def test_texts_that_repeat_but_for_numbers_are_a_log_without_times() -> None:
    kinds = kinds_in([f"worker {n} took job {n * 7}" for n in range(40)])
    assert kinds.log
    assert len(kinds.each) == 1


def test_texts_of_several_lines_are_no_log() -> None:
    kinds = kinds_in([f"Sent at 08:00:{n:02d}\nThe order {n} never came." for n in range(40)])
    assert not kinds.log
    assert len(kinds.each) == 40


def test_whole_files_are_named_once() -> None:
    files = [Document(path, "x", path=path) for path in ("a.txt", "b.txt")]
    assert ids([*files, *lines(4, path="c.log")]) == "a.txt,b.txt,c.log:4"
