"""Ledger, cache and settings of the first release (d071f25) are read, and written to.

``recorded/`` holds the files as that version left them after a chat, the same again from the cache, a
classify, an extract, and a refused summarize.
"""

import shutil
from pathlib import Path

import pytest

from engines.storage import store
from tests.upgrade.user import RECORDED, ROOT, User
from tools.base import Call, Receipt, TokenCounts
from tools.ledger.store import COLUMNS, FILE, Ledger, entry_of

pytestmark = pytest.mark.anyio

CALLS = 5


@pytest.fixture
def user(tmp_path: Path) -> User:
    found = User(tmp_path, RECORDED / "config.toml")
    found.data.mkdir()
    for name in (FILE, store.FILE):
        shutil.copy(RECORDED / name, found.data)
    return found


async def test_calls_of_the_ledger_are_read_and_others_are_added(user: User) -> None:
    receipt = Receipt("small", "scripted", "m", None, "p", 1, TokenCounts(1, 2, 3), saved=4)
    async with Ledger(user.data, days=36_500) as ledger:
        ledger.record(Call("chat", {}), receipt)
        rows = await ledger.read(
            lambda sql: sql.execute(f"SELECT {COLUMNS} FROM calls ORDER BY id").fetchall()
        )
    entries = [entry_of(row) for row in rows]
    assert [entry.tool for entry in entries] == ["chat", "chat", "classify", "extract", "summarize", "chat"]
    assert [entry.error for entry in entries] == ["", "", "", "", "path_refused", ""]
    assert [entry.receipt.cached for entry in entries] == [False, True, False, False, False, False]
    assert entries[-1].receipt == receipt


def test_an_answer_of_the_cache_is_found_and_the_settings_are_accepted(user: User) -> None:
    answer = user.run(ROOT, "chat", "Say hello")
    assert answer["text"] == "Say hello"
    assert answer["receipt"]["cached"]
    assert user.calls(ROOT) == CALLS + 1


def test_nothing_is_set_aside_as_corrupt(user: User) -> None:
    user.run(ROOT, "chat", "Say something new")
    assert {file.name for file in user.data.iterdir() if "sqlite" in file.name} == {FILE, store.FILE}
