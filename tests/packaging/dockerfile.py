"""Reads the Dockerfile: instructions with their arguments, in order."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Returns the instructions of all stages, with continued lines joined."""
    lines = (line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines()) if name]


def only(name: str) -> str:
    """Returns the arguments of the one instruction ``name``."""
    [found] = [rest for each, rest in instructions() if each == name]
    return found
