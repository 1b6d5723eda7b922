"""Quotable sentences from prose, markup, dialogue and code."""

from tools.sources.sentences import LONGEST, sentences


def shown(text: str) -> list[str]:
    return [sentence.shown for sentence in sentences(text)]


def test_abbreviations_and_numbers_end_no_sentence() -> None:
    text = "Dr. Roe came at 3.30 p.m. sharp, e.g. by train. Nobody was at home! Was she angry about it?"
    assert shown(text) == [
        "Dr. Roe came at 3.30 p.m. sharp, e.g. by train.",
        "Nobody was at home!",
        "Was she angry about it?",
    ]


def test_markup_is_read_without_its_marks() -> None:
    text = (
        "# Title of it\n\nSee the **new** [guide](http://x.example/a) for `how` it works.\n\n"
        "```\ncode = is(not, a, sentence)\n```\n\n"
        "- the first point of several\n- the second point of several\n"
    )
    assert shown(text) == [
        "See the new guide for how it works.",
        "the first point of several",
        "the second point of several",
    ]


def test_restructured_text_keeps_its_prose_only() -> None:
    text = (
        "Title\n=====\n\n:Author: somebody or other\n\nThe :func:`open` call is used like this::\n\n"
        "    with open(path) as file:\n        pass and more of it\n\nAfter that it goes on as before.\n"
    )
    assert shown(text) == ["The open call is used like this::", "After that it goes on as before."]


def test_wrapped_lines_are_one_sentence() -> None:
    assert shown("This sentence goes\nover three lines\nof the text.\n") == [
        "This sentence goes over three lines of the text."
    ]


def test_dialogue_keeps_its_speakers_and_drops_what_is_no_word() -> None:
    text = (
        "Ann: Well um we could {vocalsound} paint it red .\nBo: I don 't like red at all .\n"
        "Ann: Then blue it is , for me .\n"
    )
    assert shown(text) == [
        "Ann: Well we could paint it red.",
        "Bo: I don't like red at all.",
        "Ann: Then blue it is, for me.",
    ]


def test_code_is_read_by_its_comments() -> None:
    text = (
        'import os\n\n\ndef read(path):\n    """Read a file as a whole. Raises if it is too large."""\n'
        "    # The size is asked first,\n    # so that nothing large is read.\n    return os.stat(path)\n"
    )
    assert shown(text) == [
        "Read a file as a whole.",
        "Raises if it is too large.",
        "The size is asked first, so that nothing large is read.",
    ]


def test_an_endless_sentence_is_cut() -> None:
    [said] = shown("word, " * 500)
    assert len(said.split()) <= LONGEST + 1
