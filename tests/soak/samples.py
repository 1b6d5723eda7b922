"""What a server and its engine use while they run, read from /proc."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """Memory in MiB; of the engine too, 0 between a death and a new start."""

    server: float
    engine: float
    threads: int
    engine_threads: int
    descriptors: int
    engine_descriptors: int
    files: int
    """Temporary ones."""
    places: int
    """Locks and lines of processes, which the dead leave behind until somebody looks."""


def sample(server: int, engine: int | None, folder: Path) -> Sample:
    return Sample(
        server=_memory(server),
        engine=_memory(engine),
        threads=_count(server, "task"),
        engine_threads=_count(engine, "task"),
        descriptors=_count(server, "fd"),
        engine_descriptors=_count(engine, "fd"),
        files=sum(len(files) for _, _, files in os.walk(folder / "tmp")),
        places=sum(len(files) for _, _, files in os.walk(folder / "run")),
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
    "places": "lock and state files",
}


def thirds(samples: Sequence[Sample]) -> list[tuple[str, float, float, float]]:
    """By name, the medians of the first and the last third, and the largest of all."""
    third = max(1, len(samples) // 3)
    rows: list[tuple[str, float, float, float]] = []
    for field, name in NAMES.items():
        values = [float(getattr(each, field)) for each in samples]
        rows.append((name, _median(values[:third]), _median(values[-third:]), max(values)))
    return rows


def _median(values: Sequence[float]) -> float:
    """Of what was there: an engine that is just being started uses nothing."""
    there = sorted(value for value in values if value) or [0.0]
    return there[len(there) // 2]
