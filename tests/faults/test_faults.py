"""Compares the observed faults with docs/reliability.md, cell by cell.

Every fault ends in an answer or a typed error in time, releases its slot, and lets the next call work.
"""

from pathlib import Path

import anyio
import pytest

from engines.backends.llamacpp.engine import EXIT_S, LlamaCppEngine
from engines.errors import EngineTimeoutError
from tests.engines.sample_requests import ask
from tests.faults import page, upstream
from tests.faults.cells import FAULTS, Table, table
from tests.faults.servers import ENGINES

pytestmark = [pytest.mark.anyio, pytest.mark.model]


@pytest.fixture(scope="module")
async def found(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Table:
    return await table(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", FAULTS)
async def test_callers_see_what_the_page_documents(found: Table, fault: str, engine: str) -> None:
    assert found[fault, engine] == page.committed()[fault, engine]


async def test_the_wait_for_an_engine_that_is_going_keeps_the_deadline(
    models_folder: Path, tmp_path: Path
) -> None:
    with upstream.playing_the_child("http://127.0.0.1:1", tmp_path, models_folder):
        async with LlamaCppEngine(
            upstream.SETTINGS, models_folder=models_folder, runtime_folder=tmp_path
        ) as engine:
            await engine.profile()
            began = anyio.current_time()
            with pytest.raises(EngineTimeoutError):
                await engine.complete(ask(deadline=began + 0.2))
            assert anyio.current_time() - began < EXIT_S - 0.5


def test_the_page_has_no_other_row_and_no_empty_cell() -> None:
    written = page.committed()
    assert list(written) == [(fault, engine) for fault in FAULTS for engine in ENGINES]
    assert all(seen for row in written.values() for seen in row.values())
