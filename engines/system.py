"""What differs between Linux, macOS and Windows. No other module asks which system it runs on.

The embedded engine's process imports this module: it imports only the standard library, and little of it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anyio

WINDOWS = sys.platform == "win32"
"""Whether paths have drives, two separators and device names."""

MACOS = sys.platform == "darwin"

IN_WSL = "WSL_DISTRO_NAME" in os.environ
"""Whether an agent on Windows may have started this process on Linux, and names files as Windows does."""

PIPES_ARE_POLLABLE = sys.platform != "win32"
"""Whether the event loop can read and write a pipe that another process opened."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)

READING = os.O_RDONLY | _BINARY | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
"""Flags that follow no link and do not wait for a FIFO's writer; Windows has neither flag."""

REMOVE_TRIES = 50
"""Attempts to remove a file on Windows, where one that is being read cannot be removed."""
RETRY_S = 0.01


if sys.platform == "win32":

    def try_lock(file: int, *, shared: bool = False) -> bool:
        """Locks an open file if nobody else has; it is unlocked when it is closed or its process ends.

        ``LockFileEx`` and not ``msvcrt.locking``, which has no shared locks. The byte it locks is far behind
        the content, as other processes could not read a locked one.
        """
        import ctypes
        import msvcrt

        fail_at_once, exclusive, lock_violation = 1, 2, 33
        flags = fail_at_once if shared else fail_at_once | exclusive
        kernel, place = _lock_calls()
        if kernel.LockFileEx(msvcrt.get_osfhandle(file), flags, 0, 1, 0, ctypes.byref(place)):
            return True
        if (code := ctypes.get_last_error()) != lock_violation:
            raise ctypes.WinError(code)
        return False

    def unlock(file: int) -> None:
        """Unlocks a file that ``try_lock`` locked."""
        import ctypes
        import msvcrt

        kernel, place = _lock_calls()
        if not kernel.UnlockFileEx(msvcrt.get_osfhandle(file), 0, 1, 0, ctypes.byref(place)):
            raise ctypes.WinError(ctypes.get_last_error())

    def _lock_calls():
        """Returns the kernel's functions, and the place of the byte that is locked."""
        import ctypes
        from ctypes import wintypes

        class Overlapped(ctypes.Structure):
            _fields_ = (
                ("internal", ctypes.c_size_t),
                ("internal_high", ctypes.c_size_t),
                ("offset", wintypes.DWORD),
                ("offset_high", wintypes.DWORD),
                ("event", wintypes.HANDLE),
            )

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        dword, pointer = wintypes.DWORD, ctypes.POINTER(Overlapped)
        kernel.LockFileEx.argtypes = (wintypes.HANDLE, dword, dword, dword, dword, pointer)
        kernel.UnlockFileEx.argtypes = (wintypes.HANDLE, dword, dword, dword, pointer)
        return kernel, Overlapped(offset_high=0x4000_0000)

    def read_at(file: int, size: int) -> bytes:
        """Reads the first ``size`` bytes of an open file."""
        os.lseek(file, 0, os.SEEK_SET)
        return os.read(file, size)

    def write_at(file: int, written: bytes) -> None:
        """Writes the first bytes of an open file."""
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, written)

    def is_own(folder: Path) -> bool:
        """Whether ``folder`` is no link; its access control list is inherited from the user's profile."""
        return not folder.is_symlink()

    def is_open_to_others(folder: Path) -> bool:
        """Whether other users can access ``folder``; those of the profile keep them out."""
        return False

    def limit_file_size(size: int) -> None:
        """Does nothing: Windows has no limit on the files of a process."""

else:
    import fcntl

    def try_lock(file: int, *, shared: bool = False) -> bool:
        """Locks an open file if nobody else has; it is unlocked when it is closed or its process ends."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: int) -> None:
        """Unlocks a file that ``try_lock`` locked."""
        fcntl.flock(file, fcntl.LOCK_UN)

    def read_at(file: int, size: int) -> bytes:
        """Reads the first ``size`` bytes of an open file."""
        return os.pread(file, size, 0)

    def write_at(file: int, written: bytes) -> None:
        """Writes the first bytes of an open file."""
        os.pwrite(file, written, 0)

    def is_own(folder: Path) -> bool:
        """Whether ``folder`` is no link and belongs to this user."""
        return not folder.is_symlink() and folder.stat().st_uid == os.getuid()

    def is_open_to_others(folder: Path) -> bool:
        """Whether other users can access ``folder``."""
        return bool(folder.stat().st_mode & 0o077)

    def limit_file_size(size: int) -> None:
        """Limits the size of each file that this process writes."""
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, however they are spelled."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def open_private(path: Path, *, truncate: bool = False) -> int:
    """Opens a file for reading and writing, but no link; a new file is its owner's alone."""
    flags = os.O_RDWR | os.O_CREAT | _BINARY | _NO_LINK
    return os.open(path, flags | os.O_TRUNC if truncate else flags, 0o600)


def make_own_folder(folder: Path) -> None:
    """Creates a folder for this user alone, if there is none.

    Raises:
        OSError: it cannot be created, is a link, or belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_own(folder):
        raise PermissionError(f"{folder} belongs to another user")


def runtime_folder(name: str, cache: Path) -> Path:
    """Returns where a user's running processes meet: ``XDG_RUNTIME_DIR``, or else a folder in the cache.

    Windows and macOS have no such folder, nor have cron and most containers.
    """
    given = "" if WINDOWS else os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(given, name) if given else cache / "run"


def remove(path: Path) -> None:
    """Removes a file if it exists; on Windows waits a moment for processes that are reading it."""
    for left in reversed(range(REMOVE_TRIES if WINDOWS else 1)):
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            if not left:
                raise
            time.sleep(RETRY_S)
        else:
            return


def spawn_detached(command: Sequence[str], *, folder: Path, log: int) -> subprocess.Popen[bytes]:
    """Starts a process apart from this one's terminal and signals, with pipes as its input and output."""
    pipe = subprocess.PIPE
    if sys.platform == "win32":
        # No window of its own, also for the interpreter that a virtual environment's ``python.exe`` starts.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        for breakaway in (subprocess.CREATE_BREAKAWAY_FROM_JOB, 0):
            try:
                return subprocess.Popen(
                    command, cwd=folder, stdin=pipe, stdout=pipe, stderr=log, creationflags=flags | breakaway
                )
            except PermissionError:
                # A job of the host may forbid to leave it: then the process ends with the host.
                if not breakaway:
                    raise
    return subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=log, start_new_session=True)


@contextmanager
def stop_signals() -> Generator[AsyncIterator[signal.Signals]]:
    """Yields the requests to stop this process: SIGINT and SIGTERM; on Windows Ctrl-C and Ctrl-Break."""
    if sys.platform == "win32":
        with handled_signals(signal.SIGINT, signal.SIGBREAK) as signals:
            yield signals
    else:
        import anyio

        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            yield signals


async def cancel_on_signal(scope: "anyio.CancelScope") -> None:
    """Cancels ``scope`` at the first request to stop."""
    with stop_signals() as signals:
        await anext(signals)
        scope.cancel()


@contextmanager
def handled_signals(*numbers: signal.Signals) -> Generator[AsyncIterator[signal.Signals]]:
    """Yields signals as anyio's receiver does, without the event loop, which has no signals on Windows."""
    import asyncio

    import anyio

    loop = asyncio.get_running_loop()
    deliver, received = anyio.create_memory_object_stream[signal.Signals](len(numbers))

    def forward(number: int) -> None:
        if deliver.statistics().current_buffer_used < len(numbers):
            deliver.send_nowait(signal.Signals(number))

    def handle(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(forward, number)

    with deliver, received:
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield received
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def own_address(listener: socket.socket) -> None:
    """Lets a server listen on an address that another has just left, but not on one still in use."""
    if sys.platform == "win32":
        # There SO_REUSEADDR would let two servers listen on one port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def hand_over(channel: socket.socket, connection: socket.socket) -> None:
    """Sends ``connection`` to the process at the other end of ``channel``, with one byte.

    Raises:
        OSError: that process takes none, or this is Windows.
    """
    if sys.platform == "win32":
        raise OSError("Windows hands no connection over")
    socket.send_fds(channel, [b"+"], [connection.fileno()])


def use_utf8() -> None:
    """Makes standard output and error UTF-8: into a pipe, Windows would use the code page of its language."""
    if sys.platform == "win32":
        import io

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8")
