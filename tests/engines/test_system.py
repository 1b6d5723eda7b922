"""What differs between systems: locks, private files, processes apart, and signals."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from engines import system

pytestmark = pytest.mark.anyio


def test_a_lock_is_exclusive_or_shared_and_ends_with_the_file(tmp_path: Path) -> None:
    one, two = (system.open_private(tmp_path / "lock") for _ in range(2))
    assert system.try_lock(one)
    assert not system.try_lock(two)
    assert not system.try_lock(two, shared=True)
    system.unlock(one)
    assert system.try_lock(two, shared=True)
    assert system.try_lock(one, shared=True)
    os.close(two)
    assert system.try_lock(one)
    os.close(one)


def test_content_is_read_and_written_at_the_start(tmp_path: Path) -> None:
    file = system.open_private(tmp_path / "entry")
    system.write_at(file, b"long content\n")
    system.write_at(file, b"LONG")
    assert system.read_at(file, 4) == b"LONG"
    assert system.read_at(file, 100) == b"LONG content\n"
    os.close(file)
    os.close(system.open_private(tmp_path / "entry", truncate=True))
    assert (tmp_path / "entry").read_bytes() == b""


@pytest.mark.skipif(system.WINDOWS, reason="Windows' files have no such mode: their folder decides")
def test_what_is_private_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "own"
    system.make_own_folder(folder)
    os.close(system.open_private(folder / "file"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600
    assert not system.is_open_to_others(folder)
    folder.chmod(0o750)
    assert system.is_open_to_others(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(PermissionError):
        system.make_own_folder(tmp_path / "link")
    with pytest.raises(OSError, match="link"):
        system.open_private(tmp_path / "link")


def test_processes_meet_in_the_runtime_folder_or_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert system.runtime_folder("app", Path("/cache")) == Path("/run/user/1/app")
    monkeypatch.setattr(system, "WINDOWS", True)
    assert system.runtime_folder("app", Path("/cache")) == Path("/cache/run")
    monkeypatch.setattr(system, "WINDOWS", False)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert system.runtime_folder("app", Path("/cache")) == Path("/cache/run")


def test_a_file_that_is_being_read_is_removed_when_its_reader_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.json"
    file.touch()
    refusals = iter((PermissionError(13, "in use"), PermissionError(13, "in use")))
    unlink = Path.unlink

    def unlink_later(path: Path, missing_ok: bool = False) -> None:
        for refusal in refusals:
            raise refusal
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_later)
    monkeypatch.setattr(system, "RETRY_S", 0)
    with pytest.raises(PermissionError):
        system.remove(file)
    monkeypatch.setattr(system, "WINDOWS", True)
    system.remove(file)
    assert not file.exists()
    system.remove(file)


def test_a_detached_process_has_its_own_session_and_pipes(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.stdin.read(), os.getcwd(), os.getpid()); sys.stderr.write('to the log')"
    log = system.open_private(tmp_path / "log")
    with system.spawn_detached([sys.executable, "-c", code], folder=tmp_path, log=log) as process:
        said, _ = process.communicate(b"given", timeout=30)
    os.close(log)
    assert said.decode().split() == ["given", str(tmp_path.resolve()), str(process.pid)]
    assert "to the log" in (tmp_path / "log").read_text()


@pytest.mark.skipif(system.WINDOWS, reason="Windows has process groups of another kind")
def test_a_detached_process_is_not_in_the_group_that_a_terminal_interrupts(tmp_path: Path) -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    log = system.open_private(tmp_path / "log")
    with system.spawn_detached([sys.executable, "-c", code], folder=tmp_path, log=log) as process:
        assert process.communicate(timeout=30)[0].strip() == b"True"
    os.close(log)


async def test_signals_arrive_without_the_help_of_the_event_loop() -> None:
    before = signal.getsignal(signal.SIGINT)
    with system.handled_signals(signal.SIGINT, signal.SIGTERM) as signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
            with anyio.fail_after(5):
                assert await anext(signals) is number
        for _ in range(20):
            signal.raise_signal(signal.SIGINT)
        with anyio.fail_after(5):
            assert await anext(signals) is signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


def test_two_servers_do_not_share_an_address() -> None:
    with socket.socket() as first, socket.socket() as second:
        system.own_address(first)
        first.bind(("127.0.0.1", 0))
        first.listen()
        system.own_address(second)
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            second.bind(first.getsockname())


def test_the_module_is_light_enough_for_the_embedded_engines_process() -> None:
    heavy = "('anyio', 'asyncio', 'ctypes')"
    code = f"import sys; from engines import system; print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_no_other_module_asks_which_system_it_runs_on() -> None:
    root = Path(system.__file__).parents[1]
    asking = [
        path.relative_to(root).as_posix()
        for package in ("engines", "tools", "shim", "mcp_server")
        for path in (root / package).rglob("*.py")
        if path != Path(system.__file__)
        and any(name in path.read_text("utf-8") for name in ("sys.platform", "os.name", "platform.system"))
    ]
    assert asking == []
