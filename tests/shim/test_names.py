"""Model names: aliases on every route of ``/v1`` that takes one, and the list of models."""

import pytest

from engines.base import JsonObject, Model
from tests.shim.fakes import MODELS, RECEIPT, FakeDispatcher, client_of
from tests.shim.test_openai import CHAT
from tools.base import Result

pytestmark = pytest.mark.anyio

ALIASES = {"gpt-4o-mini": "main", "gpt-4.1": "gpt-4o-mini", "coder": "erp", "org/tiny": "small"}
ANY = {**ALIASES, "*": "gpt-4.1"}
HI: JsonObject = {"messages": [{"role": "user", "content": "Hi"}]}
EMBEDDED = Result({"vectors": [], "tokens": 0, "model": "mini"}, RECEIPT)
ROUTES: dict[str, JsonObject] = {
    CHAT: HI,
    "/v1/responses": {"input": "Hi"},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("name", "tier"),
    [("gpt-4o-mini", "main"), ("gpt-4.1", "main"), ("org/tiny", "small"), ("small", "small")],
)
async def test_an_alias_stands_for_its_model_on_every_route(route: str, name: str, tier: str) -> None:
    dispatcher = FakeDispatcher(result=EMBEDDED)
    async with client_of(dispatcher, ALIASES) as client:
        answer = await client.post(route, json={**ROUTES[route], "model": name})
    assert answer.status_code == 200
    assert dispatcher.call.tier == tier
    assert answer.json()["model"] == name, "the name the client knows"


@pytest.mark.parametrize("route", ROUTES)
async def test_an_unknown_name_is_refused_unless_there_is_an_alias_for_any(route: str) -> None:
    dispatcher = FakeDispatcher(result=EMBEDDED)
    request: JsonObject = {**ROUTES[route], "model": "claude-x"}
    async with client_of(dispatcher, ALIASES) as client:
        assert (await client.post(route, json=request)).status_code == 404
    async with client_of(dispatcher, ANY) as client:
        assert (await client.post(route, json=request)).status_code == 200
    assert dispatcher.call.tier == "main"


async def test_the_alias_for_any_name_leaves_models_that_exist_alone() -> None:
    dispatcher = FakeDispatcher()
    async with client_of(dispatcher, {"*": "main"}) as client:
        for name in ("org/tiny", "erp", "auto"):
            await client.post(CHAT, json={**HI, "model": name})
    assert [(call.model, call.adapter, call.tier) for call in dispatcher.calls] == [
        ("org/tiny", None, "auto"),
        ("", "erp", "auto"),
        ("", None, "auto"),
    ]


async def test_with_an_alias_for_any_name_engines_are_not_asked_at_every_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dispatcher = FakeDispatcher()
    async with client_of(dispatcher, {"*": "main"}) as client:
        for name in ("gpt-4o", "gpt-5", "gpt-4o"):
            await client.post(CHAT, json={**HI, "model": name})
    assert dispatcher.asked_models == 1
    monkeypatch.setattr("shim.openai.routes.FRESH_S", 0)
    async with client_of(dispatcher, {"*": "main"}) as client:
        await client.post(CHAT, json={**HI, "model": "gpt-5"})
        dispatcher.offered = [*MODELS, Model("gpt-5", "fake")]
        await client.post(CHAT, json={**HI, "model": "gpt-5"})
    assert [call.model for call in dispatcher.calls[-2:]] == ["", "gpt-5"], "a model pulled since is found"


async def test_an_alias_of_a_model_that_nobody_has_is_404_with_the_names() -> None:
    async with client_of(FakeDispatcher(), {"gpt": "gone"}) as client:
        answer = await client.post(CHAT, json={**HI, "model": "gpt"})
        listed = (await client.get("/v1/models")).json()["data"]
    assert answer.status_code == 404
    assert "org/tiny" in answer.json()["error"]["message"]
    assert "gpt" not in [model["id"] for model in listed]


async def test_an_embedding_model_is_for_embeddings_only() -> None:
    dispatcher = FakeDispatcher(offered=[*MODELS, Model("mini", "fake", kind="embedding")], result=EMBEDDED)
    async with client_of(dispatcher, {"text-embedding-3-small": "mini"}) as client:
        embedded = await client.post("/v1/embeddings", json={"input": "a", "model": "text-embedding-3-small"})
        chatted = await client.post(CHAT, json={**HI, "model": "mini"})
    assert embedded.status_code == 200
    assert dispatcher.call.arguments["model"] == "mini"
    assert chatted.status_code == 404


async def test_models_are_listed_with_their_contexts_and_aliases() -> None:
    offered = [Model("org/tiny", "fake", context=8192), Model("erp", "fake", base="org/tiny", context=8192)]
    async with client_of(FakeDispatcher(offered=offered), {**ANY, "org/tiny": "erp"}) as client:
        listed = (await client.get("/v1/models")).json()["data"]
        alias = (await client.get("/v1/models/gpt-4.1")).json()
        unknown = (await client.get("/v1/models/claude-x")).json()
    contexts = {model["id"]: model["context_length"] for model in listed}
    assert contexts == {
        "auto": 16384, "small": 4096, "main": 16384, "org/tiny": 8192, "erp": 8192,
        "gpt-4o-mini": 16384, "gpt-4.1": 16384, "coder": 8192,
    }  # fmt: skip
    assert [model["max_model_len"] for model in listed] == list(contexts.values())
    assert (alias["id"], alias["root"], alias["owned_by"]) == ("gpt-4.1", "main", "local-llm-agent")
    assert (unknown["id"], unknown["root"]) == ("claude-x", "main")
