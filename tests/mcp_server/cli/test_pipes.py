"""A reader that leaves (``| head``) and Ctrl-C end every command at once, without a traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mcp_server.stdio.test_stdio import CHAT, INITIALIZE, SCRIPT

INTERRUPTED, READER_LEFT = 130, 141

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

COMMANDS = [
    ["--help"],
    ["--version"],
    ["classify", "--help"],
    ["classify", "--labels", "a,b", "It crashes"],
    ["classify", "--labels", "a,b", "--json", "It crashes"],
    ["classify", "--labels", "a,b", "--jsonl", "--items", "x", "y"],
    ["classify", "--labels", "a,b", "--items", "x", "y"],
    ["extract", "--fields", '{"a": "b"}', "some text"],
    ["summarize", "A short text."],
    ["chat", "Say a word"],
    ["chat", "--json", "Say a word"],
    ["stats"],
    ["stats", "--json"],
    ["doctor"],
    ["models"],
    ["route", "--tool", "chat"],
    ["vram", "gpt-oss:20b"],
]


def environment(home: Path, **variables: str) -> dict[str, str]:
    home.joinpath("run").mkdir(mode=0o700, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH",)}
    return {
        **kept, "HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"),
        "LOCAL_LLM_ENGINE": "scripted", **variables,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def interruptible() -> Generator[None]:
    """Has our processes begin with Ctrl-C not ignored, as it is in the background jobs of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def nobody_reads() -> Generator[int]:
    """Yields the writing end of a pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reader_that_leaves_ends_the_command_quietly(command: list[str], tmp_path: Path) -> None:
    with nobody_reads() as output:
        done = subprocess.run(
            [SCRIPT, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            env=environment(tmp_path),
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert done.returncode == READER_LEFT, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize("command", [*COMMANDS[3:5], ["serve", "--port", "0"], ["stdio"]], ids=" ".join)
def test_a_command_ends_if_nobody_reads_its_errors_either(command: list[str], tmp_path: Path) -> None:
    given = json.dumps(INITIALIZE).encode() + b"\n"
    with nobody_reads() as output:
        done = subprocess.run(
            [SCRIPT, *command],
            input=given,
            stdout=output,
            stderr=output,
            env=environment(tmp_path),
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert done.returncode == READER_LEFT


def piped(command: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
    """Starts a command with all its streams as pipes."""
    return subprocess.Popen(
        [SCRIPT, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
        cwd=home,
    )


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Returns exit code and standard error after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    # One signal is enough: standard input stays open.
    code = process.wait(20)
    assert process.stderr is not None
    return code, process.stderr.read()


@pytest.mark.parametrize(
    "command",
    [["summarize", "text"], ["chat", "text"], ["classify", "--labels", "a,b", "text"], ["doctor"]],
    ids=" ".join,
)
def test_ctrl_c_ends_a_command_that_waits_for_an_engine(command: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        variables = environment(tmp_path, LOCAL_LLM_ENGINE="ollama", LOCAL_LLM_OLLAMA__URL=url)
        with subprocess.Popen(
            [SCRIPT, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=variables,
            cwd=tmp_path,
        ) as process:
            asked, _ = silent.accept()
            with asked:
                code, said = interrupted(process)
    assert code == INTERRUPTED, said
    assert b"Traceback" not in said


def test_ctrl_c_ends_a_command_that_waits_for_standard_input(tmp_path: Path) -> None:
    with subprocess.Popen(
        [SCRIPT, "summarize", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(tmp_path, PYTHONVERBOSE="1"),
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        # The last import before standard input is read.
        while b"import 'mcp_server.cli.tools'" not in process.stderr.readline():
            pass
        code, said = interrupted(process)
    assert code == INTERRUPTED
    assert b"Traceback" not in said


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["stdio"]], ids=" ".join)
def test_ctrl_c_ends_a_server_quietly(command: list[str], tmp_path: Path) -> None:
    with piped(command, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if command == ["stdio"]:
            process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
            process.stdin.flush()
            assert b"serverInfo" in process.stdout.readline()
        else:
            assert b"http://127.0.0.1:" in process.stderr.readline()
        code, said = interrupted(process)
    # A server that is stopped has done its work.
    assert code == 0, said
    assert said == b""


@pytest.mark.parametrize("pipes", ["stdin", "stdout", "both"])
def test_a_host_that_leaves_in_the_middle_of_a_call_ends_the_server_quietly(
    pipes: str, tmp_path: Path
) -> None:
    items = [f"text {n}" for n in range(3_000)]
    arguments = {"labels": ["a", "b"], "items": items}
    params = {"name": "classify", "arguments": arguments, "_meta": {"progressToken": 1}}
    with piped(["stdio"], tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        for message in (INITIALIZE, initialized, {**CHAT, "params": params}):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        if pipes != "stdin":
            process.stdout.close()
        if pipes != "stdout":
            process.stdin.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
