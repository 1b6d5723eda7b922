"""A project of 100,000 files: each tool answers, or says in time and in little memory that it is too many."""

import time
import tracemalloc

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call, Project, Result
from tools.sources.files import MAX_FILES, MAX_VISITED, SourceUnusableError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FOLDERS, FILES = 50, 2_000
SECONDS = 30
MIB = 2**20
TOOLS: dict[str, JsonObject] = {
    "classify": {"labels": ["note", "bill"]},
    "extract": {"fields": {"number": "the number in the text"}},
    "summarize": {},
    "chat": {"prompt": "Which is the largest number?"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """50 folders of 2,000 files of a line each."""
    root = tmp_path_factory.mktemp("many")
    for folder in range(FOLDERS):
        below = root / f"{folder:02}"
        below.mkdir()
        for number in range(FILES):
            (below / f"{number}.txt").write_text(f"number {number}")
    return Project("many", root)


async def result(tool: str, path: str, project: Project) -> Result:
    async with dispatching(ScriptedEngine(), deadline_s=SECONDS) as dispatcher:
        return await dispatcher.run(Call(tool, {"paths": [path], **TOOLS[tool]}, project=project))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("path", [".", "**/*.txt", "*/1?.txt"], ids=["a folder", "a glob", "a narrow glob"])
async def test_too_many_files_are_a_typed_error_within_the_deadline(
    path: str, tool: str, project: Project
) -> None:
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(SourceUnusableError, match=rf"more than ({MAX_FILES}|{MAX_VISITED}) ") as caught:
        await result(tool, path, project)
    seconds, peak = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.hint
    assert seconds < SECONDS
    assert peak < 50 * MIB


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("path", ["07", "07/*.txt"], ids=["a folder", "a glob"])
async def test_as_many_files_as_are_allowed_are_answered_within_the_deadline(
    path: str, tool: str, project: Project
) -> None:
    began = time.monotonic()
    assert (await result(tool, path, project)).fields
    assert time.monotonic() - began < SECONDS
