"""Compares the ledger with the calls that the agents made."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.ledger.store import COLUMNS, DEFINITIONS, FILE


class Rows(NamedTuple):
    by_agent: Counter[str]
    twice: int
    """Rows of one answer of a model, down to the millisecond, beyond the first."""


def rows(folder: Path) -> Rows:
    """Counts the calls in the ledger in ``folder``, without the charges for definitions."""
    with sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True) as connection:
        found = connection.execute(
            f"SELECT agent, completion, {COLUMNS} FROM calls WHERE tool != ?", [DEFINITIONS]
        )
        calls = found.fetchall()
    connection.close()
    answers = [call for call in calls if call[1]]
    return Rows(Counter(call[0] for call in calls), len(answers) - len(set(answers)))


def differences(found: Rows, ended: Mapping[str, int], cancelled: Mapping[str, int]) -> list[str]:
    """Returns where the ledger has fewer rows than calls that ended, or more than were made.

    A cancelled call has a row only if it had come as far as an engine.
    """
    wrong = [
        f"the ledger has {found.by_agent[agent]} calls of {agent}, which made {ended[agent]} and cancelled "
        f"{cancelled[agent]} others"
        for agent in ended
        if not ended[agent] <= found.by_agent[agent] <= ended[agent] + cancelled[agent]
    ]
    return [*wrong, f"{found.twice} rows are in the ledger twice"] if found.twice else wrong
