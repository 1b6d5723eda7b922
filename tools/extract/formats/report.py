"""What a parser of a known format returns: records under standard names, with the lines they stand on.

A parser is a function ``parse(text) -> Report | None``. It reads a whole text or nothing: ``None`` unless all
of the text is of its format and, where the program prints how many there are, it found as many.

Standard names, by family:

- diagnostics (compilers, linters): ``file line column severity code message``
- failed tests and stack traces: ``test error message file line``; totals: ``failed passed`` ...
- changelog: ``version date references changes``, and a list under each heading: ``added fixed ...``
- diff: ``file old_file status added removed``
- access log: ``ip user time method path protocol status bytes referrer user_agent``
- JSON lines and tables with a header: the names in the text
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from engines.base import JsonValue


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
