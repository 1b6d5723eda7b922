"""Test helpers that inspect and kill the embedded engine's process."""

import json
import os
import signal
from pathlib import Path

import aiohttp
import anyio

from engines.locks import is_held
from engines.settings import LlamaCppSettings
from tests.posix import KILL

MODELS = ("smollm2-135m", "all-minilm-l6-v2")
ADAPTERS = Path(__file__).parents[1] / "data" / "adapters"


def settings(**fields: object) -> LlamaCppSettings:
    """Settings of a small engine; two adapters, and one whose file is missing."""
    adapters = {name: str(ADAPTERS / f"{name}.gguf") for name in ("alpha", "beta", "missing")}
    small = {"model": MODELS[0], "context": 2048, "idle_seconds": 30, "adapters": adapters}
    return LlamaCppSettings.model_validate(small | fields)


def states(folder: Path) -> list[dict[str, str]]:
    """Returns the state files of the live processes in ``folder``."""
    files = (file for file in folder.glob("llamacpp-*.json") if is_held(file.with_suffix(".lock")))
    return [json.loads(file.read_bytes()) for file in files]


def process(folder: Path) -> int:
    (state,) = states(folder)
    return int(state["pid"])


def lock(folder: Path) -> Path:
    (found,) = folder.glob("llamacpp-*.lock")
    return found


async def kill(folder: Path, number: signal.Signals = KILL) -> None:
    """Signals the process in ``folder`` and waits until its lock is released."""
    os.kill(process(folder), number)
    await gone(lock(folder))


async def busy_slots(folder: Path) -> int:
    """Returns the number of active requests of the process in ``folder``, from llama.cpp itself."""
    (state,) = states(folder)
    headers = {"Authorization": f"Bearer {state['key']}"}
    async with aiohttp.request("GET", f"{state['url']}/slots", headers=headers) as response:
        return sum(slot["is_processing"] for slot in await response.json())


async def gone(held: Path) -> None:
    with anyio.fail_after(20):
        while is_held(held):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.02)


async def stop(folder: Path) -> None:
    if states(folder):
        await kill(folder, signal.SIGTERM)
