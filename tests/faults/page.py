"""The table in docs/reliability.md: written by ``python -m tests.faults``, kept in step by a test."""

from pathlib import Path

from tests.faults.cells import Table
from tests.faults.doors import DOORS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"


def written(table: Table) -> str:
    """As Markdown; what all doors say alike stands once."""
    lines = [f"| fault | engine | {' | '.join(DOORS)} |", f"|---|---|{'---|' * len(DOORS)}"]
    for (fault, engine), row in table.items():
        lines.append(f"| {fault} | {engine} | {' | '.join(row[door] for door in DOORS)} |")
    return "\n".join(lines) + "\n"


def committed() -> Table:
    """What the page says."""
    rows = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    table: Table = {}
    for line in rows:
        fault, engine, *seen = (part.strip() for part in line.strip("|").split("|"))
        table[fault, engine] = dict(zip(DOORS, seen, strict=True))
    return table


def write(table: Table) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{written(table)}{END}{rest.partition(END)[2]}")
