"""``setup``: what it plans, what it asks, and what it does."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from engines.models.catalogue import CATALOGUE
from mcp_server.clients.catalogue import is_temporary
from tests.engines.ollama_replay import serving
from tests.mcp_server.cli.machine import SCRIPT, Machine, machine
from tests.posix import open_terminal

__all__ = ["machine"]

pytestmark = pytest.mark.anyio

READY = {"LOCAL_LLM_ENGINE": "scripted"}


def entry(machine: Machine) -> object:
    """Returns Cursor's entry for this server, if any."""
    file = machine.home / ".cursor" / "mcp.json"
    return json.loads(file.read_text())["mcpServers"].get("local-llm-agent") if file.exists() else None


@pytest.fixture
def cursor(machine: Machine) -> Machine:
    """The machine, with Cursor installed."""
    (machine.home / ".cursor").mkdir()
    return machine


async def test_without_a_terminal_it_says_what_it_would_do_and_how(cursor: Machine):
    done = await cursor.run("setup")
    assert done.code == 1
    assert "download qwen2.5-coder-" in done.out
    assert "add local-llm-agent to Cursor: ~/.cursor/mcp.json" in done.out
    assert "local-llm-agent setup --yes" in done.out
    assert "local-llm-agent models pull qwen2.5-coder-" in done.out
    assert "local-llm-agent register cursor --scope user" in done.out
    assert entry(cursor) is None


async def test_with_yes_it_registers_the_agents_it_finds_and_no_others(cursor: Machine):
    done = await cursor.run("setup", "--yes", **READY)
    assert done.code == 0, done.err
    assert "Cursor: added, ~/.cursor/mcp.json" in done.out
    assert entry(cursor)
    assert not (cursor.home / ".codex").exists()
    again = await cursor.run("setup", "--yes", **READY)
    assert again.code == 0
    assert "Cursor: registered" in again.out
    assert "nothing is left to do" in again.out


async def test_it_can_register_in_the_files_of_the_project(cursor: Machine):
    done = await cursor.run("setup", "--yes", "--scope", "project", **READY)
    assert done.code == 0, done.err
    assert (cursor.project / ".cursor" / "mcp.json").is_file()
    assert entry(cursor) is None


async def test_a_running_ollama_with_a_chat_model_needs_no_download(machine: Machine):
    async with serving() as replay:
        replay.offer("qwen3:8b", billions=8.2, gib=4.9)
        done = await machine.run("setup", LOCAL_LLM_OLLAMA__URL=replay.url)
    assert done.code == 0, done.err
    assert "model: qwen3:8b in Ollama" in done.out
    assert "download" not in done.out


async def test_an_ollama_without_a_chat_model_does_need_one(machine: Machine):
    async with serving() as replay:
        replay.offer("bge-m3", billions=0.57, gib=1.1, capabilities=["embedding"])
        done = await machine.run("setup", "--json", LOCAL_LLM_OLLAMA__URL=replay.url)
    assert "all-minilm-l6-v2" in json.loads(done.out)["pull"]


async def test_only_the_files_that_are_missing_are_downloaded(machine: Machine, models_folder: Path):
    folder = machine.home / ".cache" / "local-llm-agent" / "models"
    folder.mkdir(parents=True)
    card = CATALOGUE["smollm2-135m"]
    (folder / card.file).symlink_to(models_folder / card.file)
    done = await machine.run("setup", "--json", LOCAL_LLM_LLAMACPP__MODEL=card.name)
    assert json.loads(done.out)["pull"] == ["all-minilm-l6-v2"]


async def test_an_engine_that_the_settings_name_is_the_users_to_start(machine: Machine):
    done = await machine.run("setup", "--yes", LOCAL_LLM_ENGINE="ollama")
    assert done.code == 1
    assert "to do by hand: Ollama: Ollama does not answer" in done.out
    assert "ollama serve" in done.out


async def test_a_settings_file_that_cannot_be_read_is_left_alone(cursor: Machine):
    file = cursor.home / ".cursor" / "mcp.json"
    file.write_text("{")
    done = await cursor.run("setup", "--yes", **READY)
    assert done.code == 1
    assert "to do by hand: Cursor: " in done.out
    assert file.read_text() == "{"


async def test_for_a_program_it_prints_the_plan_and_does_nothing(cursor: Machine):
    done = await cursor.run("setup", "--json", **READY)
    assert json.loads(done.out) == {
        "done": False,
        "pull": [],
        "register": [{"client": "cursor", "file": str(cursor.home / ".cursor" / "mcp.json")}],
        "problems": [],
    }
    assert entry(cursor) is None
    done = await cursor.run("setup", "--json", "--yes", **READY)
    assert json.loads(done.out)["done"]
    assert entry(cursor)


@pytest.mark.parametrize(
    ("prefix", "temporary"),
    [
        ("/home/ann/.cache/uv/archive-v0/Xy12", True),
        ("/home/ann/.cache/pipx/0a1b2c", True),
        ("/home/ann/.local/share/uv/tools/local-llm-agent", False),
        ("/home/ann/.local/share/pipx/venvs/local-llm-agent", False),
    ],
)
def test_an_installation_in_a_cache_is_not_registered(prefix: str, temporary: bool) -> None:
    assert is_temporary(prefix) is temporary


class Terminal:
    """A terminal with ``setup`` in it."""

    def __init__(self, end: int) -> None:
        self._end = end
        self.shown = ""

    async def until(self, text: str) -> None:
        while text not in self.shown:
            await anyio.wait_readable(self._end)
            self.shown += os.read(self._end, 4096).decode()

    def write(self, text: str) -> None:
        os.write(self._end, text.encode())


@asynccontextmanager
async def asked(machine: Machine, codes: list[int]) -> AsyncGenerator[Terminal]:
    """Starts ``setup`` in a terminal and waits for its question; appends its exit code at the end."""
    end, given = open_terminal()
    try:
        with anyio.fail_after(30):
            process = await anyio.open_process(
                [sys.executable, "-c", CONTROLLED, SCRIPT, "setup"],
                cwd=machine.project,
                env=machine.environment(**READY),
                stdin=given,
                stdout=given,
                stderr=given,
                start_new_session=True,
            )
            terminal = Terminal(end)
            await terminal.until("[Y/n] ")
            yield terminal
            codes.append(await process.wait())
    finally:
        os.close(given)
        os.close(end)


CONTROLLED = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes standard input the terminal that sends signals."""


@pytest.mark.parametrize(("answer", "code", "registered"), [("\n", 0, True), ("n\n", 1, False)])
async def test_on_a_terminal_it_asks_once(cursor: Machine, answer: str, code: int, registered: bool):
    codes: list[int] = []
    async with asked(cursor, codes) as terminal:
        terminal.write(answer)
        await terminal.until("added" if registered else "nothing is changed")
    assert codes == [code]
    assert bool(entry(cursor)) is registered


async def test_ctrl_c_at_the_question_ends_it(cursor: Machine):
    codes: list[int] = []
    async with asked(cursor, codes) as terminal:
        terminal.write("\x03")
    assert codes == [128 + signal.SIGINT]
    assert entry(cursor) is None
