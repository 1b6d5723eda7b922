"""``local-llm-agent`` without a command: what is there, and the next two commands."""

import shlex
import socket
from collections.abc import Generator

import anyio
import pytest

from mcp_server.cli import overview
from mcp_server.cli.parser import parser
from tests.engines.ollama_replay import serving
from tests.mcp_server.cli.machine import Machine, machine

__all__ = ["machine"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def silent() -> Generator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def commands(shown: str) -> list[str]:
    """Returns the lines after "next:"."""
    return [line.strip() for line in shown.partition("next:\n")[2].partition("\n\n")[0].splitlines()]


async def test_a_new_machine_is_told_to_run_setup(machine: Machine):
    (machine.home / ".codex").mkdir()
    done = await machine.run()
    assert done.code == 0
    assert "model    none yet" in done.out
    assert "vLLM and Ollama not running; the embedded engine without a model" in done.out
    assert "not registered: Codex" in done.out
    first, second = commands(done.out)
    assert first.startswith("local-llm-agent setup  ")
    assert second.startswith("local-llm-agent classify ")


async def test_it_fits_a_small_screen_and_its_commands_exist(machine: Machine):
    for folder in (".codex", ".cursor", ".gemini", ".claude"):
        (machine.home / folder).mkdir()
    (machine.home / ".claude.json").touch()
    done = await machine.run()
    lines = done.out.splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 80
    for command in commands(done.out):
        parser().parse_args(shlex.split(command, comments=True)[1:])


async def test_the_model_of_a_running_ollama_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # A busy machine that runs the tests may take longer than a user should wait.
    monkeypatch.setattr(overview, "WITHIN_S", 10)
    monkeypatch.chdir(machine.project)
    async with serving() as replay:
        replay.offer("qwen3:8b", billions=8.2, gib=4.9)
        for name, value in machine.environment(LOCAL_LLM_OLLAMA__URL=replay.url).items():
            monkeypatch.setenv(name, value)
        assert await overview.overview(parser().parse_args([])) == 0
    shown = capsys.readouterr().out
    assert "model    qwen3:8b in Ollama\n" in shown
    assert "Ollama ready; vLLM not running; the embedded engine without a model" in " ".join(shown.split())


async def test_a_registered_agent_is_shown_as_such_and_setup_is_not_proposed(machine: Machine):
    await machine.run("register", "codex", "--scope", "user")
    done = await machine.run(LOCAL_LLM_ENGINE="scripted")
    assert "registered: Codex" in done.out
    assert not [command for command in commands(done.out) if "setup" in command]


async def test_servers_that_accept_and_never_answer_are_not_waited_for(machine: Machine, silent: str):
    # An engine itself waits ten seconds. How long Python takes to start is the machine's matter.
    with anyio.fail_after(5):
        done = await machine.run(LOCAL_LLM_OLLAMA__URL=silent, LOCAL_LLM_VLLM__URL=f"{silent}/v1")
    assert "vLLM and Ollama slow to answer" in done.out


async def test_nothing_is_written_but_locks_of_the_session(machine: Machine):
    await machine.run()
    written = [path for path in machine.home.iterdir() if path.name != ".run"]
    assert written == []


async def test_a_wrong_setting_is_named(machine: Machine):
    done = await machine.run(LOCAL_LLM_ENGINE="steam")
    assert done.code == 2
    assert "LOCAL_LLM_ENGINE" in done.err


async def test_a_settings_file_of_a_client_that_cannot_be_read_stops_nothing(machine: Machine):
    (machine.home / ".cursor").mkdir()
    (machine.home / ".cursor" / "mcp.json").write_text("{")
    done = await machine.run()
    assert done.code == 0
    assert "Cursor" in done.out
