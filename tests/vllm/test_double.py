"""Compares the double that unit tests use with the real server."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.vllm.double import Double, doubled
from tests.vllm.server import Server
from tests.vllm.weights import BASE

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]

CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2, "temperature": 0}


def exchange(root: str, path: str, body: Mapping[str, object]) -> tuple[int, str]:
    """Returns the status, and the message of a refusal; the text of an answer differs by model."""
    data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(root + path, data, headers), timeout=60) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refused:
        said = json.load(refused)
        return refused.code, said["error"]["message"] if "error" in said else said["detail"]


async def test_with_lora_both_load_unload_and_refuse_in_the_same_words(adapted: Server, weights: Path):
    path, nowhere = str(weights / "beta"), "/opt/nowhere"
    asked = [
        ("/v1/chat/completions", {"model": "new", **CHAT}),
        ("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": nowhere}),
        ("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": path}),
        ("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": path}),
        ("/v1/chat/completions", {"model": "new", **CHAT}),
        ("/v1/unload_lora_adapter", {"lora_name": "new"}),
        ("/v1/unload_lora_adapter", {"lora_name": "new"}),
        ("/tokenize", {"model": "new", "prompt": "Hello"}),
        ("/tokenize", {"model": BASE, "prompt": "Hello"}),
    ]
    with anyio.fail_after(60):
        async with doubled(Double(paths=[path])) as double:
            for at, body in asked:
                real = await anyio.to_thread.run_sync(exchange, adapted.root, at, body)
                assert await anyio.to_thread.run_sync(exchange, double.root, at, body) == real


async def test_without_lora_both_refuse_to_load_in_the_same_words(plain: Server, weights: Path):
    body = {"lora_name": "new", "lora_path": str(weights / "beta")}
    with anyio.fail_after(60):
        async with doubled(Double(lora=False)) as double:
            real = await anyio.to_thread.run_sync(exchange, plain.root, "/v1/load_lora_adapter", body)
            said = await anyio.to_thread.run_sync(exchange, double.root, "/v1/load_lora_adapter", body)
    assert said == real
