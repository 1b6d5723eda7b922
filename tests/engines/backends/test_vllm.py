from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from engines.backends.openai_json import STREAMED
from engines.backends.vllm.engine import VllmEngine
from engines.base import (
    Completion,
    Engine,
    JsonObject,
    Message,
    Model,
    Request,
    Tags,
    TextDelta,
    ToolCall,
    Usage,
)
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineInterruptedError,
    EngineTimeoutError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.settings import VllmSettings
from tests.vllm.double import Double, chunk, doubled, usage

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]

BASE = "smollm2-135m"
PATHS = {name: f"/adapters/{name}" for name in ("alpha", "beta", "gamma")}


def ask(text: str = "Who are you?", **fields: object) -> Request:
    return Request((Message("user", text),), **{"max_tokens": 16, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def engine_for(double: Double, *, adapters: dict[str, str] = PATHS, **settings: object):
    with anyio.fail_after(5):
        async with doubled(double):
            chosen = VllmSettings(url=double.url, adapters=adapters, **settings)  # type: ignore[arg-type]
            async with VllmEngine(chosen) as engine:
                yield engine


@pytest.fixture
def double() -> Double:
    return Double()


@pytest.fixture
async def vllm(double: Double) -> AsyncGenerator[VllmEngine]:
    async with engine_for(double) as engine:
        yield engine


def refusal(message: str, code: int = 400) -> JsonObject:
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": code}}


# Requests


async def test_a_chat_names_model_limits_and_priority(vllm: VllmEngine, double: Double, way: str):
    await vllm.complete(ask(tags=Tags(tier="main"), seed=7, stop=("END",)))
    assert double.asked == [
        {
            "model": BASE,
            "messages": [{"role": "user", "content": "Who are you?"}],
            "max_tokens": 16,
            "temperature": 0.0,
            "seed": 7,
            "stop": ["END"],
            "priority": 1,
        }
        | (STREAMED if way == "streamed" else {})
    ]


async def test_the_small_tier_goes_first(vllm: VllmEngine, double: Double):
    await vllm.complete(ask(tags=Tags(tier="small")))
    assert double.asked[0]["priority"] == 0


async def test_a_server_that_refuses_priorities_is_sent_none_from_then_on(vllm: VllmEngine, double: Double):
    double.say(refusal("Got priority 1 but Priority scheduling is not enabled."), status=400)
    assert (await vllm.complete(ask())).text == f"{BASE} speaking"
    await vllm.complete(ask())
    assert ["priority" in body for body in double.asked] == [True, False, False]


async def test_priorities_refused_to_several_at_once_are_dropped_for_all(vllm: VllmEngine, double: Double):
    refused = refusal("Got priority 1 but Priority scheduling is not enabled.")
    for _ in range(3):
        double.say(refused, status=400)
    async with anyio.create_task_group() as asking:
        for _ in range(3):
            asking.start_soon(vllm.complete, ask())
    assert len(double.asked) == 6


async def test_choices_go_as_structured_outputs(vllm: VllmEngine, double: Double):
    await vllm.complete(ask(choices=("bug", "feature"), logprobs=50))
    sent = double.asked[0]
    assert sent["structured_outputs"] == {"choice": ["bug", "feature"]}
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 20)


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({}, {"type": "json_object"}),
        (
            {"type": "array"},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "array"}}},
        ),
    ],
)
async def test_a_schema_goes_as_response_format(
    vllm: VllmEngine, double: Double, schema: JsonObject, sent: JsonObject
):
    await vllm.complete(ask(schema=schema))
    assert double.asked[0]["response_format"] == sent


async def test_thinking_is_switched_off_where_it_can_be_and_kept_low_elsewhere(
    vllm: VllmEngine, double: Double
):
    await vllm.complete(ask(effort="off"))
    sent = double.asked[0]
    assert (sent["reasoning_effort"], sent["chat_template_kwargs"]) == ("low", {"enable_thinking": False})


async def test_max_tokens_is_limited_to_the_model_s_context(vllm: VllmEngine, double: Double):
    await vllm.complete(ask(max_tokens=100_000))
    assert double.asked[0]["max_tokens"] == 4096


async def test_the_api_key_goes_along():
    double = Double(api_key="secret")
    async with engine_for(double, api_key="secret") as vllm:
        assert (await vllm.complete(ask())).text
    async with engine_for(double) as vllm:
        with pytest.raises(EngineUnavailableError, match="401"):
            await vllm.check()


# Answers


async def test_an_answer_names_engine_model_and_usage(vllm: VllmEngine):
    answer = await vllm.complete(ask())
    assert (answer.text, answer.done.engine, answer.done.model) == (f"{BASE} speaking", "vllm", BASE)
    assert (answer.done.adapter, answer.done.usage, answer.done.notes) == (None, Usage(5, 2), ())


async def test_reasoning_is_not_part_of_the_text(vllm: VllmEngine, double: Double):
    double.say(
        chunk({"reasoning": "Let me see."}),
        chunk({"content": "<think>Who am"}),
        chunk({"content": " I?</think>\nA model."}, "stop"),
        usage(),
    )
    assert (await vllm.complete(ask())).text == "A model."


async def test_tool_calls_are_put_together_from_their_pieces(vllm: VllmEngine, double: Double):
    def piece(**call: object) -> JsonObject:
        return chunk({"content": None, "tool_calls": [{"index": 0, **call}]})  # type: ignore[dict-item]

    double.say(
        piece(id="c1", type="function", function={"name": "look"}),
        piece(function={"arguments": '{"at"'}),
        piece(function={"arguments": ': "it"}'}),
        chunk({}, "tool_calls"),
        usage(),
    )
    answer = await vllm.complete(ask(tools=({"type": "function"},)))
    assert answer.tool_calls == (ToolCall("c1", "look", '{"at": "it"}'),)
    assert answer.done.finish_reason == "tool_calls"


async def test_a_tool_required_by_name_is_strict_and_ends_with_tool_calls(vllm: VllmEngine, double: Double):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    double.say(chunk({"content": None, "tool_calls": [call]}), chunk({}, "stop"), usage())  # type: ignore[list-item]
    tool: JsonObject = {"type": "function", "function": {"name": "look"}}
    answer = await vllm.complete(ask(tools=(tool,), tool_choice=tool))
    assert answer.done.finish_reason == "tool_calls"
    assert double.asked[0]["tools"] == [{"type": "function", "function": {"name": "look", "strict": True}}]


def likely(*tokens: str) -> JsonObject:
    return {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []} for token in tokens]}


@pytest.mark.parametrize(
    "end",
    [
        [chunk({"content": "é"}, logprobs=likely("é")), chunk({}, "stop", logprobs=likely("<|im_end|>"))],
        [chunk({"content": "é"}, "stop", logprobs=likely("é", "<|im_end|>"))],
        [chunk({"content": "é"}, "stop", logprobs=likely("é"))],
        [chunk({"content": "é"}, "length", logprobs=likely("é"))],
    ],
)
async def test_logprobs_exclude_the_end_token(vllm: VllmEngine, double: Double, end: list[JsonObject]):
    double.say(chunk({"content": ""}), chunk({}, logprobs=likely("")), *end, usage())
    async with vllm.stream(ask(logprobs=0)) as events:
        pieces = [event async for event in events if isinstance(event, TextDelta)]
    tokens = [(piece.text, [token.token for token in piece.logprobs]) for piece in pieces]
    assert tokens == [("", [""]), ("é", ["é"])]


@pytest.mark.parametrize(
    ("message", "error", "match"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 "
            "input tokens, which exceeds this limit even without any output tokens.",
            ContextTooLongError,
            "at least 4097 tokens, the model takes 4096",
        ),
        ('Grammar error: Unimplemented keys: ["uniqueItems"]', UnsupportedFeatureError, "uniqueItems"),
        ("Grammar error: Unknown format: path", UnsupportedFeatureError, "format: path"),
        (
            "Failed to transform json schema into a regex: Unsupported JSON Schema structure false",
            UnsupportedFeatureError,
            "structure false",
        ),
        (
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
            UnsupportedFeatureError,
            "--tool-call-parser",
        ),
        ("temperature must be non-negative, got -5.0.", RequestRefusedError, "non-negative"),
    ],
)
async def test_each_refusal_becomes_its_error(
    vllm: VllmEngine, double: Double, message: str, error: type[AgentError], match: str
):
    double.say(refusal(message), status=400)
    with pytest.raises(error, match=match):
        await vllm.complete(ask())


async def test_an_engine_that_died_behind_its_server_is_retryable(vllm: VllmEngine, double: Double):
    died = refusal("EngineCore encountered an issue. See stack trace (above) for the root cause.", 500)
    double.say(died, status=500)
    with pytest.raises(EngineUnavailableError):
        await vllm.complete(ask())
    double.say(chunk({"content": "I"}), died)
    with pytest.raises(EngineUnavailableError):
        await vllm.complete(ask())


async def test_a_connection_that_breaks_in_the_middle_is_an_interruption(vllm: VllmEngine, double: Double):
    double.say(chunk({"content": "I"}), cut=True)
    with pytest.raises(EngineInterruptedError):
        await vllm.complete(ask())


async def test_an_answer_that_stalls_ends_at_the_deadline(vllm: VllmEngine, double: Double):
    double.say(chunk({"content": "I"}), hold=True)
    with pytest.raises(EngineTimeoutError):
        await vllm.complete(ask(deadline=anyio.current_time() + 0.1))
    await double.left.wait()


async def test_leaving_a_stream_stops_it_at_the_server(vllm: VllmEngine, double: Double):
    double.say(chunk({"content": "I"}), hold=True)
    async with vllm.stream(ask()) as events:
        await anext(events)
    await double.left.wait()


# Models and profile


async def test_the_profile_is_the_default_models(vllm: VllmEngine):
    profile = await vllm.profile()
    assert (profile.model, profile.parameters) == (BASE, 0.135)
    assert (profile.capabilities.max_context, profile.capabilities.embed) == (4096, False)


async def test_the_list_of_models_is_asked_for_once(vllm: VllmEngine, double: Double):
    for _ in range(3):
        await vllm.profile()
        await vllm.complete(ask())
    assert double.listed == 1


async def test_a_server_without_a_reported_context_gets_the_default(double: Double):
    double.max_model_len = None
    async with engine_for(double) as vllm:
        assert (await vllm.profile()).capabilities.max_context == 4096


async def test_an_adapter_as_model_has_its_bases_context(vllm: VllmEngine, double: Double):
    double.adapters["alpha"] = PATHS["alpha"]
    assert (await vllm.profile("alpha")).capabilities.max_context == 4096


async def test_models_are_those_served_and_adapters_that_could_be(vllm: VllmEngine, double: Double):
    double.adapters["static"] = "/elsewhere"
    assert await vllm.models() == [
        Model(BASE, "vllm", loaded=True),
        Model("static", "vllm", BASE, loaded=True),
        *(Model(name, "vllm", BASE) for name in PATHS),
    ]


async def test_a_model_it_lacks_is_an_error_that_names_those_it_has(vllm: VllmEngine):
    with pytest.raises(UnknownModelError, match="gpt-9") as caught:
        await vllm.complete(ask(model="gpt-9"))
    assert BASE in caught.value.hint


async def test_a_server_restarted_with_another_model_is_listed_again(vllm: VllmEngine, double: Double):
    await vllm.complete(ask())
    double.base = "other"
    with pytest.raises(UnknownModelError):
        await vllm.complete(ask())
    assert (await vllm.complete(ask())).done.model == "other"


async def test_tokens_are_counted_by_the_server(vllm: VllmEngine):
    assert await vllm.count_tokens("three short words") == 3


async def test_it_embeds_nothing(vllm: VllmEngine):
    with pytest.raises(UnsupportedFeatureError):
        await vllm.embed(["text"])


async def test_no_server_at_the_address_is_unavailable():
    double = Double()
    async with engine_for(double):
        pass
    async with VllmEngine(VllmSettings(url=double.url)) as vllm:
        for attempt in (vllm.check(), vllm.profile(), vllm.complete(ask())):
            with pytest.raises(EngineUnavailableError, match="vLLM"):
                await attempt


async def test_another_server_at_the_address_is_no_vllm(double: Double):
    async with engine_for(double) as engine:
        async with VllmEngine(VllmSettings(url=f"{double.root}/elsewhere/v1")) as vllm:
            with pytest.raises(EngineUnavailableError, match="no vLLM at"):
                await vllm.check()
        await engine.check()


# Adapters


async def say(engine: Engine, adapter: str | None) -> Completion:
    return await engine.complete(ask(adapter=adapter))


async def test_an_adapter_is_a_model_name(vllm: VllmEngine, double: Double):
    double.adapters["static"] = "/elsewhere"
    answer = await say(vllm, "static")
    assert (answer.text, answer.done.model, answer.done.adapter) == ("static speaking", BASE, "static")
    assert double.managed == []


async def test_an_adapter_of_the_settings_is_loaded_when_first_asked_for(vllm: VllmEngine, double: Double):
    for _ in range(2):
        answer = await say(vllm, "alpha")
        assert (answer.text, answer.done.adapter, answer.done.notes) == ("alpha speaking", "alpha", ())
    assert double.managed == ["load alpha"]


async def test_many_that_need_the_same_adapter_load_it_once(vllm: VllmEngine, double: Double):
    async with anyio.create_task_group() as asking:
        for _ in range(5):
            asking.start_soon(say, vllm, "alpha")
    assert double.managed == ["load alpha"]


async def test_the_least_recently_used_adapter_is_unloaded(double: Double):
    async with engine_for(double, max_loras=2) as vllm:
        for adapter in ("alpha", "beta", "alpha", "gamma"):
            await say(vllm, adapter)
    assert double.managed == ["load alpha", "load beta", "unload beta", "load gamma"]
    assert set(double.adapters) == {"alpha", "gamma"}


async def test_an_adapter_in_use_is_not_unloaded(double: Double):
    async with engine_for(double, max_loras=1) as vllm:
        double.say(chunk({"content": "I"}), hold=True)
        double.adapters["alpha"] = PATHS["alpha"]
        async with vllm.stream(ask(adapter="alpha")) as events:
            await anext(events)
            assert (await say(vllm, "beta")).done.adapter == "beta"
            assert set(double.adapters) == {"alpha", "beta"}
        assert (await say(vllm, "gamma")).done.adapter == "gamma"
    assert set(double.adapters) == {"gamma"}


async def test_adapters_the_settings_do_not_name_are_left_alone(double: Double):
    double.adapters |= {"static": "/elsewhere", "other": "/elsewhere"}
    async with engine_for(double, max_loras=1) as vllm:
        await say(vllm, "alpha")
        await say(vllm, "beta")
    assert set(double.adapters) == {"static", "other", "beta"}


async def test_an_adapter_that_vanished_is_loaded_again(vllm: VllmEngine, double: Double):
    await say(vllm, "alpha")
    double.adapters.clear()
    assert (await say(vllm, "alpha")).text == "alpha speaking"
    assert double.managed == ["load alpha"] * 2


@pytest.mark.parametrize(
    ("server", "adapter", "why"),
    [
        (Double(), "erp", "has no path"),
        (Double(paths=()), "alpha", "No adapter found"),
        (Double(lora=False), "alpha", "--enable-lora"),
        (Double(updating=False), "alpha", "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
    ],
)
async def test_an_adapter_that_cannot_be_loaded_falls_back_with_a_note(
    server: Double, adapter: str, why: str
):
    async with engine_for(server) as vllm:
        answer = await say(vllm, adapter)
    assert (answer.text, answer.done.adapter) == (f"{BASE} speaking", None)
    assert len(answer.done.notes) == 1
    assert f"no adapter '{adapter}', used the base model" in answer.done.notes[0]
    assert why in answer.done.notes[0]


async def test_loading_is_not_tried_again_at_once(double: Double):
    double.updating = False
    async with engine_for(double) as vllm:
        first, second = [(await say(vllm, "alpha")).done.notes for _ in range(2)]
    assert first == second
    assert double.managed == ["load alpha"]


async def test_an_adapter_another_process_just_loaded_is_taken_as_loaded(vllm: VllmEngine, double: Double):
    double.hidden.add("alpha")
    double.adapters["alpha"] = PATHS["alpha"]
    double.say(refusal("The model `alpha` does not exist.", 404), status=404)
    answer = await say(vllm, "alpha")
    assert (answer.done.adapter, double.managed) == ("alpha", ["load alpha"])


async def test_a_server_that_dies_while_loading_is_an_error_and_no_missing_adapter(double: Double):
    async with engine_for(double) as vllm:
        await say(vllm, None)
        double.loading_breaks = True
        with pytest.raises(EngineUnavailableError):
            await say(vllm, "alpha")
