"""``python -m tests.faults``: runs every fault and writes the table into docs/reliability.md."""

import sys
import tempfile
from pathlib import Path

import anyio

from tests.faults import page
from tests.faults.cells import table


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = anyio.run(table, Path(folder))
    wrong = [
        f"{fault}, {engine}, {entry_point}: {seen}"
        for (fault, engine), row in found.items()
        for entry_point, seen in row.items()
        if "WRONG" in seen
    ]
    if not wrong:
        page.write(found)
    print("\n".join(wrong) or f"{sum(map(len, found.values()))} cells, in {page.PAGE.name}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
