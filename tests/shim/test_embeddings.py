"""``/v1/embeddings`` over the real dispatcher: vectors, bounds, refusals, receipts; with OpenAI's client."""

from array import array
from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.scripted.engine import DIMENSIONS, EVERYTHING, ScriptedEngine
from engines.base import Embeddings, Engine, JsonObject, Model
from engines.errors import EngineBusyError
from engines.routing import Router
from tests.shim.fakes import client_of
from tests.shim.test_openai_client import client_of as openai_client_of
from tests.shim.test_pipeline import TIERS, ByBytes
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Receipt
from tools.embed.tool import BATCH, LONGEST_TEXT, MOST_TEXTS
from tools.pipeline.dispatch import Dispatcher

pytestmark = pytest.mark.anyio

EMBEDDINGS = "/v1/embeddings"
TEXTS = ["the disk is full", "the disk is nearly full", "a user signed in"]
NAMED = "scripted-embedding"


class WithEmbeddingModel(SingleEngine):
    async def models(self) -> Sequence[Model]:
        return [*await super().models(), Model(NAMED, "scripted", kind="embedding")]


class Recorded(list[tuple[Call, Receipt, str]]):
    def add(self, call: Call, receipt: Receipt, error: str) -> None:
        self.append((call, receipt, error))


def dispatcher_over(engine: Engine, *, deadline_s: float = 5, recorded: Recorded | None = None) -> Dispatcher:
    record = (Recorded() if recorded is None else recorded).add
    router = Router(TIERS, lambda _tier: engine)
    engines = WithEmbeddingModel(engine)
    return Dispatcher(router, engines, deadline_s=deadline_s, estimator=ByBytes(), record=record)


async def post(dispatcher: Dispatcher, **body: object) -> httpx2.Response:
    async with client_of(dispatcher) as client:
        return await client.post(EMBEDDINGS, json=body, headers={"X-Project": "erp", "X-Agent": "rag"})


@asynccontextmanager
async def openai_over(engine: Engine) -> AsyncGenerator[AsyncOpenAI]:
    async with openai_client_of(dispatcher_over(engine)) as client:
        yield client


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


async def test_the_openai_client_gets_the_vectors_of_its_texts_in_order() -> None:
    async with openai_over(ScriptedEngine()) as client:
        answer = await client.embeddings.create(model="auto", input=TEXTS)
        floats = await client.embeddings.create(model=NAMED, input=TEXTS[2], encoding_format="float")
    vectors = [each.embedding for each in answer.data]
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert likeness(vectors[0], vectors[1]) > 0.5 > likeness(vectors[0], vectors[2])
    assert len(vectors[0]) == DIMENSIONS
    assert floats.data[0].embedding == pytest.approx(vectors[2])
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (13, 13)
    assert (answer.model, floats.model) == ("auto", NAMED)


async def test_base64_is_the_same_numbers_as_little_endian_floats() -> None:
    dispatcher = dispatcher_over(ScriptedEngine())
    packed = (await post(dispatcher, input="a b", encoding_format="base64")).json()["data"][0]["embedding"]
    floats = (await post(dispatcher, input="a b")).json()["data"][0]["embedding"]
    assert list(array("f", b64decode(packed))) == floats


async def test_many_texts_go_to_the_engine_in_batches() -> None:
    class Counting(ScriptedEngine):
        async def embed(self, texts: Sequence[str], *, deadline: float = 0) -> Embeddings:
            sizes.append(len(texts))
            return await super().embed(texts, deadline=deadline)

    sizes: list[int] = []
    texts = [f"text {number}" for number in range(BATCH * 2 + 1)]
    answer = await post(dispatcher_over(Counting()), input=texts)
    assert sizes == [BATCH, BATCH, 1]
    assert len(answer.json()["data"]) == len(texts)
    assert answer.json()["usage"]["prompt_tokens"] == 2 * len(texts)


async def test_the_most_texts_are_taken_and_one_more_is_refused() -> None:
    engine = ScriptedEngine()
    assert (await post(dispatcher_over(engine), input=["a"] * MOST_TEXTS)).status_code == 200
    assert len(engine.embedded) == MOST_TEXTS
    refused = await post(dispatcher_over(engine), input=["a"] * (MOST_TEXTS + 1))
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "input"
    assert len(engine.embedded) == MOST_TEXTS


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({}, "input", "required"),
        ({"input": ""}, "input", "at least 1 character"),
        ({"input": []}, "input", "at least 1 item"),
        ({"input": ["a", ""]}, "input[1]", "at least 1 character"),
        ({"input": ["a", None]}, "input[1]", "valid string"),
        ({"input": "a" * (LONGEST_TEXT + 1)}, "input", str(LONGEST_TEXT)),
        ({"input": ["a", "a" * (LONGEST_TEXT + 1)]}, "input[1]", str(LONGEST_TEXT)),
        ({"input": [1, 2]}, "input", "lists of tokens are not supported"),
        ({"input": [[1, 2], [3]]}, "input", "lists of tokens are not supported"),
        ({"input": "a", "dimensions": 256}, "dimensions", "dimensions is not supported"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "'float' or 'base64'"),
        ({"input": "a", "x_tier": "huge"}, "x_tier", "'main'"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_by_name(fields: JsonObject, param: str, said: str) -> None:
    engine = ScriptedEngine()
    answer = await post(dispatcher_over(engine), **fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert said in error["message"]
    assert engine.embedded == []


async def test_the_longest_text_is_embedded() -> None:
    assert (await post(dispatcher_over(ScriptedEngine()), input="é" * LONGEST_TEXT)).status_code == 200


async def test_an_engine_without_embeddings_says_what_to_do() -> None:
    engine = ScriptedEngine(capabilities=replace(EVERYTHING, embed=False))
    async with openai_over(engine) as client:
        with pytest.raises(BadRequestError, match="no embedding model") as refused:
            await client.embeddings.create(model="auto", input="a")
    assert refused.value.code == "unsupported_feature"
    assert "doctor" in str(refused.value)


async def test_a_chat_model_and_an_unknown_one_make_no_embeddings() -> None:
    async with openai_over(ScriptedEngine(model="chatty")) as client:
        for name in ("chatty", "text-embedding-3-small"):
            with pytest.raises(NotFoundError, match=NAMED):
                await client.embeddings.create(model=name, input="a")


async def test_an_embedding_model_of_another_engine_is_refused() -> None:
    async with openai_over(ScriptedEngine(model="other")) as client:
        with pytest.raises(NotFoundError, match="other-embedding"):
            await client.embeddings.create(model=NAMED, input="a")


async def test_vectors_of_two_models_are_never_in_one_answer() -> None:
    class Changing(ScriptedEngine):
        async def embed(self, texts: Sequence[str], *, deadline: float = 0) -> Embeddings:
            made = await super().embed(texts, deadline=deadline)
            return Embeddings(made.vectors, made.tokens, made.model if len(texts) == BATCH else "another")

    answer = await post(dispatcher_over(Changing()), input=["a"] * (BATCH + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_interrupted")


async def test_a_busy_engine_is_429_and_a_late_one_504() -> None:
    class Busy(ScriptedEngine):
        async def embed(self, texts: Sequence[str], *, deadline: float = 0) -> Embeddings:
            raise EngineBusyError("full", retry_after=3)

    busy = await post(dispatcher_over(Busy()), input="a")
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "3")
    late = await post(dispatcher_over(ScriptedEngine(pace=60), deadline_s=0.01), input="a")
    assert late.status_code == 504


async def test_a_call_is_recorded_and_saves_nothing_because_no_agent_reads_it() -> None:
    recorded = Recorded()
    await post(dispatcher_over(ScriptedEngine(), recorded=recorded), input=TEXTS)
    [(call, receipt, error)] = recorded
    assert (call.tool, call.agent, receipt.project, error) == ("embed", "rag", "erp", "")
    assert (receipt.tier, receipt.engine, receipt.model) == ("small", "scripted", NAMED)
    assert (receipt.tokens.prompt, receipt.tokens.completion, receipt.saved) == (13, 0, 0)


async def test_a_failed_call_is_recorded_and_costs_nothing() -> None:
    recorded = Recorded()
    await post(dispatcher_over(ScriptedEngine(pace=60), recorded=recorded, deadline_s=0.01), input=TEXTS)
    [(_, receipt, error)] = recorded
    assert (receipt.saved, error) == (0, "engine_timeout")


@pytest.mark.parametrize(
    ("fields", "tier"), [({}, "small"), ({"model": "main"}, "main"), ({"x_tier": "main"}, "main")]
)
async def test_a_tier_is_its_engine(fields: JsonObject, tier: str) -> None:
    answer = await post(dispatcher_over(ScriptedEngine()), input="a", **fields)
    assert answer.json()["receipt"]["tier"] == tier


async def test_agents_are_not_offered_the_tool() -> None:
    async with client_of(dispatcher_over(ScriptedEngine())) as client:
        answer = await client.post("/mcp/tools/embed", json={"input": ["a"]})
        listed = (await client.get("/mcp/tools")).json()["tools"]
    assert answer.status_code == 404
    assert [tool["name"] for tool in listed] == ["classify", "extract", "summarize", "chat"]


@pytest.mark.model
async def test_the_embedded_engine_embeds_by_meaning_texts_of_any_length(llamacpp: LlamaCppEngine) -> None:
    model = (await llamacpp.profile()).embedding_model
    texts = ["The disk is full.", "No space is left on the drive.", "She plays the violin.", "word " * 6_000]
    async with openai_client_of(dispatcher_over(llamacpp, deadline_s=60)) as client:
        answer = await client.embeddings.create(model="auto", input=texts)
    full, space, violin, long = (each.embedding for each in answer.data)
    assert likeness(full, space) > likeness(full, violin) + 0.2
    assert likeness(long, long) == pytest.approx(1, abs=0.001)
    assert 6_000 < answer.usage.prompt_tokens < 7_000
    assert answer.model_extra is not None
    assert answer.model_extra["receipt"]["model"] == model
