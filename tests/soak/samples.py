"""Samples the resources of the servers and their engine from /proc."""

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """Resources at one moment: memory in MiB, counts; an engine's are 0 while it is not running."""

    server: float
    stdio: float
    engine: float
    threads: int
    stdio_threads: int
    engine_threads: int
    descriptors: int
    stdio_descriptors: int
    engine_descriptors: int
    files: int
    """Temporary files."""
    state_files: int
    """Lock and queue files; those of dead processes stay until another process cleans up."""


def sample(server: int, engine: int | None, folder: Path, stdio: int | None = None) -> Sample:
    return Sample(
        server=_memory(server),
        stdio=_memory(stdio),
        engine=_memory(engine),
        threads=_count(server, "task"),
        stdio_threads=_count(stdio, "task"),
        engine_threads=_count(engine, "task"),
        descriptors=_count(server, "fd"),
        stdio_descriptors=_count(stdio, "fd"),
        engine_descriptors=_count(engine, "fd"),
        files=sum(len(files) for _, _, files in os.walk(folder / "tmp")),
        state_files=sum(len(files) for _, _, files in os.walk(folder / "run")),
    )


def _memory(pid: int | None) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * mmap.PAGESIZE / MIB


def _count(pid: int | None, what: str) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/{what}"))
    except OSError:
        return 0


NAMES = {
    "server": "server, MiB",
    "stdio": "stdio server, MiB",
    "engine": "engine, MiB",
    "threads": "server, threads",
    "stdio_threads": "stdio server, threads",
    "engine_threads": "engine, threads",
    "descriptors": "server, descriptors",
    "stdio_descriptors": "stdio server, descriptors",
    "engine_descriptors": "engine, descriptors",
    "files": "temporary files",
    "state_files": "lock and state files",
}


def thirds(samples: Sequence[Sample]) -> list[tuple[str, float, float, float]]:
    """Returns per name the medians of the first and the last third, and the maximum."""
    third = max(1, len(samples) // 3)
    rows: list[tuple[str, float, float, float]] = []
    for field, name in NAMES.items():
        values = [float(getattr(each, field)) for each in samples]
        rows.append((name, _median(values[:third]), _median(values[-third:]), max(values)))
    return rows


def _median(values: Sequence[float]) -> float:
    """Returns the median without zeros, which are samples while the engine starts."""
    there = sorted(value for value in values if value) or [0.0]
    return there[len(there) // 2]
