"""What a parser of a known format returns: records under standard names, with the lines they stand on.

A parser is a function ``parse(text) -> Report | None``. It reads a whole text or nothing: ``None`` unless all
of the text is of its format and, where the program prints how many there are, it found as many.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from engines.base import JsonValue

FAMILIES: Sequence[str] = (
    # Compilers and linters.
    "file line column severity code message",
    # Failed tests and stack traces, with totals ``failed passed skipped errors total``.
    "test error message file line",
    # Changelogs, which also have a list under the name of each section: ``added``, ``fixed``.
    "version date references changes",
    # Diffs.
    "file old_file status added removed",
    # Access logs.
    "ip user time method path protocol status bytes referrer user_agent",
)
"""Standard names that go together; JSON lines and tables keep the names in the text.

A name of its family that no record has is known to be missing.
"""


@dataclass(frozen=True, slots=True)
class Record:
    values: Mapping[str, JsonValue]
    """By standard name; a value the text does not give is left out."""
    first: int
    last: int
    """First and last line it stands on, from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    format: str
    records: list[Record]
    totals: Mapping[str, int] = field(default_factory=dict[str, int])
    """Counts the program printed, or that follow from its records."""


Parse: TypeAlias = Callable[[str], Report | None]
