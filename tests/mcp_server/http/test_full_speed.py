"""Ten thousand concurrent calls through the whole app: receipts and ledger agree."""

import json
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Message

from engines.base import JsonObject
from mcp_server.app import build
from mcp_server.folders import Folders
from mcp_server.http.app import build_http
from mcp_server.settings import read
from tools.ledger.store import FILE

pytestmark = pytest.mark.anyio

CALLS = 10_000
CALLERS = 16
ReceiptFields = tuple[int, int, int, int, int, str]
"""Milliseconds, tokens in and out, saved, cached, project, of a receipt or a ledger row."""


async def post(app: ASGIApp, path: str, body: JsonObject, project: str) -> bytes:
    """Posts in process and returns the body of the response."""
    headers = [(b"host", b"127.0.0.1"), (b"x-project", project.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    asked = [{"type": "http.request", "body": json.dumps(body).encode()}]
    answer = b""

    async def receive() -> Message:
        if not asked:
            await anyio.sleep_forever()
        return asked.pop()

    async def send(message: Message) -> None:
        nonlocal answer
        assert message.get("status", 200) == 200
        answer += message.get("body", b"")

    await app(scope, receive, send)
    return answer


async def ask(app: ASGIApp, number: int, words: int, project: str) -> JsonObject:
    """Makes a call over /v1, whole or streamed, or REST, and returns its receipt; half of them repeat."""
    prompt = f"{number % (CALLS // 2)} " + "word " * words
    body: JsonObject = {"messages": [{"role": "user", "content": prompt}]}
    match number % 3:
        case 0:
            answer = json.loads(await post(app, "/v1/chat/completions", body, project))
        case 1:
            events = await post(app, "/v1/chat/completions", {**body, "stream": True}, project)
            answer = json.loads(events.split(b"data: ")[-2])
        case _:
            answer = json.loads(await post(app, "/mcp/tools/chat", {"prompt": prompt}, project))
    return answer["receipt"]


async def test_receipts_and_ledger_agree_after_ten_thousand_calls_over_http(tmp_path: Path) -> None:
    received: Counter[ReceiptFields] = Counter()
    chosen = random.Random(8)
    numbers = iter(range(CALLS))
    folders = Folders(*(tmp_path / name for name in ("cache", "run", "config", "data")))
    settings = read(engine="scripted", projects={"shop": {}, "erp": {}})
    with anyio.fail_after(120):
        async with build(settings, folders) as app, anyio.create_task_group() as group:
            http = build_http(app)

            async def caller() -> None:
                for number in numbers:
                    project = chosen.choice(["shop", "erp"])
                    received[of_receipt(await ask(http, number, chosen.randrange(1, 12), project))] += 1

            for _ in range(CALLERS):
                group.start_soon(caller)
    connection = sqlite3.connect(folders.data / FILE)
    kept = connection.execute("SELECT ms, prompt, completion, saved, cached, project FROM calls").fetchall()
    connection.close()
    assert received.total() == CALLS
    assert Counter(kept) == received


def of_receipt(receipt: dict[str, Any]) -> ReceiptFields:
    tokens = receipt["tokens"]
    return receipt["ms"], tokens["in"], tokens["out"], receipt["saved"], receipt["cached"], receipt["project"]
