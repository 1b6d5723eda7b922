"""Every fault at every engine through every door ends in an answer or a typed error in time, gives its
place back, and the next call works: what docs/reliability.md says, cell by cell."""

from pathlib import Path

import pytest

from tests.faults import page
from tests.faults.cells import FAULTS, Table, table
from tests.faults.houses import ENGINES

pytestmark = [pytest.mark.anyio, pytest.mark.model]


@pytest.fixture(scope="module")
async def found(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Table:
    return await table(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", FAULTS)
async def test_callers_see_what_the_page_says(found: Table, fault: str, engine: str) -> None:
    assert found[fault, engine] == page.committed()[fault, engine]


def test_the_page_has_no_other_row_and_no_empty_cell() -> None:
    written = page.committed()
    assert list(written) == [(fault, engine) for fault in FAULTS for engine in ENGINES]
    assert all(seen for row in written.values() for seen in row.values())
