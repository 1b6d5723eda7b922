"""The handshake's answers equal those of the MCP server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_server.stdio.handshake import MANIFEST, MODERN, Backlog, answer_handshake
from mcp_server.stdio.manifest import generate

pytestmark = pytest.mark.anyio


def handshake_answers(*messages: dict[str, Any] | bytes) -> tuple[list[dict[str, Any]], Backlog]:
    """Returns the handshake's answers to these lines, and the backlog for the MCP server."""
    ours, theirs = os.pipe(), os.pipe()
    for message in messages:
        os.write(ours[1], message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
    os.close(ours[1])
    backlog = answer_handshake(ours[0], theirs[1])
    os.close(theirs[1])
    with open(theirs[0], "rb") as out:
        answers = [json.loads(line) for line in out]
    os.close(ours[0])
    return answers, backlog


def request(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


INITIALIZE = request("initialize", 0, protocolVersion="2025-06-18", capabilities={})


async def test_the_manifest_is_what_the_real_server_says() -> None:
    assert json.loads(MANIFEST.read_text()) == await generate(), "run: python -P -m mcp_server.stdio.manifest"


def test_the_handshake_imports_only_the_standard_library() -> None:
    code = "import sys, mcp_server.stdio.handshake, mcp_server.cli.parser\n"
    code += "print([m for m in sys.modules if m in %r])"
    heavy = ["anyio", "mcp", "pydantic", "aiohttp", "starlette", "rich", "numpy", "platformdirs"]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code % heavy], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_handshake_and_the_list_are_answered_and_replayed() -> None:
    notified = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answers, backlog = handshake_answers(INITIALIZE, notified, request("tools/list", 1))
    assert [answer["id"] for answer in answers] == [0, 1]
    assert answers[1]["result"]["tools"][0]["name"] == "classify"
    assert backlog.answered == {0, 1}
    assert len(backlog.read.splitlines()) == 3


def test_an_older_client_that_looks_for_newer_servers_first_is_answered() -> None:
    answers, _ = handshake_answers(
        request("server/discover", 0), INITIALIZE | {"id": 1}, request("tools/list", 2)
    )
    assert "error" in answers[0]
    assert "result" in answers[1]
    assert "result" in answers[2]


def test_a_modern_client_is_answered_in_its_own_form() -> None:
    envelope = {MODERN: "2026-07-28"}
    answers, _ = handshake_answers(
        request("server/discover", 0, _meta=envelope), request("tools/list", 1, _meta=envelope)
    )
    assert answers[1]["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    "line",
    [
        request("tools/call", 5, name="chat", arguments={"prompt": "hi"}),
        request("prompts/list", 5),
        request("tools/list", 5, cursor="x"),
        request("initialize", 5, protocolVersion="2025-06-18"),
        request("server/discover", 5, _meta={MODERN: "2026-07-28"}),
        b"garbage\n",
        b"[]\n",
        b"[" * 50_000 + b"\n",
        b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": []}\n',
    ],
)
def test_what_the_manifest_does_not_know_is_left_to_the_real_server(line: dict[str, Any] | bytes) -> None:
    answers, backlog = handshake_answers(INITIALIZE, line)
    answered = {answer["id"] for answer in answers}
    assert 0 in answered
    assert 5 not in answered or line == b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": []}\n'
    assert backlog.answered == answered
    assert len(backlog.read.splitlines()) == 2


def test_a_line_in_pieces_is_one_line() -> None:
    text = json.dumps(request("tools/list", 1)).encode() + b"\n"
    answers, _ = handshake_answers(INITIALIZE, text[:20], text[20:])
    assert [answer["id"] for answer in answers] == [0, 1]


def test_the_end_of_input_is_reported() -> None:
    _, backlog = handshake_answers(INITIALIZE)
    assert backlog.ended
