"""Starts, awaits, measures and stops server processes. Measuring needs Linux's /proc."""

import mmap
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import IO

import anyio

STARTS_WITHIN_S = 90
LOOK_S = 0.002


def rss_mib(pid: int) -> float:
    """Returns the memory of a process and its descendants."""
    pages = 0
    for each in _family(pid):
        with suppress(OSError):  # it has just ended
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE / 2**20


def precise_cpu_s(pid: int) -> float:
    """Returns the CPU of all threads of one process, with nanosecond resolution."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _family(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _stat(pid: int) -> list[str]:
    """Returns the fields from the state on; the name before it may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def running(
    command: Sequence[str], port: int, path: str, *, folder: Path, environment: Mapping[str, str]
) -> AsyncGenerator[int]:
    """Runs a server; yields its process id once it answers ``path`` at ``port``.

    Raises:
        TimeoutError: it does not answer in time; its log is in ``folder``.
    """
    log = _log(folder)
    async with await anyio.open_process(
        list(command), cwd=folder, env=dict(environment), stdin=DEVNULL, stdout=log, stderr=log
    ) as process:
        log.close()
        try:
            with anyio.fail_after(STARTS_WITHIN_S):
                while process.returncode is None and not await answers(port, path):  # noqa: ASYNC110  (no event crosses processes)
                    await anyio.sleep(LOOK_S)
            if process.returncode is not None:
                raise RuntimeError(f"{command[0]} ended: see {folder / 'server.log'}")
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            with anyio.move_on_after(5, shield=True) as patience:
                await process.wait()
            if patience.cancelled_caught:
                process.kill()


def _log(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "server.log").open("ab")


async def answers(port: int, path: str) -> bool:
    """Returns whether a GET of ``path`` is answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(request.encode())
            return (await stream.receive()).startswith(b"HTTP/1.1 200")
    return False


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """Returns the environment of a new user: no configuration, all folders in ``home``."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        **variables,
    }
