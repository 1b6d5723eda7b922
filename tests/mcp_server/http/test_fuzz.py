"""Fuzzes standard input of the stdio server: it continues and answers valid requests."""

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mcp_server.stdio.test_stdio import INITIALIZE, SCRIPT

ANSWER_S = 20
FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
MIB = 2**20

METHODS = st.sampled_from(
    ["initialize", "ping", "tools/list", "tools/call", "resources/read", "prompts/get", "server/discover",
     "notifications/initialized", "notifications/cancelled", "completion/complete", "logging/setLevel",
     "subscriptions/listen", "tasks/get", "", "rpc.discover", "tools/call\n"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
# Ids under 1000 are the fuzzer's, those above are ours.
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "2.0", "1.0", 2])},
    optional={
        "id": st.integers(0, 999) | st.text(max_size=5) | VALUES.filter(lambda v: not isinstance(v, int)),
        "method": METHODS | st.text(max_size=10) | VALUES,
        "params": VALUES
        | st.fixed_dictionaries({"name": st.text(max_size=10) | st.just("chat"), "arguments": VALUES}),
        "result": VALUES,
        "error": VALUES,
    },
)
LINES = st.one_of(
    st.binary(max_size=200),
    MESSAGES.map(lambda message: json.dumps(message).encode()),
    st.lists(MESSAGES, max_size=3).map(lambda batch: json.dumps(batch).encode()),
    MESSAGES.map(lambda message: json.dumps(message).encode()[:-3]),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 5_000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 300).map(lambda size: b'{"jsonrpc":"2.0","id":5,"method":"' + b"x" * size * 1000 + b'"}'),
)


class Wire:
    """A stdio server and its pipes; skips answers to the fuzzer's messages."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._last = 1000

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params}
        self.send(json.dumps(message).encode() + b"\n")
        return self.answer(self._last)

    def answer(self, number: int) -> dict[str, Any]:
        """Returns the answer to request ``number``; every line of output must be a message."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0", line
            if message.get("id") == number:
                return message
        raise AssertionError(f"the server ended with {self.process.wait(ANSWER_S)}")


@contextmanager
def started(folder: Path) -> Generator[Wire]:
    environment = {**os.environ, "LOCAL_LLM_ENGINE": "scripted", "LOCAL_LLM_CACHE": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [SCRIPT, "stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment,
        )
    with process:
        wire = Wire(process)
        wire.ask("initialize", **INITIALIZE["params"])
        wire.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        wire.ask("tools/call", name="chat", arguments={"prompt": "hello"})
        yield wire
        process.kill()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Generator[Wire]:
    with started(tmp_path_factory.mktemp("fuzz")) as wire:
        yield wire


@FUZZ
@given(lines=st.lists(LINES, min_size=1, max_size=8))
def test_whatever_comes_the_next_call_is_answered(wire: Wire, lines: list[bytes]) -> None:
    wire.send(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
    answer = wire.ask("tools/call", name="chat", arguments={"prompt": "still there"})
    assert answer["result"]["content"][0]["text"] == "still there"


@FUZZ
@given(cuts=st.lists(st.integers(1, 200), max_size=6))
def test_a_message_may_come_in_any_pieces(wire: Wire, cuts: list[int]) -> None:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 7000 + len(cuts), "method": "tools/call"}
    message["params"] = {"name": "chat", "arguments": {"prompt": "pièces €"}}
    data = json.dumps(message, ensure_ascii=False).encode() + b"\n"
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        wire.send(data[start:end])
    assert wire.answer(7000 + len(cuts))["result"]["content"][0]["text"] == "pièces €"


@pytest.mark.parametrize("method", ["nowhere", "tools/calls", "prompts/list", "", "rpc.discover"])
def test_an_unknown_method_is_a_protocol_error(wire: Wire, method: str) -> None:
    assert wire.ask(method)["error"]["code"] == -32601


def test_an_argument_of_megabytes_is_taken_or_refused_by_name(wire: Wire) -> None:
    result = wire.ask("tools/call", name="chat", arguments={"prompt": "word " * MIB})["result"]
    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == "invalid_arguments"


def test_a_line_that_never_ends_ends_the_session_in_peace(tmp_path: Path) -> None:
    with started(tmp_path) as wire:
        with suppress(BrokenPipeError):
            for _ in range(40):
                wire.send(b"x" * MIB)
        assert wire.process.wait(ANSWER_S) == 0
    said = (tmp_path / "log").read_text()
    assert "over 32 MiB" in said
    assert "Traceback" not in said
