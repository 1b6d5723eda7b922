import logging
import sqlite3
import sys
import threading
from pathlib import Path

import anyio
import pytest

from engines.storage import bloom as known_module
from engines.storage import store as store_module
from engines.storage.database import DatabaseFile
from engines.storage.store import FILE, FRESH_S, Store
from tests.engines.middleware.fakes import Clock

pytestmark = pytest.mark.anyio


async def test_a_stored_value_is_readable_at_once_and_by_the_next_process(tmp_path: Path):
    async with Store(tmp_path) as store:
        store.put(b"key", b"value")
        assert await store.get([b"key", b"other"]) == {b"key": b"value"}
    program = (
        "import anyio, sys, pathlib; from engines.storage.store import Store\n"
        "async def main():\n"
        "    async with Store(pathlib.Path(sys.argv[1])) as store:\n"
        "        print(await store.get([b'key']))\n"
        "anyio.run(main)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with anyio.fail_after(20):
        done = await anyio.run_process(command, cwd=Path(__file__).parents[3])
    assert done.stdout == b"{b'key': b'value'}\n"


async def test_two_open_at_once_see_each_other_s_entries(tmp_path: Path):
    async with Store(tmp_path) as one, Store(tmp_path) as other:
        one.put(b"a", b"1")
        await one.flush()
        assert await other.get([b"a"]) == {b"a": b"1"}
        other.put(b"b", b"2")
        await other.flush()
        assert await one.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}


async def test_what_another_process_wrote_is_seen_a_second_later(tmp_path: Path):
    clock = Clock()
    async with Store(tmp_path, clock=clock) as one, Store(tmp_path) as other:
        assert await one.get([b"a"]) == {}
        other.put(b"a", b"1")
        await other.flush()
        clock.now += FRESH_S
        assert await one.get([b"a"]) == {b"a": b"1"}


async def test_a_key_missing_from_the_filter_is_not_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock()
    async with Store(tmp_path, clock=clock) as store:
        store.put(b"key", b"value")
        await store.flush()
        assert await store.get([b"key"]) == {b"key": b"value"}
        looked_up = threading.Event()

        def select(keys: list[bytes], connection: sqlite3.Connection) -> list[object]:
            looked_up.set()
            return []

        monkeypatch.setattr(store_module, "_select", select)
        assert await store.get([b"other"]) == {}
        assert not looked_up.is_set()
        assert await store.get([b"other", b"key"]) == {}
        assert looked_up.is_set()


async def test_the_keys_of_a_large_file_are_added_in_steps_without_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_module, "LEARNED_AT_ONCE", 10)
    keys = [b"key %d" % number for number in range(35)]
    async with Store(tmp_path) as other:
        for key in keys:
            other.put(key, key)
    async with Store(tmp_path, clock=Clock()) as store:
        assert [await store.get([key]) for key in reversed(keys)] == [{key: key} for key in reversed(keys)]


async def test_the_filter_is_rebuilt_for_a_recreated_file(tmp_path: Path):
    clock = Clock()
    async with Store(tmp_path, clock=clock) as store:
        for number in range(5):
            store.put(b"old %d" % number, b"1")
        await store.flush()
        await store.get([b"old 1"])
        (tmp_path / FILE).unlink()
        async with Store(tmp_path) as other:
            other.put(b"new", b"2")
        clock.now += FRESH_S
        assert await store.get([b"new"]) == {b"new": b"2"}
        assert await store.get([b"new"]) == {b"new": b"2"}


async def test_a_full_filter_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known_module, "FULL", 20)
    clock = Clock()
    async with Store(tmp_path, clock=clock) as store, Store(tmp_path) as other:
        for number in range(50):
            other.put(b"key %d" % number, b"1")
            await other.flush()
            clock.now += FRESH_S
            assert await store.get([b"key %d" % number]) == {b"key %d" % number: b"1"}
        assert len(await store.get([b"key %d" % number for number in range(50)])) == 50


async def test_entries_written_after_an_eviction_are_visible_to_others_with_any_clock(tmp_path: Path):
    early, late = Clock(), Clock()
    late.now = early.now + 7200
    async with Store(tmp_path, max_rows=16, clock=late) as other:
        for number in range(14):
            other.put(b"old %d" % number, b"1")
            await other.flush()
    async with Store(tmp_path, max_rows=16, clock=early) as one, Store(tmp_path, clock=late) as other:
        assert await other.get([b"old 1"])
        for number in range(6):  # the least recently used, by a clock that was set back
            one.put(b"new %d" % number, b"2")
            await one.flush()
            late.now += FRESH_S
            await other.get([b"never"])  # what it knows is fresh again
            assert await other.get([b"new %d" % number]) == await one.get([b"new %d" % number])


async def test_more_keys_than_a_query_takes_are_found(tmp_path: Path):
    keys = [number.to_bytes(2) for number in range(2500)]
    async with Store(tmp_path) as store:
        for key in keys:
            store.put(key, key)
        await store.flush()
        assert len(await store.get(keys)) == 2500


async def test_the_file_is_the_user_s_alone(tmp_path: Path):
    async with Store(tmp_path / "cache") as store:
        store.put(b"key", b"value")
        await store.flush()
        files = list((tmp_path / "cache").iterdir())
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert len(files) == 3  # and what SQLite keeps beside it
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


async def test_the_least_recently_used_rows_go_first(tmp_path: Path):
    clock = Clock()
    async with Store(tmp_path, max_rows=8, clock=clock) as store:
        for number in range(8):
            store.put(bytes([number]), b"value")
            await store.flush()
            clock.now += 7200
        await store.get([b"\0"])
        store.put(b"new", b"value")
        await store.flush()
        kept = await store.get([*(bytes([number]) for number in range(8)), b"new"])
    assert b"\0" in kept
    assert b"new" in kept
    assert b"\1" not in kept
    assert len(kept) == 7


async def test_the_file_stays_within_its_bytes(tmp_path: Path):
    limit = 512 * 1024
    async with Store(tmp_path, max_bytes=limit) as store:
        for number in range(100):
            store.put(bytes([number]), bytes(20_000))
            await store.flush()
        assert (await store.get([bytes([99])])).keys() == {bytes([99])}
        assert not await store.get([bytes([0])])
    assert (tmp_path / FILE).stat().st_size < limit + 3 * 20_000


async def test_a_file_removed_while_open_is_recreated(tmp_path: Path):
    async with Store(tmp_path) as store:
        store.put(b"old", b"value")
        await store.flush()
        (tmp_path / FILE).unlink()
        store.put(b"new", b"value")
        await store.flush()
    async with Store(tmp_path) as store:
        assert await store.get([b"new"]) == {b"new": b"value"}


async def test_a_good_file_is_not_renamed_after_another_process_replaced_the_corrupt_one(tmp_path: Path):
    file = DatabaseFile(tmp_path / FILE, "the cache", lambda connection: None)
    file.path.write_bytes(b"bad")
    bad = file.identity()
    file.path.rename(tmp_path / "aside")
    file.path.write_bytes(b"good")
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    file.handle_error(error, bad)
    assert file.path.read_bytes() == b"good"


@pytest.mark.parametrize("damage", [b"this is no database", b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_corrupt_file_is_renamed_and_recreated(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
):
    (tmp_path / FILE).write_bytes(damage)
    async with Store(tmp_path) as store:
        assert await store.get([b"key"]) == {}
        store.put(b"key", b"value")
        await store.flush()
        assert await store.get([b"key"]) == {b"key": b"value"}
    assert (tmp_path / f"{FILE}.corrupt").read_bytes() == damage
    assert len(caplog.records) == 1


async def test_a_file_corrupted_while_open_is_renamed_too(tmp_path: Path):
    async with Store(tmp_path) as store:
        for number in range(50):
            store.put(bytes([number]), bytes(5000))
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    async with Store(tmp_path) as store:
        assert await store.get([bytes([7])]) == {}
        store.put(b"key", b"value")
        await store.flush()
        assert await store.get([b"key"]) == {b"key": b"value"}


async def test_a_locked_file_delays_no_answer_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_module, "WRITE_S", 0.01)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    async with Store(tmp_path) as store:
        with anyio.fail_after(5):
            assert await store.get([b"key"]) == {}
            store.put(b"key", b"value")
            await store.flush()
            assert await store.get([b"key"]) == {}
    other.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "locked" in caplog.text
    async with Store(tmp_path) as store:
        store.put(b"key", b"value")
        await store.flush()
        assert await store.get([b"key"]) == {b"key": b"value"}


async def test_a_full_disk_is_logged_once_and_stored_entries_are_readable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    async with Store(tmp_path) as store:
        store.put(b"key", b"value")
    connect = DatabaseFile.connect

    def on_a_full_disk(file: DatabaseFile, timeout_s: float) -> sqlite3.Connection:
        connection = connect(file, timeout_s)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(DatabaseFile, "connect", on_a_full_disk)
    async with Store(tmp_path) as store:
        for key in (b"big", b"bigger"):
            store.put(key, bytes(100_000))
            await store.flush()
        assert await store.get([b"key", b"big"]) == {b"key": b"value"}
    assert len(caplog.records) == 1
    assert "full" in caplog.text


async def test_a_folder_that_cannot_be_made_only_costs_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").touch()
    async with Store(tmp_path / "file" / "cache") as store:
        store.put(b"key", b"value")
        await store.flush()
        assert await store.get([b"key"]) == {}
    assert len(caplog.records) == 1


async def test_reading_does_not_wait_for_writing(tmp_path: Path):
    disk, writing = threading.Event(), threading.Event()

    class SlowStore(Store):
        def _evict(self, connection: sqlite3.Connection) -> None:
            writing.set()
            disk.wait(5)

    async with SlowStore(tmp_path) as store:
        store.put(b"a", b"1")
        with anyio.fail_after(5):
            await anyio.to_thread.run_sync(writing.wait)
            assert await store.get([b"a", b"b"]) == {b"a": b"1"}
        disk.set()
    async with Store(tmp_path) as store:
        assert await store.get([b"a"]) == {b"a": b"1"}


async def test_a_disk_that_does_not_answer_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = threading.Event()
    monkeypatch.setattr(store_module, "READ_S", 0.01)
    async with Store(tmp_path) as store:
        store.put(b"key", b"value")
        await store.flush()
        monkeypatch.setattr(store_module, "_select", lambda *_: disk.wait(5))  # type: ignore[reportUnknownLambdaType]
        with anyio.fail_after(2):
            assert await store.get([b"key"]) == {}
            assert await store.get([b"key"]) == {}
        disk.set()


async def test_entries_beyond_the_pending_limit_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "PENDING", 2)
    async with Store(tmp_path) as store:
        for key in (b"a", b"b", b"c"):
            store.put(key, key)
        assert set(await store.get([b"a", b"b", b"c"])) == {b"a", b"b"}


async def test_leaving_by_cancellation_still_writes(tmp_path: Path):
    with anyio.CancelScope() as scope:
        async with Store(tmp_path) as store:
            store.put(b"key", b"value")
            scope.cancel()
            await anyio.sleep_forever()
    async with Store(tmp_path) as store:
        assert await store.get([b"key"]) == {b"key": b"value"}


@pytest.fixture(autouse=True)
def _warnings_are_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
