"""``/v1`` over the whole app: embeddings in cache and ledger, aliases, the list of models."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from engines.base import JsonObject
from mcp_server.app import build
from mcp_server.folders import Folders
from mcp_server.http.app import build_http
from mcp_server.settings import CONFIG_VARIABLE, read
from tests.mcp_server.http.test_security import HOST, Answer, alive, ask
from tools.ledger.store import FILE

pytestmark = pytest.mark.anyio

NAMED = "scripted-embedding"
ALIASES = """
engine = "scripted"
[aliases]
gpt-4o-mini = "main"
text-embedding-3-small = "scripted-embedding"
"*" = "gpt-4o-mini"
"""

BODIES: dict[str, JsonObject] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/completions": {"prompt": "Hi"},
}


@asynccontextmanager
async def app_over(folder: Path) -> AsyncGenerator[ASGIApp]:
    with pytest.MonkeyPatch.context() as patch:
        (folder / "config.toml").write_text(ALIASES)
        patch.setenv(CONFIG_VARIABLE, str(folder / "config.toml"))
        settings = read()
    folders = Folders(*(folder / name for name in ("cache", "run", "config", "data")))
    async with build(settings, folders) as app:
        asgi = build_http(app)
        async with alive(asgi):
            yield asgi


async def post(app: ASGIApp, path: str, body: JsonObject) -> Answer:
    return await ask(app, "POST", path, [HOST, ("x-agent", "rag")], [json.dumps(body).encode()])


async def test_embeddings_are_cached_and_in_the_ledger_by_their_name(tmp_path: Path) -> None:
    async with app_over(tmp_path) as app:
        request: JsonObject = {"model": "text-embedding-3-small", "input": ["one two", "three"]}
        first, again = [json.loads((await post(app, "/v1/embeddings", request)).body) for _ in range(2)]
    assert first["data"] == again["data"]
    assert [answer["usage"]["prompt_tokens"] for answer in (first, again)] == [3, 0], "the rest was cached"
    with sqlite3.connect(tmp_path / "data" / FILE) as connection:
        rows = connection.execute("SELECT tool, agent, model, prompt, saved, error FROM calls").fetchall()
    connection.close()
    assert rows == [("embed", "rag", NAMED, 3, 0, ""), ("embed", "rag", NAMED, 0, 0, "")]


async def test_aliases_of_the_settings_reach_every_route(tmp_path: Path) -> None:
    async with app_over(tmp_path) as app:
        for path, body in BODIES.items():
            for model in ("gpt-4o-mini", "gpt-9"):
                answer = json.loads((await post(app, path, {**body, "model": model})).body)
                assert (answer["receipt"]["tier"], answer["model"]) == ("main", model)


async def test_models_are_listed_with_contexts_aliases_and_the_embedding_model(tmp_path: Path) -> None:
    async with app_over(tmp_path) as app:
        listed = json.loads((await ask(app, "GET", "/v1/models", [HOST])).body)["data"]
    assert {model["id"]: model.get("context_length") for model in listed} == {
        "auto": 16384, "small": 4096, "main": 16384, "scripted": 16384, NAMED: None,
        "gpt-4o-mini": 16384, "text-embedding-3-small": None,
    }  # fmt: skip
