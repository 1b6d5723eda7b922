"""A call imports nothing that an earlier one like it has not: imports are no part of a call's path."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest

from tests.vllm.double import Double, doubled

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]


async def late_imports(folder: Path, **variables: str) -> dict[str, list[str]]:
    """Returns the modules that second calls import, by tool or route."""
    command = [sys.executable, "-P", "-m", "tests.late_imports", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env=environment, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def test_a_second_call_of_a_tool_imports_nothing(tmp_path: Path) -> None:
    found = await late_imports(tmp_path, LOCAL_LLM_ENGINE="scripted")
    assert list(found) == ["chat", "classify", "extract", "summarize", "/v1, whole", "/v1, streamed"]
    assert {name: modules for name, modules in found.items() if modules} == {}


async def test_a_second_call_over_vllm_imports_nothing(tmp_path: Path) -> None:
    async with doubled(Double()) as double:
        found = await late_imports(tmp_path, LOCAL_LLM_ENGINE="vllm", LOCAL_LLM_VLLM__URL=double.url)
        assert len(double.asked) == 6
    assert list(found) == ["chat", "/v1, whole", "/v1, streamed"]
    assert {name: modules for name, modules in found.items() if modules} == {}
