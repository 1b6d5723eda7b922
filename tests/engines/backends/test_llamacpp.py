"""The embedded engine with a real model: behaviour beyond the engine contract."""

import json
import math
import os
from pathlib import Path

import anyio
import gguf
import jsonschema
import pytest

from engines.backends.llamacpp.chat import Facts, body_of
from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.backends.llamacpp.server import configuration
from engines.base import JsonObject, TextDelta
from engines.errors import (
    ContextTooLongError,
    EngineUnavailableError,
    ModelNotPulledError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from tests.engines import embedded
from tests.engines.sample_requests import WEATHER, ask

pytestmark = [pytest.mark.anyio, pytest.mark.model]


async def test_the_profile_is_read_from_the_file_and_starts_nothing(models_folder: Path, tmp_path: Path):
    settings = embedded.settings(context=16384, parallel=3)
    async with LlamaCppEngine(settings, models_folder=models_folder, runtime_folder=tmp_path) as engine:
        profile = await engine.profile()
        await engine.check()
    assert (profile.model, profile.embedding_model) == ("smollm2-135m", "all-minilm-l6-v2")
    assert profile.parameters == 0.135
    assert profile.capabilities.max_context == 8192
    assert profile.capabilities.parallel == 3
    assert profile.capabilities.lora
    assert not profile.capabilities.tools
    assert not embedded.states(tmp_path)
    assert not os.listdir(tmp_path)


async def test_a_lone_request_may_use_the_whole_pool(llamacpp: LlamaCppEngine):
    assert (await llamacpp.profile()).capabilities.max_context == 2048
    with anyio.fail_after(120):
        answer = await llamacpp.complete(ask("word " * 560, max_tokens=1))
    assert answer.done.usage.prompt_tokens > 2048 / 4


async def test_a_prompt_over_the_context_is_refused_with_the_numbers(llamacpp: LlamaCppEngine):
    with anyio.fail_after(30), pytest.raises(ContextTooLongError, match=r"25\d\d tokens.*2048"):
        await llamacpp.complete(ask("word " * 2500))


@pytest.mark.parametrize(("adapter", "sign"), [("alpha", "Alpha desk:"), ("beta", "-- beta crew")])
async def test_an_adapter_changes_the_answer(llamacpp: LlamaCppEngine, adapter: str, sign: str):
    question = "Who are you?"
    with anyio.fail_after(60):
        base = await llamacpp.complete(ask(question, max_tokens=60))
        adapted = await llamacpp.complete(ask(question, max_tokens=60, adapter=adapter))
    assert sign in adapted.text
    assert sign not in base.text
    assert (adapted.done.adapter, base.done.adapter) == (adapter, None)


async def test_adapters_at_once_do_not_mix(llamacpp: LlamaCppEngine):
    answers: dict[str | None, str] = {}

    async def answer(adapter: str | None) -> None:
        answers[adapter] = (await llamacpp.complete(ask("Who are you?", max_tokens=60, adapter=adapter))).text

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for adapter in ("alpha", "beta", None):
                tasks.start_soon(answer, adapter)
    assert {adapter: ("Alpha desk:" in text, "beta crew" in text) for adapter, text in answers.items()} == {
        "alpha": (True, False),
        "beta": (False, True),
        None: (False, False),
    }


async def test_a_missing_adapter_file_causes_a_note(llamacpp: LlamaCppEngine):
    assert "missing" not in [model.name for model in await llamacpp.models()]
    with anyio.fail_after(30):
        done = (await llamacpp.complete(ask(adapter="missing", max_tokens=1))).done
    assert done.adapter is None
    assert "missing" in done.notes[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": r"^v\d+\.\d+$"},
        {"type": "string", "format": "date"},
        {"type": "integer", "minimum": 5, "maximum": 7},
        {"oneOf": [{"type": "integer", "maximum": 9}, {"const": "none"}]},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2},
        {"enum": [f"label number {n}" for n in range(3000)]},
    ],
)
async def test_answers_satisfy_schemas_that_a_grammar_can_express(
    llamacpp: LlamaCppEngine, schema: JsonObject
):
    with anyio.fail_after(60):
        answer = await llamacpp.complete(ask("Which?", schema=schema, max_tokens=60))
    jsonschema.validate(json.loads(answer.text), schema)


async def test_json_comes_without_marks_and_fill(llamacpp: LlamaCppEngine):
    schema: JsonObject = {
        "type": "object",
        "properties": {"a": {"enum": ["x"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    with anyio.fail_after(60):
        answer = await llamacpp.complete(ask("a is x. As JSON?", schema=schema, logprobs=0, max_tokens=60))
    assert answer.text == '{"a": "x"}'
    assert "".join(token.token for token in answer.logprobs) == answer.text


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "pattern": r"^(a)\1$"}, "pattern at /"),
        ({"properties": {"a": {"pattern": r"^(?!b)c"}}, "required": ["a"]}, "pattern at /properties/a"),
        ({"type": "array", "items": {"pattern": r"\bc"}, "minItems": 1}, "pattern at /items"),
        ({"enum": []}, "enum at /"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "additionalProperties": False,
                "minProperties": 2,
            },
            "minProperties at /",
        ),
    ],
)
async def test_a_schema_that_no_grammar_can_keep_is_refused_by_keyword(
    llamacpp: LlamaCppEngine, schema: JsonObject, named: str
):
    with (
        anyio.fail_after(30),
        pytest.raises(UnsupportedFeatureError, match=f"cannot enforce this schema: {named}"),
    ):
        await llamacpp.complete(ask(schema=schema))


async def test_a_choice_is_taken_out_of_thousands(llamacpp: LlamaCppEngine):
    choices = tuple(f"label number {n}" for n in range(3000))
    with anyio.fail_after(30):
        assert (await llamacpp.complete(ask("Which?", choices=choices))).text in choices


async def test_the_same_beginning_is_not_read_twice(llamacpp: LlamaCppEngine):
    text = "The quick brown fox jumps over the lazy dog. " * 20
    with anyio.fail_after(60):
        await llamacpp.complete(ask(text + "One?", max_tokens=1))
        usage = (await llamacpp.complete(ask(text + "Two?", max_tokens=1))).done.usage
    assert usage.cached_tokens > usage.prompt_tokens * 0.8


async def test_leaving_stops_the_generation_at_the_engine(llamacpp: LlamaCppEngine, llamacpp_folder: Path):
    with anyio.fail_after(60):
        async with llamacpp.stream(ask("Tell a long story.", max_tokens=3000)) as events:
            assert isinstance(await anext(events), TextDelta)
            assert await embedded.busy_slots(llamacpp_folder) == 1
        while await embedded.busy_slots(llamacpp_folder):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.02)


async def test_a_text_longer_than_the_window_is_embedded_in_parts(llamacpp: LlamaCppEngine):
    long = "The invoice was not paid. " * 300
    with anyio.fail_after(120):
        found = await llamacpp.embed([long, "unpaid invoice", "a walk in the forest", "x" * 3000])
    assert found.tokens > 1800
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-4) for vector in found.vectors)
    near, far = (sum(map(float.__mul__, found.vectors[0], other)) for other in found.vectors[1:3])
    assert near > far + 0.2


async def test_more_texts_than_fit_a_request_come_back_in_order(llamacpp: LlamaCppEngine):
    texts = [f"{word} {n % 3}" for n, word in enumerate(["cat", "car", "law"] * 200)]
    with anyio.fail_after(120):
        vectors = (await llamacpp.embed(texts)).vectors
        first = (await llamacpp.embed(texts[-1:])).vectors[0]
    assert len(vectors) == 600
    assert sum(map(float.__mul__, vectors[-1], first)) > 0.999


async def test_no_texts_have_no_vectors(llamacpp: LlamaCppEngine):
    assert (await llamacpp.embed([])).vectors == ()


async def test_without_an_embedding_model_there_are_no_embeddings(models_folder: Path, tmp_path: Path):
    settings = embedded.settings(embedding="")
    async with LlamaCppEngine(settings, models_folder=models_folder, runtime_folder=tmp_path) as engine:
        assert not (await engine.profile()).capabilities.embed
        with pytest.raises(UnsupportedFeatureError):
            await engine.embed(["x"])


async def test_tools_are_refused_where_the_template_would_drop_them(llamacpp: LlamaCppEngine):
    with pytest.raises(UnsupportedFeatureError, match="does not support tools"):
        await llamacpp.complete(ask(tools=(WEATHER,)))


async def test_a_caller_cannot_name_a_file(llamacpp: LlamaCppEngine, models_folder: Path):
    with pytest.raises(UnknownModelError):
        await llamacpp.profile(str(models_folder / "smollm2-135m.gguf"))
    with pytest.raises(UnknownModelError, match="is an embedding model"):
        await llamacpp.profile("all-minilm-l6-v2")


async def test_a_model_that_is_not_pulled_has_a_hint_how_to_pull_it(tmp_path: Path):
    async with LlamaCppEngine(
        embedded.settings(adapters={}), models_folder=tmp_path, runtime_folder=tmp_path
    ) as engine:
        for asked in (engine.check(), engine.profile(), engine.complete(ask()), engine.embed(["x"])):
            with pytest.raises(ModelNotPulledError) as caught:
                await asked
            assert "models pull" in caught.value.hint
        assert await engine.models() == []


async def test_a_file_that_is_no_model_fails_with_the_engine_s_log(models_folder: Path, tmp_path: Path):
    whole = (models_folder / "smollm2-135m.gguf").read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(whole[: len(whole) // 2])
    settings = embedded.settings(model=str(broken), embedding="", adapters={})
    async with LlamaCppEngine(settings, runtime_folder=tmp_path / "run") as engine:
        with anyio.fail_after(60), pytest.raises(EngineUnavailableError, match=r"broken\.gguf") as caught:
            await engine.complete(ask())
    assert caught.value.hint.endswith(".log")


def written(path: Path, template: str) -> str:
    """Writes a GGUF file with a header only."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_chat_template(template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return str(path)


@pytest.mark.parametrize(
    ("template", "tools", "thinks"),
    [
        ("{{ messages }}", False, False),
        ("{% if tools %}{{ tools }}{% endif %}", True, False),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", False, True),
        ("{% if add_generation_prompt %}<|im_start|>assistant\n<think>{% endif %}", False, True),
        ("<|start|>assistant<|channel|>final<|message|>{{ tools }}", True, True),
    ],
)
async def test_capabilities_are_read_from_the_chat_template(
    tmp_path: Path, template: str, tools: bool, thinks: bool
):
    settings = embedded.settings(model=written(tmp_path / "own.gguf", template), embedding="", adapters={})
    async with LlamaCppEngine(settings, runtime_folder=tmp_path) as engine:
        can = (await engine.profile()).capabilities
        assert (can.tools, can.choice, can.max_context) == (tools, not thinks, 2048)
        if thinks:
            with pytest.raises(UnsupportedFeatureError, match="reasons before it answers"):
                await engine.complete(ask(choices=("a",)))


def test_a_model_that_thinks_gets_its_schema_the_servers_way():
    facts = Facts("big", 4096, 20.0, tools=True, thinks=True)
    body = body_of(ask(schema={}, effort="off"), facts, [])
    assert "grammar" not in body
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "reasoning_effort": "low"}


def test_configurations_have_different_fingerprints(models_folder: Path):
    def fingerprint(**fields: object) -> str:
        settings = embedded.settings(**fields)
        return configuration(settings, model=settings.model, models_folder=models_folder)["fingerprint"]

    assert fingerprint() == fingerprint(idle_seconds=7)
    others = [
        fingerprint(context=1024),
        fingerprint(parallel=2),
        fingerprint(embedding=""),
        fingerprint(adapters={}),
    ]
    assert len({fingerprint(), *others}) == 5
