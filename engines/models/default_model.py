"""Chooses the default embedded chat model by free memory and disk."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineUnavailableError
from engines.models.catalogue import CATALOGUE, ModelCard

GIB = 1 << 30


class NotEnoughResourcesError(EngineUnavailableError):
    code = "not_enough_room"


@dataclass(frozen=True, slots=True)
class Resources:
    """Free or required memory and disk, in GiB."""

    memory: float
    disk: float

    def __str__(self) -> str:
        return f"{self.memory:.1f} GiB of memory and {self.disk:.1f} GiB of disk"


NEEDS = {"qwen2.5-coder-1.5b": Resources(4, 3), "qwen2.5-coder-0.5b": Resources(1.5, 1.2)}
"""Requirements, best model first: a running engine (``ModelCard.memory``), plus the user's programs."""
RECOMMENDED, SMALL = NEEDS


def free_resources(folder: Path) -> Resources:
    """Returns the free memory, and the free space on the disk of ``folder``, which need not exist."""
    import psutil

    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Resources(psutil.virtual_memory().available / GIB, shutil.disk_usage(there).free / GIB)


def choose(free: Resources, folder: Path) -> tuple[ModelCard, str]:
    """Returns the best chat model that fits, and the reason.

    A model that is in ``folder`` already always fits.

    Raises:
        NotEnoughResourcesError: not even the smallest fits; the message lists what is missing.
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
    raise NotEnoughResourcesError(
        f"{free} are free; the smallest model, {SMALL}, needs {needs}: {' and '.join(short)} are missing",
        hint=f"free some, or pull it anyway: local-llm-agent models pull {SMALL}",
    )
