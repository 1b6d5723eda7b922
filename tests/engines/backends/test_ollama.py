import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from itertools import chain

import anyio
import pytest

from engines.backends.ollama.engine import OllamaEngine
from engines.base import (
    Done,
    Effort,
    JsonObject,
    JsonValue,
    Message,
    Model,
    Request,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineTimeoutError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.settings import OllamaSettings
from tests.engines.ollama_replay import Replay, recording, serving

pytestmark = pytest.mark.anyio

CAPITAL = "What is the capital of France? Answer in one word."
PLACE = "Describe the place as JSON. Place: Paris."
PLACE_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "kind": {"type": "string", "enum": ["capital", "village"]},
    },
    "required": ["city", "kind"],
    "additionalProperties": False,
}
WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(text: str = CAPITAL, **fields: object) -> Request:
    return Request((Message("user", text),), **{"max_tokens": 16, "seed": 1, **fields})  # type: ignore[arg-type]


def line(content: str = "", *, done: bool = False, **fields: JsonValue) -> JsonObject:
    """Returns a hand-written line of ``/api/chat``."""
    message: JsonObject = {"role": "assistant", "content": content}
    if "thinking" in fields:
        message["thinking"] = fields.pop("thinking")
    return {"model": "smollm2", "message": message, "done": done, **fields}


def end(reason: str = "stop") -> JsonObject:
    return line(done=True, done_reason=reason, prompt_eval_count=5, eval_count=3)


def engine_at(url: str, *, model: str = "smollm2", embedding: str = "", context: int = 2048) -> OllamaEngine:
    return OllamaEngine(OllamaSettings(url=url, model=model, embedding=embedding), context=context)


@pytest.fixture
async def replay() -> AsyncGenerator[Replay]:
    with anyio.fail_after(5):
        async with serving() as server:
            yield server


@pytest.fixture
async def ollama(replay: Replay) -> AsyncGenerator[OllamaEngine]:
    async with engine_at(replay.url) as engine:
        yield engine


# Requests


async def test_every_chat_names_one_context_and_forbids_cutting(ollama: OllamaEngine, replay: Replay):
    await ollama.complete(ask())
    assert replay.asked == [
        {
            "model": "smollm2",
            "messages": [{"role": "user", "content": CAPITAL}],
            "stream": True,
            "truncate": False,
            "shift": False,
            "keep_alive": "30m",
            "options": {"num_ctx": 2048, "num_predict": 16, "temperature": 0.0, "seed": 1},
        }
    ]


async def test_a_context_the_model_was_not_trained_for_is_not_asked_for(replay: Replay):
    async with engine_at(replay.url, context=100_000) as ollama:
        await ollama.complete(ask())
        assert (await ollama.profile()).capabilities.max_context == 8192
    assert replay.asked[0]["options"] == {"num_ctx": 8192, "num_predict": 16, "temperature": 0.0, "seed": 1}


async def test_stop_strings_of_a_request_join_those_of_the_model(ollama: OllamaEngine, replay: Replay):
    await ollama.complete(ask(stop=("\n\n",), top_p=0.5, temperature=0.7))
    assert replay.asked[0]["options"] == {
        "num_ctx": 2048,
        "num_predict": 16,
        "temperature": 0.7,
        "top_p": 0.5,
        "seed": 1,
        "stop": ["\n\n", "<|im_start|>", "<|im_end|>"],
    }


@pytest.mark.parametrize(
    ("architecture", "effort", "think", "thinking_tokens"),
    [
        ("qwen3", "off", False, 0),
        ("qwen3", "low", True, 512),
        ("qwen3", None, True, 2048),
        ("gptoss", "off", "low", 512),
        ("gptoss", "medium", "medium", 2048),
        ("gptoss", None, "medium", 2048),
    ],
)
async def test_effort_becomes_think_and_thinking_tokens(
    replay: Replay, architecture: str, effort: Effort | None, think: object, thinking_tokens: int
):
    info: JsonObject = {"general.architecture": architecture, f"{architecture}.context_length": 131072}
    replay.install("thinker", capabilities=["completion", "thinking"], model_info=info)
    replay.say(line("Paris"), end())
    async with engine_at(replay.url, model="thinker", context=16384) as ollama:
        await ollama.complete(ask(effort=effort))
    options = replay.asked[0]["options"]
    assert replay.asked[0]["think"] == think
    assert isinstance(options, dict)
    assert options["num_predict"] == 16 + thinking_tokens


async def test_a_model_that_cannot_think_is_not_asked_to(ollama: OllamaEngine, replay: Replay):
    await ollama.complete(ask(effort="high"))
    assert "think" not in replay.asked[0]


async def test_tool_results_carry_the_name_of_their_tool(replay: Replay):
    async with engine_at(replay.url, model="smollm2-tools") as ollama:
        await ollama.complete(weather())
    messages = replay.asked[0]["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call_0", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
    }
    assert messages[2] == {
        "role": "tool",
        "content": "sunny",
        "tool_call_id": "call_0",
        "tool_name": "get_weather",
    }


async def test_no_tools_are_sent_when_none_may_be_called(ollama: OllamaEngine, replay: Replay):
    await ollama.complete(ask(tools=(WEATHER,), tool_choice="none"))
    assert "tools" not in replay.asked[0]


@pytest.mark.parametrize("wish", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_required_tool_call_is_refused(ollama: OllamaEngine, wish: JsonValue):
    with pytest.raises(UnsupportedFeatureError, match="cannot force a tool call"):
        await ollama.complete(ask(tools=(WEATHER,), tool_choice=wish))


@pytest.mark.parametrize("arguments", ["{", "[1]"])
async def test_arguments_that_are_no_object_are_refused(ollama: OllamaEngine, arguments: str):
    call = Message("assistant", "", (ToolCall("call_0", "get_weather", arguments),))
    with pytest.raises(RequestRefusedError, match="not a JSON object"):
        await ollama.complete(Request((call,), max_tokens=5))


# Answers


async def test_a_stream_comes_piece_by_piece_and_ends_with_its_counters(ollama: OllamaEngine):
    """Recording chat_stream."""
    async with ollama.stream(ask()) as events:
        *pieces, done = [event async for event in events]
    assert pieces == [TextDelta(t) for t in ("The", " capital", " of", " France", " is", " Paris", ".")]
    assert done == Done("stop", Usage(21, 8), engine="ollama", model="smollm2")


async def test_an_answer_cut_by_the_limit_has_finish_reason_length(ollama: OllamaEngine):
    """Recording chat_length_stream."""
    answer = await ollama.complete(ask("Write a long story about a fox and a crow.", max_tokens=8))
    assert (answer.text, answer.done.finish_reason) == ("Once upon a time, in a land", "length")


async def test_a_schema_is_sent_as_format(ollama: OllamaEngine, replay: Replay):
    """Recording format_schema_enum_stream."""
    answer = await ollama.complete(ask(PLACE, schema=PLACE_SCHEMA, max_tokens=80))
    assert json.loads(answer.text) == {"city": "Paris", "kind": "capital"}
    assert replay.asked[0]["format"] == PLACE_SCHEMA


async def test_json_cut_by_the_limit_comes_back_as_it_is(ollama: OllamaEngine):
    """Recording format_schema_cut: the caller validates the answer against the schema."""
    answer = await ollama.complete(ask(PLACE, schema=PLACE_SCHEMA, max_tokens=6))
    assert (answer.text, answer.done.finish_reason) == ('{\n  "city": "', "length")


async def test_what_the_grammar_dropped_comes_back_as_it_is(ollama: OllamaEngine):
    """Recording format_schema_lookahead."""
    schema: JsonObject = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(?=x)xyz$", "maxLength": 10}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert json.loads((await ollama.complete(ask(PLACE, schema=schema))).text) == {"a": "Paris"}


async def test_an_empty_schema_means_any_object(ollama: OllamaEngine):
    """Recording format_json."""
    answer = await ollama.complete(ask('Repeat this JSON: {"a": 1}', schema={}, max_tokens=60))
    assert json.loads(answer.text) == {"a": 1, "b": 2, "c": 3}


async def test_logprobs_come_with_their_pieces(ollama: OllamaEngine):
    """Recording logprobs_stream."""
    answer = await ollama.complete(ask(logprobs=3, max_tokens=4))
    assert [p.token for p in answer.logprobs] == ["The", " capital", " of", " France"]
    assert [token for token, _ in answer.logprobs[0].top] == ["The", "I", "Paris"]
    assert answer.logprobs[0].logprob == pytest.approx(-1.4017, abs=1e-4)


async def test_no_more_alternatives_are_asked_for_than_ollama_gives(ollama: OllamaEngine, replay: Replay):
    """Recording logprobs_bad_400 is what 21 would get."""
    replay.play("logprobs_stream")
    await ollama.complete(ask(logprobs=100))
    assert (replay.asked[0]["logprobs"], replay.asked[0]["top_logprobs"]) == (True, 20)


def weather(model: str = "") -> Request:
    """The conversation of the recordings tools_call*."""
    past = [("Paris", "sunny"), ("Berlin", "cloudy"), ("Madrid", "windy")]
    turns = (
        (
            Message("user", f"Weather in {city}?"),
            Message("assistant", "", (ToolCall(f"call_{i}", "get_weather", f'{{"city": "{city}"}}'),)),
            Message("tool", sky, tool_call_id=f"call_{i}"),
            Message("assistant", f"It is {sky} in {city}."),
        )
        for i, (city, sky) in enumerate(past)
    )
    messages = (*chain.from_iterable(turns), Message("user", "Weather in Rome?"))
    return Request(messages, max_tokens=60, seed=1, tools=(WEATHER,), model=model)


async def test_a_tool_call_comes_as_json_text(replay: Replay):
    """Recording tools_call_stream."""
    async with engine_at(replay.url) as ollama, ollama.stream(weather("smollm2-tools")) as events:
        call, done = [event async for event in events]
    assert call == ToolCallDelta(0, "call_jt1ndggs", "get_weather", '{"city": "Rome"}')
    assert isinstance(done, Done)
    assert done.finish_reason == "tool_calls"


async def test_a_tool_call_ollama_did_not_recognise_stays_text(ollama: OllamaEngine, replay: Replay):
    """Recording tools_call_as_text."""
    replay.install("smollm2-tools-text", "show_tools")
    answer = await ollama.complete(weather("smollm2-tools-text"))
    assert (answer.tool_calls, answer.done.finish_reason) == ((), "stop")
    assert answer.text.startswith("<tool_call>")


async def test_calls_in_several_lines_are_numbered_on(ollama: OllamaEngine, replay: Replay):
    """By hand: older servers give no id, and count from 0 in each line."""
    for city in ("Rome", "Oslo"):
        call: JsonObject = {"function": {"index": 0, "name": "get_weather", "arguments": {"city": city}}}
        content: JsonObject = {"role": "assistant", "content": "", "tool_calls": [call]}
        replay.say({"message": content}, {"message": content}, end())
    calls = (await ollama.complete(ask())).tool_calls
    assert [call.arguments for call in calls] == ['{"city": "Rome"}'] * 2
    assert len({call.id for call in calls}) == 2


# Choices


async def test_a_choice_comes_without_its_quotes_in_one_piece(ollama: OllamaEngine, replay: Replay):
    """By hand: the JSON string of an enum, token by token."""
    replay.say(line('"'), line("feature"), line(' \\"x\\"'), line('"'), end())
    async with ollama.stream(ask(choices=("bug", 'feature "x"'))) as events:
        text, done = [event async for event in events]
    assert text == TextDelta('feature "x"')
    assert isinstance(done, Done)
    assert replay.asked[0]["format"] == {"type": "string", "enum": ["bug", 'feature "x"']}


@pytest.mark.parametrize("content", ["bug", '"bug"', ' "bug"\n', '"bug'])
async def test_a_choice_is_read_with_or_without_quotes(ollama: OllamaEngine, replay: Replay, content: str):
    """By hand: bare where ``format`` was ignored, unfinished where the limit came first."""
    replay.say(line(content), end())
    assert (await ollama.complete(ask(choices=("bug", "feature")))).text == "bug"


async def test_the_tokens_of_a_choice_lose_their_quotes_too(ollama: OllamaEngine, replay: Replay):
    """By hand."""

    def token(text: str, *top: str) -> JsonValue:
        return [
            {
                "token": text,
                "logprob": -0.1,
                "top_logprobs": [{"token": t, "logprob": -0.1 * i} for i, t in enumerate(top, 1)],
            }
        ]

    replay.say(
        line('"', logprobs=token('"', '"', "The")),
        line("bug", logprobs=token("bug", "bug", "fe")),
        line('"', logprobs=token('"')),
        end(),
    )
    answer = await ollama.complete(ask(choices=("bug", "feature"), logprobs=2))
    assert [(p.token, p.top) for p in answer.logprobs] == [("bug", (("bug", -0.1), ("fe", -0.2)))]


# Reasoning


async def test_reasoning_is_never_part_of_the_answer(ollama: OllamaEngine, replay: Replay):
    """By hand, after Ollama's api/types.go: reasoning has its own field."""
    thought: list[JsonValue] = [{"token": "Hm", "logprob": -1.0}]
    replay.say(
        line(thinking="Hm", logprobs=thought),
        line("Paris", logprobs=[{"token": "Paris", "logprob": -2}]),
        end(),
    )
    answer = await ollama.complete(ask(logprobs=0))
    assert answer.text == "Paris"
    assert [p.token for p in answer.logprobs] == ["Paris"]


async def test_reasoning_left_in_the_text_is_removed(ollama: OllamaEngine, replay: Replay):
    """By hand: a model imported without a reasoning template."""
    replay.say(line("<th"), line("ink>\nIs it Lyon?"), line("</think>"), line("Paris"), line("."), end())
    assert (await ollama.complete(ask())).text == "Paris."


async def test_truncated_reasoning_is_no_answer(ollama: OllamaEngine, replay: Replay):
    replay.say(line("<think>Is it"), line(" Lyon"), end("length"))
    answer = await ollama.complete(ask())
    assert (answer.text, answer.done.finish_reason) == ("", "length")


async def test_a_text_that_only_starts_like_reasoning_is_kept(ollama: OllamaEngine, replay: Replay):
    replay.say(line("<"), line("thin>"), end())
    assert (await ollama.complete(ask())).text == "<thin>"
    replay.say(line("<t"), end())
    assert (await ollama.complete(ask())).text == "<t"


# Errors


@pytest.mark.parametrize(
    ("name", "expected", "message"),
    [
        ("chat_unknown_model_stream_404", UnknownModelError, "no model 'smollm2'"),
        ("busy_503_stream", EngineBusyError, "maximum pending requests"),
        ("truncate_false_stream", ContextTooLongError, "1522 tokens, the context of the model 512"),
        ("shift_false", ContextTooLongError, "longer than the context"),
        ("format_schema_bad_ref_stream", UnsupportedFeatureError, r"cannot resolve \$ref #/\$defs/none"),
        ("format_schema_bad_type", UnsupportedFeatureError, "unrecognized type objekt"),
        ("tools_unsupported_400", UnsupportedFeatureError, "does not support tools"),
        ("think_unsupported_400", UnsupportedFeatureError, "does not support thinking"),
        ("chat_keep_alive_bad_400", RequestRefusedError, "invalid duration"),
        ("logprobs_bad_400", RequestRefusedError, "top_logprobs"),
        ("chat_bad_option", EngineUnavailableError, "must be of type integer"),
        ("path_unknown_404", EngineUnavailableError, "not Ollama"),
        ("method_wrong", EngineUnavailableError, "not Ollama"),
        ("v1_bad_ref_400", UnsupportedFeatureError, r"cannot resolve \$ref"),
        ("runner_killed_stream", EngineInterruptedError, "stopped in the middle"),
        ("token_repeat_abort_stream", EngineInterruptedError, "without finishing"),
        ("token_repeat_abort", EngineInterruptedError, "without finishing"),
        ("index", EngineProtocolError, "cannot be read"),
    ],
)
async def test_each_failure_becomes_its_error(
    ollama: OllamaEngine, replay: Replay, name: str, expected: type[AgentError], message: str
):
    replay.play(name)
    with pytest.raises(AgentError, match=message) as caught:
        await ollama.complete(ask())
    assert type(caught.value) is expected


async def test_a_refusal_is_raised_on_entering_the_stream(ollama: OllamaEngine, replay: Replay):
    replay.play("busy_503_stream")
    with pytest.raises(EngineBusyError):
        async with ollama.stream(ask()):
            pytest.fail("the stream opened")


async def test_a_missing_model_is_known_before_it_is_asked(ollama: OllamaEngine, replay: Replay):
    """Recording show_unknown_404."""
    with pytest.raises(UnknownModelError) as caught:
        await ollama.complete(ask(model="nope:1b"))
    assert caught.value.hint == "ollama pull nope:1b"
    assert replay.asked == []


@pytest.mark.parametrize("content", ["[]", '"text"', '{"done": true}', '{"message": {"content": 5}}'])
async def test_a_line_that_makes_no_sense_is_a_protocol_error(
    ollama: OllamaEngine, replay: Replay, content: str
):
    replay.say(json.loads(content))
    with pytest.raises(EngineProtocolError):
        await ollama.complete(ask())


async def test_a_connection_that_breaks_in_the_middle_is_an_interruption(
    ollama: OllamaEngine, replay: Replay
):
    replay.play("disconnect_stream", cut=True)
    with pytest.raises(EngineInterruptedError) as caught:
        await ollama.complete(ask())
    assert caught.value.retryable
    assert (await ollama.complete(ask())).text == "The capital of France is Paris."


async def test_a_server_that_is_not_there_costs_no_import():
    """As in recording connection_refused; in a separate process, to check its imports."""
    async with serving() as gone:
        url = gone.url
    code = f"""if True:
        import sys, anyio
        from engines.backends.ollama.engine import OllamaEngine
        from engines.errors import EngineUnavailableError
        from engines.settings import OllamaSettings

        async def main():
            async with OllamaEngine(OllamaSettings(url={url!r}), context=512) as ollama:
                try:
                    await ollama.check()
                except EngineUnavailableError as error:
                    print(error.hint, "httpx" in sys.modules, "ollama" in sys.modules)

        anyio.run(main)
    """
    with anyio.fail_after(5):
        run = await anyio.run_process([sys.executable, "-c", code], stderr=subprocess.STDOUT)
    assert run.stdout.decode().strip().endswith("False False"), run.stdout
    assert b"ollama serve" in run.stdout


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://127.0.0.1:1/", "http://[::1]:1", "127.0.0.1:port"])
async def test_an_address_nothing_listens_at_is_unavailable(url: str):
    with anyio.fail_after(5):
        async with engine_at(url) as ollama:
            for attempt in (ollama.check, ollama.profile, ollama.models, lambda: ollama.complete(ask())):
                with pytest.raises(EngineUnavailableError):
                    await attempt()


async def test_a_server_that_went_away_is_unavailable_and_found_again():
    with anyio.fail_after(5):
        async with serving() as first:
            ollama = engine_at(first.url)
            await ollama.check()
        async with ollama:
            with pytest.raises(EngineUnavailableError):
                await ollama.check()
            async with serving(port=int(first.url.rsplit(":", 1)[1])):
                await ollama.check()
                assert (await ollama.complete(ask())).text


# Deadlines and connections


async def test_leaving_a_stream_stops_the_generation(ollama: OllamaEngine, replay: Replay):
    """Recording disconnect_stream."""
    replay.play("disconnect_stream", hold=True)
    async with ollama.stream(ask()) as events:
        async for _ in events:
            break
    await replay.left.wait()


async def test_cancelling_a_reader_stops_the_generation(ollama: OllamaEngine, replay: Replay):
    replay.play("disconnect_stream", hold=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ollama.complete, ask())
        await replay.began.wait()
        tasks.cancel_scope.cancel()
    await replay.left.wait()


async def test_the_deadline_covers_waiting_for_the_first_line(ollama: OllamaEngine, replay: Replay):
    await ollama.profile()
    replay.say(hold=True)
    with pytest.raises(EngineTimeoutError):
        await ollama.complete(ask(deadline=anyio.current_time() + 0.05))
    await replay.left.wait()


async def test_the_deadline_covers_every_line(ollama: OllamaEngine, replay: Replay):
    await ollama.profile()
    replay.play("disconnect_stream", hold=True)
    with pytest.raises(EngineTimeoutError):
        await ollama.complete(ask(deadline=anyio.current_time() + 0.2))
    assert replay.began.is_set()
    await replay.left.wait()


async def test_connections_are_not_reused_because_of_unexpected_data(ollama: OllamaEngine, replay: Replay):
    for _ in range(3):
        await ollama.complete(ask())
    assert len(replay.connections) >= 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_s_retry_after_is_reported(ollama: OllamaEngine, replay: Replay, status: int):
    await ollama.profile()
    replay.say({"error": "full"}, status=status, headers={"Retry-After": "7"})
    with pytest.raises(EngineBusyError) as caught:
        await ollama.complete(ask())
    assert caught.value.retry_after == 7


async def test_a_proxy_in_the_environment_is_not_used(ollama: OllamaEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert (await ollama.complete(ask(seed=None))).text


async def test_two_answers_come_at_the_same_time(ollama: OllamaEngine):
    """Recordings concurrent_a and concurrent_b."""
    texts: dict[str, str] = {}

    async def one(text: str) -> None:
        texts[text] = (await ollama.complete(ask(text, max_tokens=64))).text

    questions = [str(last(recording(name).body)["content"]) for name in ("concurrent_a", "concurrent_b")]
    async with anyio.create_task_group() as tasks:
        for question in questions:
            tasks.start_soon(one, question)
    assert len(set(texts.values())) == 2


def last(body: JsonObject) -> JsonObject:
    messages = body["messages"]
    assert isinstance(messages, list)
    message = messages[-1]
    assert isinstance(message, dict)
    return message


# Adapters


async def test_an_adapter_is_a_model_of_its_own(ollama: OllamaEngine):
    """Recordings show_lora and lora_answer."""
    answer = await ollama.complete(ask("Describe the sea in one sentence.", adapter="smollm2-lora"))
    assert answer.text.startswith('The sentence is "The sea')
    assert (answer.done.model, answer.done.adapter, answer.done.notes) == (
        "smollm2:latest",
        "smollm2-lora",
        (),
    )


async def test_without_its_adapter_the_base_model_answers_with_a_note(ollama: OllamaEngine):
    """Recording base_answer."""
    answer = await ollama.complete(ask("Describe the sea in one sentence.", adapter="erp"))
    assert answer.text.startswith("The sea is a vast")
    assert (answer.done.model, answer.done.adapter) == ("smollm2", None)
    assert answer.done.notes == ("Ollama has no adapter 'erp' (a model made with ADAPTER); used smollm2",)


# Models and profile


async def test_the_profile_comes_from_show_and_version(ollama: OllamaEngine):
    """Recordings show_base, show_tools and version."""
    profile = await ollama.profile()
    assert (profile.engine, profile.model, profile.parameters) == ("ollama", "smollm2", 0.134515008)
    offered = profile.capabilities
    assert (offered.json_schema, offered.choice, offered.logprobs, offered.lora) == (True, True, True, True)
    assert (offered.tools, offered.embed, offered.tokenize) == (False, False, False)
    assert offered.max_context == 2048
    assert profile.notes == ()
    assert (await ollama.profile("smollm2-tools")).capabilities.tools


async def test_an_old_server_has_no_logprobs_and_a_note_about_truncation(
    ollama: OllamaEngine, replay: Replay
):
    """By hand."""
    replay.say({"version": "0.12.5"}, at="/api/version")
    profile = await ollama.profile()
    assert not profile.capabilities.logprobs
    assert "truncates long prompts" in profile.notes[0]


async def test_models_distinguish_adapters_from_other_models(ollama: OllamaEngine, replay: Replay):
    """Recordings tags, show_*, ps_loaded."""
    replay.play("ps_loaded", at="/api/ps")
    replay.install("smollm2-lora:latest", "show_lora")
    replay.install("smollm2-tools:latest", "show_tools")
    replay.install("smollm2-tools-text:latest", "show_tools")
    models = {model.name: model for model in await ollama.models()}
    assert models["smollm2:latest"] == Model("smollm2:latest", "ollama", loaded=True)
    assert models["smollm2-lora:latest"].base == "smollm2:latest"
    assert models["smollm2-tools:latest"].base == ""
    assert len(models) == 4


# Embeddings


async def test_embeddings_have_unit_length(replay: Replay):
    """By hand: the recorded server makes none."""
    replay.install("minilm", capabilities=["embedding"])
    replay.say(
        {"model": "minilm", "embeddings": [[3.0, 4.0], [0.0, 0.0]], "prompt_eval_count": 6}, at="/api/embed"
    )
    async with engine_at(replay.url, embedding="minilm") as ollama:
        assert (await ollama.profile()).embedding_model == "minilm"
        made = await ollama.embed(["a", "b"])
    assert made.vectors == ((0.6, 0.8), (0.0, 0.0))
    assert (made.tokens, made.model) == (6, "minilm")
    assert replay.asked == [{"model": "minilm", "input": ["a", "b"], "truncate": False, "keep_alive": "30m"}]


@pytest.mark.parametrize("embedding", ["", "not-there", "smollm2"])
async def test_without_an_embedding_model_there_is_no_embed(replay: Replay, embedding: str):
    async with engine_at(replay.url, embedding=embedding) as ollama:
        assert not (await ollama.profile()).capabilities.embed
        with pytest.raises(UnsupportedFeatureError):
            await ollama.embed(["a"])


async def test_a_missing_embedding_model_is_looked_for_once_in_a_while(replay: Replay):
    async with engine_at(replay.url, embedding="late") as ollama:
        assert not (await ollama.profile()).embedding_model
        replay.install("late", capabilities=["embedding"])
        assert not (await ollama.profile()).embedding_model


async def test_a_model_that_makes_no_embeddings_after_all_is_unsupported(replay: Replay):
    """Recording embed: status 501."""
    replay.install("minilm", capabilities=["embedding"])
    replay.play("embed", at="/api/embed")
    async with engine_at(replay.url, embedding="minilm") as ollama:
        with pytest.raises(UnsupportedFeatureError, match="does not support embeddings"):
            await ollama.embed(["hello"])


async def test_a_text_too_long_to_embed_is_an_error(replay: Replay):
    """By hand, after server/routes.go."""
    replay.install("minilm", capabilities=["embedding"])
    replay.say({"error": "the input length exceeds the context length"}, at="/api/embed", status=400)
    async with engine_at(replay.url, embedding="minilm") as ollama:
        with pytest.raises(ContextTooLongError):
            await ollama.embed(["long " * 1000])


# Against a real server


HOST = os.environ.get("OLLAMA_HOST", "")
MODEL = os.environ.get("OLLAMA_MODEL", "smollm2")


@pytest.fixture
async def real() -> AsyncGenerator[OllamaEngine]:
    async with engine_at(HOST or "127.0.0.1:11434", model=MODEL, embedding="all-minilm") as engine:
        try:
            await engine.profile()
        except EngineUnavailableError as error:
            pytest.skip(f"{error.message} ({error.hint})")
        yield engine


@pytest.mark.live
@pytest.mark.skipif(not HOST, reason="needs a real Ollama at OLLAMA_HOST")
class TestARealServer:
    async def test_answers_and_counts(self, real: OllamaEngine):
        answer = await real.complete(ask(max_tokens=8, effort="off"))
        assert answer.text
        assert answer.done.usage.prompt_tokens > 0

    async def test_keeps_to_the_choices(self, real: OllamaEngine):
        answer = await real.complete(
            ask("It crashes. A bug or a wish?", choices=("bug", "wish"), effort="off")
        )
        assert answer.text in ("bug", "wish")

    async def test_keeps_to_a_schema(self, real: OllamaEngine):
        answer = await real.complete(ask(PLACE, schema=PLACE_SCHEMA, max_tokens=80, effort="off"))
        assert json.loads(answer.text)["kind"] in ("capital", "village")

    async def test_refuses_a_prompt_over_its_context(self, real: OllamaEngine):
        with pytest.raises(ContextTooLongError):
            await real.complete(ask("word " * 5000))

    async def test_names_a_model_it_lacks(self, real: OllamaEngine):
        with pytest.raises(UnknownModelError):
            await real.complete(ask(model="no-such-model:1b"))

    async def test_answers_after_a_reader_left(self, real: OllamaEngine):
        async with real.stream(ask("Count to a thousand.", max_tokens=1000, effort="off")) as events:
            async for _ in events:
                break
        assert (await real.complete(ask(max_tokens=4, effort="off"))).text
