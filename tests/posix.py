"""Calls that Windows does not have; there, the test that needs one is skipped."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)
"""Ends a process at once; on Windows any signal does."""

if sys.platform == "win32":

    def make_fifo(path: Path) -> None:
        pytest.skip("Windows has no FIFOs")

    def make_socket(path: Path) -> None:
        pytest.skip("Windows shows no sockets among the files")

    def read_time_zone() -> None:
        pytest.skip("Windows takes no time zone from TZ")

    def open_terminal() -> tuple[int, int]:
        pytest.skip("Windows has no pseudo-terminals")

    def kill_group(pid: int) -> None:
        os.kill(pid, signal.SIGTERM)

else:
    import pty

    def make_fifo(path: Path) -> None:
        os.mkfifo(path)

    def make_socket(path: Path) -> None:
        """Creates a socket; the names of sockets must be short."""
        before = Path.cwd()
        os.chdir(path.parent)
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
        finally:
            os.chdir(before)

    def read_time_zone() -> None:
        time.tzset()

    def open_terminal() -> tuple[int, int]:
        """Returns both ends of a pseudo-terminal."""
        return pty.openpty()

    def kill_group(pid: int) -> None:
        """Kills a process that leads a group, and all in it."""
        os.killpg(pid, signal.SIGKILL)
