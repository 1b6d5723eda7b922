"""Text, items and files become documents: decoded, split, and every omission noted."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidArgumentsError
from tools.base import Project
from tools.sources import documents as sources
from tools.sources.documents import Document, Sources, decode, load, split_document
from tools.sources.files import SourceUnusableError


def write(root: Path, name: str, content: str | bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def read(root: Path, *paths: str, split: str = "file") -> Sources:
    return load(Project("test", root), paths=paths, split=split)


def parts(text: str, split: str) -> list[tuple[str, str, int]]:
    document = Document("f.txt", text, "f.txt")
    return [(part.id, part.text, part.line) for part in split_document(document, split)]


# What the caller sends


def test_without_a_source_there_are_no_documents() -> None:
    assert load(Project()) == Sources()


def test_a_text_is_one_document() -> None:
    assert load(Project(), text="hello").documents == (Document("text", "hello"),)


def test_a_text_is_split_as_a_file_would_be() -> None:
    documents = load(Project(), text="one\n\ntwo\r\nthree", split="line").documents
    assert documents == (Document("1", "one"), Document("3", "two", line=3), Document("4", "three", line=4))


def test_items_are_numbered() -> None:
    assert load(Project(), items=["a", "b"]).documents == (Document("0", "a"), Document("1", "b"))


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(SourceUnusableError, match="text is empty"):
        load(Project(), text=text)
    with pytest.raises(SourceUnusableError, match="item 1 is empty"):
        load(Project(), items=["a", text])


def test_half_a_character_does_not_go_further() -> None:
    loaded = load(Project(), items=["a\ud800b"])
    assert loaded.documents[0].text == "a?b"


def test_more_items_than_anyone_waits_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_DOCUMENTS", 3)
    assert len(load(Project(), text="1\n2\n3", split="line").documents) == 3
    for call in ({"items": ["1", "2", "3", "4"]}, {"text": "1\n2\n3\n4", "split": "line"}):
        with pytest.raises(SourceUnusableError, match="more than 3 items"):
            load(Project(), **call)  # pyright: ignore[reportArgumentType]  (keywords of one call or the other)


@pytest.mark.parametrize("split", ["sentence", "", "jsonl", "jsonl:", "LINE", "line "])
@pytest.mark.parametrize("source", [{"text": "x"}, {"items": ["x"]}, {"paths": ["x"]}])
def test_an_unknown_split_is_refused_whatever_the_source(split: str, source: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentsError, match="split") as refused:
        load(Project(), split=split, **source)  # pyright: ignore[reportArgumentType]  (one source of three)
    assert refused.value.hint == "use file, line, paragraph or jsonl:FIELD"


# Files


def test_a_file_is_one_document_under_its_path(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "hello\n")
    assert read(tmp_path, "docs/a.md") == Sources(
        (Document("docs/a.md", "hello\n", "docs/a.md"),), read_from_files=True
    )


@pytest.mark.parametrize("content", ["", "\n \n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_named(content: str | bytes, tmp_path: Path) -> None:
    write(tmp_path, "a.txt", content)
    with pytest.raises(SourceUnusableError, match=r"a\.txt is empty"):
        read(tmp_path, "a.txt")


@pytest.mark.parametrize(
    "content",
    [
        b"text\0text",
        b"text" * 5_000 + b"\0",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\x7fELF",
        "without a mark".encode("utf-16-le"),
        "without a mark".encode("utf-16-be"),
        b"\xff\xfe\0\0\0\0\0\0",
        b"\x30\x82\x01\xfe\x02\x01",
    ],
    ids=["NUL", "late NUL", "PNG", "ELF", "UTF-16 LE", "UTF-16 BE", "UTF-32 NULs", "DER"],
)
def test_a_binary_file_is_named(content: bytes, tmp_path: Path) -> None:
    write(tmp_path, "a.bin", content)
    if content == b"\x7fELF":
        assert read(tmp_path, "a.bin").documents, "four printable bytes are a text"
        return
    with pytest.raises(SourceUnusableError, match=r"a\.bin is a binary file") as refused:
        read(tmp_path, "a.bin")
    assert "byte order mark" in refused.value.hint


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_marked_encoding_is_read_as_it_was_written(mark: bytes, encoding: str, text: str) -> None:
    text = f"x{text}"
    assert decode(mark + text.encode(encoding), "a.txt") == (text, "")


def test_latin_1_is_read_with_a_note(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "Grüße für 5 €".encode("cp1252"))
    loaded = read(tmp_path, "a.txt")
    assert loaded.documents[0].text == "Grüße für 5 €"
    assert loaded.notes == ("a.txt is not utf-8 at byte 2; read as cp1252",)


def test_a_broken_utf16_file_is_read_with_a_note(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00\xd8")
    loaded = read(tmp_path, "a.txt")
    assert loaded.documents[0].text == "ab\ufffd"
    assert "a.txt is not utf-16" in loaded.notes[0]


def test_colours_and_form_feeds_are_text(tmp_path: Path) -> None:
    write(tmp_path, "a.log", b"\x1b[31mred\x1b[0m\x0cr\xe9sum\xe9")
    assert read(tmp_path, "a.log").documents[0].text == "\x1b[31mred\x1b[0m\x0crésumé"


def test_what_a_folder_turns_up_and_cannot_be_read_is_skipped_with_a_note(tmp_path: Path) -> None:
    for name, content in {"a.txt": "a", "b.bin": b"\0", "c.txt": "", ".env": "SECRET=1"}.items():
        write(tmp_path, name, content)
    loaded = read(tmp_path, ".")
    assert [document.id for document in loaded.documents] == ["a.txt"]
    assert loaded.notes == (
        "skipped: .env is not read: '.env' usually holds secrets",
        "skipped: b.bin is a binary file",
        "skipped: c.txt is empty",
    )


def test_many_skipped_files_are_counted_not_listed(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path, f"{number:02}.bin", b"\0")
    with pytest.raises(SourceUnusableError, match=r"nothing to read in \.") as refused:
        read(tmp_path, ".")
    assert refused.value.hint.endswith("skipped: 04.bin is a binary file; 15 more skipped")


# Splitting


def test_lines_keep_their_numbers_and_empty_ones_are_left_out() -> None:
    assert parts("a\n\n  b  \n\t\nc\n", "line") == [
        ("f.txt:1", "a", 1),
        ("f.txt:3", "  b  ", 3),
        ("f.txt:5", "c", 5),
    ]


def test_a_line_ends_where_editors_end_it(tmp_path: Path) -> None:
    write(tmp_path, "f.txt", "a\x0cb\u2028c\x85d\r\ne\x0bf")
    loaded = read(tmp_path, "f.txt", split="line")
    assert [(part.text, part.line) for part in loaded.documents] == [("a\x0cb\u2028c\x85d", 1), ("e\x0bf", 2)]


def test_paragraphs_keep_their_numbers() -> None:
    text = "\n\none\n  still one\n \t \n\ntwo\n"
    assert parts(text, "paragraph") == [("f.txt:3", "one\n  still one", 3), ("f.txt:7", "two", 7)]


def test_json_lines_give_one_field() -> None:
    text = '{"a": "x\\ny"}\n\n{"a": {"b": [1, "é"]}}\n{"a": 3}\n'
    assert parts(text, "jsonl:a") == [
        ("f.txt:1", "x\ny", 1),
        ("f.txt:3", '{"b": [1, "é"]}', 3),
        ("f.txt:4", "3", 4),
    ]


def test_json_lines_without_text_are_left_out_with_a_note(tmp_path: Path) -> None:
    write(tmp_path, "f.jsonl", '{"a": "x"}\n{"a": null}\n{"a": ""}\n')
    loaded = read(tmp_path, "f.jsonl", split="jsonl:a")
    assert [document.id for document in loaded.documents] == ["f.jsonl:1"]
    assert loaded.notes == ("2 items without text were left out",)


@pytest.mark.parametrize(
    ("line", "says", "helps"),
    [
        ("plain", "f.jsonl:2 is not JSON", "split=line"),
        ('{"a": ', "f.jsonl:2 is not JSON", "split=line"),
        ("[" * 100_000, "f.jsonl:2 is not JSON", "split=line"),
        ("[1]", "f.jsonl:2 has no field 'a'", "an object on each line"),
        ('{"b": 1}', "f.jsonl:2 has no field 'a'", "it has b"),
    ],
    ids=["text", "cut", "bomb", "list", "other field"],
)
def test_a_line_that_does_not_fit_is_named(line: str, says: str, helps: str, tmp_path: Path) -> None:
    write(tmp_path, "f.jsonl", '{"a": "x"}\n' + line)
    with pytest.raises(SourceUnusableError) as refused:
        read(tmp_path, "f.jsonl", split="jsonl:a")
    assert refused.value.message.startswith(says)
    assert helps in refused.value.hint


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["line", "paragraph"]))
def test_splitting_loses_nothing_but_white_space(text: str, split: str) -> None:
    found = [part for _, part, _ in parts(text, split)]
    assert "".join("".join(found).split()) == "".join(text.split())


@given(st.text(st.sampled_from("ab \t\n")), st.sampled_from(["line", "paragraph"]))
def test_the_line_number_of_a_part_is_right(text: str, split: str) -> None:
    lines = text.split("\n")
    for _, part, number in parts(text, split):
        assert lines[number - 1 :][: part.count("\n") + 1] == part.split("\n")
