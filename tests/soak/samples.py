"""Samples the resources of a server and its engine from /proc."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """Resources at one moment: memory in MiB, counts; the engine's are 0 while it is not running."""

    server: float
    engine: float
    threads: int
    engine_threads: int
    descriptors: int
    engine_descriptors: int
    files: int
    """Temporary files."""
    state_files: int
    """Lock and queue files; those of dead processes stay until another process cleans up."""


def sample(server: int, engine: int | None, folder: Path) -> Sample:
    return Sample(
        server=_memory(server),
        engine=_memory(engine),
        threads=_count(server, "task"),
        engine_threads=_count(engine, "task"),
        descriptors=_count(server, "fd"),
        engine_descriptors=_count(engine, "fd"),
        files=sum(len(files) for _, _, files in os.walk(folder / "tmp")),
        state_files=sum(len(files) for _, _, files in os.walk(folder / "run")),
    )


def _memory(pid: int | None) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _count(pid: int | None, what: str) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/{what}"))
    except OSError:
        return 0


NAMES = {
    "server": "server, MiB",
    "engine": "engine, MiB",
    "threads": "server, threads",
    "engine_threads": "engine, threads",
    "descriptors": "server, descriptors",
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
