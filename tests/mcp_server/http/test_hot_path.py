"""What a request to ``/v1`` must not do on its way: count tokens, or read or write JSON twice."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from starlette.types import ASGIApp

from engines.base import JsonObject
from engines.tokens import Estimator
from mcp_server.app import build
from mcp_server.folders import Folders
from mcp_server.http.app import build_http
from mcp_server.settings import read
from tests.mcp_server.http.test_security import HOST, alive, ask
from tests.vllm.double import Double, doubled

pytestmark = pytest.mark.anyio

READERS = ("shim.exchange.from_json", "engines.backends.openai_json.from_json")
WRITERS = (
    "shim.encoding.to_json",
    "engines.backends.openai_json.to_json",
    "engines.middleware.cache.to_json",
)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncGenerator[ASGIApp]:
    async with doubled(Double()) as vllm:
        settings = read(engine="vllm", vllm={"url": vllm.url})
        folders = Folders(*(tmp_path / name for name in ("cache", "run", "config", "data")))
        async with build(settings, folders) as built:
            asgi = build_http(built)
            async with alive(asgi):
                await chat(asgi, "warms up")
                yield asgi


async def chat(app: ASGIApp, prompt: str, **fields: Any) -> bytes:
    body: JsonObject = {"messages": [{"role": "user", "content": prompt}], **fields}
    answer = await ask(app, "POST", "/v1/chat/completions", [HOST], [json.dumps(body).encode()])
    assert answer.status == 200, answer.body
    return answer.body


def counted(monkeypatch: pytest.MonkeyPatch, *names: str) -> Counter[str]:
    """Counts the calls of the functions ``names``."""
    calls: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def count(*args: object, **options: object) -> object:
            calls[name] += 1
            return function(*args, **options)

        return count

    for name in names:
        function = getattr(pydantic_core, name.rpartition(".")[2])
        monkeypatch.setattr(name, counting(name, function))
    return calls


@pytest.mark.parametrize("stream", [False, True])
async def test_no_tokens_are_counted(app: ASGIApp, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Estimator, text: str) -> int:
        raise AssertionError(f"counted the tokens of {text[:80]!r}")

    monkeypatch.setattr(Estimator, "count", fail)
    await chat(app, "Who are you?", stream=stream)


async def test_tokens_are_counted_where_a_tier_may_be_too_small(
    app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    def count(_: Estimator, text: str) -> int:
        texts.append(text)
        return 1_000

    monkeypatch.setattr(Estimator, "count", count)
    receipt = json.loads(await chat(app, "Who are you?" * 400))["receipt"]
    assert texts
    assert receipt["tier"] == "small", "which holds 1,000 tokens, but not the bytes"


async def test_the_receipt_has_the_tokens_that_the_engine_counted(app: ASGIApp) -> None:
    answer = json.loads(await chat(app, "Who are you?"))
    usage = answer["usage"]
    assert usage["total_tokens"] > 0
    assert answer["receipt"]["saved"] == -usage["total_tokens"]


async def test_json_is_read_and_written_once(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    read_json, written = counted(monkeypatch, *READERS), counted(monkeypatch, *WRITERS)
    await chat(app, "Where are you?")
    # The key of the cache and what it stores are written, too.
    assert read_json == dict.fromkeys(READERS, 1)
    assert written == {**dict.fromkeys(WRITERS, 1), "engines.middleware.cache.to_json": 2}
