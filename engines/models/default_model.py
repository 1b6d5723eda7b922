"""Chooses the embedded chat model that a machine has room for."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineUnavailableError
from engines.models.catalogue import CATALOGUE, ModelCard

GIB = 1 << 30


class NotEnoughRoomError(EngineUnavailableError):
    code = "not_enough_room"


@dataclass(frozen=True, slots=True)
class Room:
    """What is free, or what a model needs, in GiB."""

    memory: float
    disk: float

    def __str__(self) -> str:
        return f"{self.memory:.1f} GiB of memory and {self.disk:.1f} GiB of disk"


NEEDS = {"qwen2.5-coder-1.5b": Room(4, 3), "qwen2.5-coder-0.5b": Room(1.5, 1.2)}
"""Best first. A running engine takes 2.4 and 0.9 GB; the rest is for the file and the user's own programs."""
RECOMMENDED, SMALL = NEEDS


def free_room(folder: Path) -> Room:
    """What is free on this machine and on the disk that holds, or will hold, ``folder``."""
    import psutil

    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Room(psutil.virtual_memory().available / GIB, shutil.disk_usage(there).free / GIB)


def choose(free: Room, folder: Path) -> tuple[ModelCard, str]:
    """The best chat model there is room for, and why, in a sentence.

    A model that is in ``folder`` already needs no more room.

    Raises:
        NotEnoughRoomError: not even for the smallest; the message says what is missing.
    """
    for name, needs in NEEDS.items():
        card = CATALOGUE[name]
        if (folder / card.file).is_file():
            return card, f"{name}: it is on this machine already"
        if free.memory >= needs.memory and free.disk >= needs.disk:
            return card, f"{name} ({card.size / 1e9:.1f} GB): it needs {needs}; {free} are free"
    needs = NEEDS[SMALL]
    short = [
        f"{lacking:.1f} GiB of {what}"
        for what, lacking in (("memory", needs.memory - free.memory), ("disk", needs.disk - free.disk))
        if lacking > 0
    ]
    raise NotEnoughRoomError(
        f"{free} are free; the smallest model, {SMALL}, needs {needs}: {' and '.join(short)} are missing",
        hint=f"free some, or pull it all the same: local-llm-agent models pull {SMALL}",
    )
