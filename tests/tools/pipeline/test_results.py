"""Results files: who may read them, how long they are kept, and their pages."""

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

from engines.base import JsonObject
from tools.pipeline import results as module
from tools.pipeline.results import (
    KEPT_S,
    PAGE_BYTES,
    Cursor,
    ResultFiles,
    ResultsNotStoredError,
    UnknownResultsError,
)

pytestmark = pytest.mark.anyio

ROWS: list[JsonObject] = [{"id": number, "text": f"row {number}"} for number in range(1_000)]


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path / "cache" / "results")


def aged(files: ResultFiles, name: str, days: float, size: int = 10) -> Path:
    """Writes a file of this age."""
    files.folder.mkdir(parents=True, exist_ok=True)
    path = files.folder / name
    path.write_bytes(b"x" * size)
    then = time.time() - days * 86_400
    os.utime(path, times=(then, then))
    return path


async def pages(files: ResultFiles, name: str) -> list[str]:
    """Returns the text of all pages."""
    texts: list[str] = []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        page = await files.page(name, cursor)
        texts.append(page.text)
        cursor = page.next
    return texts


async def test_rows_are_lines_of_json_that_only_the_user_can_read(files: ResultFiles) -> None:
    stored = await files.write(ROWS)
    assert stored.rows == 1_000
    assert [json.loads(line) for line in stored.path.read_text().splitlines()] == ROWS
    assert stored.uri == f"local-llm://results/{stored.name}"
    if sys.platform != "win32":
        assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


async def test_names_cannot_be_guessed(files: ResultFiles) -> None:
    names = {(await files.write(ROWS[:1])).name for _ in range(5)}
    assert len(names) == 5
    assert all(len(bytes.fromhex(name)) == 16 for name in names)


async def test_all_pages_together_are_all_rows(files: ResultFiles) -> None:
    stored = await files.write(ROWS)
    texts = await pages(files, stored.name)
    assert len(texts) > 5
    assert all(len(text.encode()) <= PAGE_BYTES for text in texts)
    assert [json.loads(line) for text in texts for line in text.splitlines()] == ROWS


async def test_a_row_longer_than_a_page_is_read_in_pieces_of_whole_characters(files: ResultFiles) -> None:
    rows: list[JsonObject] = [{"a": 1}, {"text": "é€😀" * 3_000}, {"b": 2}]
    stored = await files.write(rows)
    texts = await pages(files, stored.name)
    assert all(len(text.encode()) <= PAGE_BYTES for text in texts)
    assert "�" not in "".join(texts)
    assert [json.loads(line) for line in "".join(texts).splitlines()] == rows


async def test_a_page_after_the_last_row_is_empty(files: ResultFiles) -> None:
    stored = await files.write(ROWS)
    page = await files.page(stored.name, Cursor(1_000))
    assert (page.text, page.next) == ("", None)
    assert (await files.page(stored.name, Cursor(998))).text.count("\n") == 2


async def test_a_lone_surrogate_is_stored_as_a_json_escape(files: ResultFiles) -> None:
    stored = await files.write([{"text": "half \ud83d"}])
    assert json.loads(stored.path.read_text()) == {"text": "half \ud83d"}


@pytest.mark.parametrize(
    "name", ["", "../" * 3 + "etc/passwd", "0" * 31, "0" * 33, "G" * 32, f"{'0' * 32}\n", "0" * 32, "\0" * 32]
)
async def test_only_names_of_results_are_read(files: ResultFiles, name: str) -> None:
    aged(files, "secret.jsonl", 0)
    with pytest.raises(UnknownResultsError) as caught:
        await files.page(name)
    assert caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
async def test_links_and_other_things_are_not_followed(files: ResultFiles, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    files.folder.mkdir(parents=True)
    (files.folder / f"{'a' * 32}.jsonl").symlink_to(tmp_path / "secret")
    if sys.platform != "win32":
        os.mkfifo(files.folder / f"{'b' * 32}.jsonl")
    with anyio.fail_after(5):
        for name in ("a" * 32, "b" * 32):
            with pytest.raises(UnknownResultsError):
                await files.page(name)
        await files.write(ROWS[:1])
    assert (tmp_path / "secret").exists()


async def test_files_older_than_a_week_are_removed_and_those_of_others_are_not(files: ResultFiles) -> None:
    days = KEPT_S / 86_400
    young = aged(files, f"{'1' * 32}.jsonl", days - 1)
    old = aged(files, f"{'2' * 32}.jsonl", days + 1)
    abandoned = aged(files, f".{'3' * 32}.part", days + 1)
    being_written = aged(files, f".{'4' * 32}.part", 0)
    others = aged(files, "notes.jsonl", 100)
    stored = await files.write(ROWS)
    assert not old.exists()
    assert not abandoned.exists()
    assert all(path.exists() for path in (young, being_written, others, stored.path))


async def test_the_oldest_are_removed_until_the_rest_is_small_enough(
    files: ResultFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1_000)
    by_age = [aged(files, f"{number}{'0' * 31}.jsonl", number, 400) for number in (1, 2, 3)]
    being_written = aged(files, f".{'4' * 32}.part", 0)
    stored = await files.write([{"a": "x" * 100}])
    assert [path.exists() for path in by_age] == [True, True, False]
    large = await files.write([{"a": "x" * 2_000}])
    assert large.path.exists(), "the newest is kept whatever its size"
    assert being_written.exists()
    assert not any(path.exists() for path in (*by_age, stored.path))


async def test_concurrent_writes_do_not_disturb_each_other(files: ResultFiles) -> None:
    names: list[str] = []

    async def write(number: int) -> None:
        row: JsonObject = {"of": number}
        stored = await files.write([row] * 500)
        names.append(stored.name)
        assert (await files.page(stored.name)).text.startswith(f'{{"of":{number}}}\n')

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(write, number)
    assert len(set(names)) == 20
    assert len(list(files.folder.iterdir())) == 20


async def test_a_full_disk_leaves_nothing_behind(files: ResultFiles) -> None:
    def rows() -> Generator[JsonObject]:
        yield {"a": 1}
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ResultsNotStoredError, match="No space left on device"):
        await files.write(rows())
    assert list(files.folder.iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsNotStoredError) as caught:
        await ResultFiles(tmp_path / "file" / "results").write(ROWS)
    assert "detail=full" in caught.value.hint


async def test_rows_that_are_not_json_are_not_stored(files: ResultFiles) -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ResultsNotStoredError):
        await files.write([deep])
    assert list(files.folder.iterdir()) == []
