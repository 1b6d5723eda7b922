"""Reads and writes the fault table in docs/reliability.md."""

from pathlib import Path

from tests.faults.cells import Table
from tests.faults.entry_points import ENTRY_POINTS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"


def written(table: Table) -> str:
    """Renders the table as Markdown."""
    lines = [f"| fault | engine | {' | '.join(ENTRY_POINTS)} |", f"|---|---|{'---|' * len(ENTRY_POINTS)}"]
    for (fault, engine), row in table.items():
        lines.append(f"| {fault} | {engine} | {' | '.join(row[name] for name in ENTRY_POINTS)} |")
    return "\n".join(lines) + "\n"


def committed() -> Table:
    """Reads the table committed in the page."""
    rows = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    table: Table = {}
    for line in rows:
        fault, engine, *seen = (part.strip() for part in line.strip("|").split("|"))
        table[fault, engine] = dict(zip(ENTRY_POINTS, seen, strict=True))
    return table


def write(table: Table) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{written(table)}{END}{rest.partition(END)[2]}")
