"""Which models of an Ollama answer when nobody names one. Properties are those of recording ``show_base``."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest

from engines.backends.ollama import inventory
from engines.backends.ollama.choice import Candidate, choose
from engines.backends.ollama.engine import OllamaEngine
from engines.base import JsonObject, Message, Request
from engines.errors import (
    EngineUnavailableError,
    ModelNotLoadedError,
    UnknownModelError,
    UnsupportedFeatureError,
)
from engines.middleware.failover import FailoverEngine
from engines.models.vram import GIB
from engines.routing import Needs, Router, Tier
from engines.settings import OllamaSettings
from tests.engines.middleware.fakes import FlakyEngine
from tests.engines.ollama_replay import Replay, serving

pytestmark = pytest.mark.anyio

OUT_OF_MEMORY = "model requires more system memory (11.9 GiB) than is available (7.1 GiB)"
CRASHED = "llama runner process has terminated: cudaMalloc failed: out of memory"
SAYS_HI: JsonObject = {"message": {"role": "assistant", "content": "Hi"}, "done": False}
ENDS: JsonObject = {
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 1,
}


def hello(**fields: Any) -> Request:
    return Request((Message("user", "Hello"),), max_tokens=8, **fields)


def model(name: str, billions: float, gib: float, quantisation: str = "Q4_K_M", **fields: Any) -> Candidate:
    given: dict[str, Any] = {"chats": True, "embeds": False, "active": billions, **fields}
    return Candidate(name, billions=billions, quantisation=quantisation, needs=int(gib * GIB), **given)


def embedding(name: str, billions: float = 0.1, gib: float = 0.1) -> Candidate:
    return model(name, billions, gib, "F16", chats=False, embeds=True)


GPT = model("gpt-oss:20b", 20.9, 13.5, "MXFP4", active=2.6)
QWEN8, QWEN4, QWEN2 = model("qwen3:8b", 8.2, 7), model("qwen3:4b", 4, 4), model("qwen3:1.7b", 1.7, 1.6)
QWEN32 = model("qwen3:32b", 32, 24)


# The choice


@pytest.mark.parametrize(
    ("installed", "loaded", "main"),
    [
        ([QWEN4, GPT, QWEN8], [], "gpt-oss:20b"),
        ([QWEN4, QWEN8, QWEN32], [], "qwen3:8b"),
        ([QWEN4, QWEN8, GPT], ["qwen3:4b"], "qwen3:4b"),
        ([QWEN32, QWEN8], ["qwen3:32b"], "qwen3:32b"),
        ([QWEN4, QWEN8, GPT], ["qwen3:4b", "qwen3:8b"], "qwen3:8b"),
        ([QWEN32, model("mixtral:8x22b", 141, 80)], [], "qwen3:32b"),
        ([model("a:8b-q2", 8.2, 4, "Q2_K"), QWEN4, model("b:7b", 7, 5)], [], "b:7b"),
        ([QWEN8, model("qwen3:8b-q8_0", 8.2, 10, "Q8_0")], [], "qwen3:8b-q8_0"),
        ([model("starcoder2:15b", 15, 10, chats=False), QWEN4], ["starcoder2:15b"], "qwen3:4b"),
        ([embedding("bge-m3")], ["bge-m3"], ""),
        ([], [], ""),
    ],
)
def test_the_loaded_model_then_gpt_oss_then_the_best_that_fits(
    installed: list[Candidate], loaded: list[str], main: str
):
    assert choose(installed, dict.fromkeys(loaded, False), total_gib=16).main == main


def test_the_reason_names_the_numbers():
    assert choose([QWEN4, QWEN8, QWEN32], {}, total_gib=16).reason == (
        "the best of 3 chat models that fits in 16 GiB (8.2B Q4_K_M, 7.52 GB (7.00 GiB))"
    )
    assert "needs the least" in choose([QWEN32, QWEN8], {}, total_gib=4).reason
    assert "may not fit in 4 GiB" in choose([QWEN8], {}, total_gib=4).reason
    assert choose([QWEN4, QWEN8], {"qwen3:4b": False}, total_gib=16).reason == "it is loaded in Ollama now"
    assert (
        "nothing fits beside it in the 16 GiB" in choose([QWEN32], {"qwen3:32b": False}, total_gib=16).reason
    )


@pytest.mark.parametrize(
    ("installed", "total_gib", "small"),
    [
        ([QWEN8, QWEN4, QWEN2], 16, "qwen3:4b"),
        ([QWEN8, QWEN4, QWEN2], 10, "qwen3:1.7b"),
        ([QWEN8, QWEN4, QWEN2], 8, ""),
        ([QWEN8, model("smollm2:135m", 0.13, 0.3)], 16, ""),
        ([GPT, QWEN4], 64, ""),  # it uses 2.6 billion weights for a token, so 4 are no faster
        ([QWEN8, model("llama3.2:1b", 1.2, 1.6)], 16, ""),
        ([QWEN8, QWEN4, embedding("bge-m3", 0.57, 1.5)], 12, ""),
    ],
)
def test_a_second_model_is_faster_not_tiny_and_fits_beside_the_first(
    installed: list[Candidate], total_gib: float, small: str
):
    assert choose(installed, {}, total_gib=total_gib).small == small


def test_a_second_model_that_the_small_tier_loaded_does_not_become_the_first():
    choice = choose([QWEN8, QWEN4], {"qwen3:4b": True}, total_gib=16)
    assert (choice.main, choice.small) == ("qwen3:8b", "qwen3:4b")
    assert choose([QWEN8, QWEN4], {"qwen3:4b": False}, total_gib=16).main == "qwen3:4b"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["all-minilm", "nomic-embed-text", "embeddinggemma", "bge-m3"], "bge-m3"),
        (["all-minilm", "embeddinggemma"], "embeddinggemma"),
        (["all-minilm"], "all-minilm"),
        ([], ""),
    ],
)
def test_an_embedding_model_of_many_languages_is_preferred(names: list[str], chosen: str):
    assert choose([QWEN8, *map(embedding, names)], {}, total_gib=16).embedding == chosen


def test_an_embedding_model_that_would_push_the_chat_model_out_is_not_used():
    assert choose([GPT, embedding("bge-m3", 0.57, 3)], {}, total_gib=16).embedding == ""


def test_a_named_model_is_kept_and_leaves_its_room_to_the_embeddings():
    choice = choose([GPT, QWEN8, embedding("bge-m3", 0.57, 3)], {}, total_gib=16, named="gpt-oss:20b")
    assert (choice.main, choice.small, choice.embedding) == ("", "", "")


# The engine


@pytest.fixture
async def replay() -> AsyncGenerator[Replay]:
    with anyio.fail_after(5):
        async with serving() as server:
            yield server


def engine_at(replay: Replay, total_gib: float = 16, **settings: str) -> OllamaEngine:
    return OllamaEngine(
        OllamaSettings.model_validate({"url": replay.url, **settings}), context=16384, total_gib=total_gib
    )


async def answered_by(ollama: OllamaEngine, replay: Replay, **fields: object) -> str:
    await ollama.complete(hello(**fields))
    return str(replay.asked[-1]["model"])


def says_hi(replay: Replay, times: int = 1) -> None:
    for _ in range(times):
        replay.answers.append((SAYS_HI, ENDS))


async def test_an_ollama_with_any_model_answers(replay: Replay):
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    says_hi(replay)
    async with engine_at(replay) as ollama:
        profile = await ollama.profile()
        done = (await ollama.complete(hello())).done
    assert profile.model == done.model == "mistral:7b"
    assert "the only chat model" in profile.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"capabilities": ["embedding"]},
        {"capabilities": ["vision"]},
        {"template": "{{ .Prompt }}"},
        {
            "capabilities": ["completion", "insert"],
            "template": "{{- if .Suffix }}<fim_prefix>{{ .Prompt }}<fim_suffix>{{ .Suffix }}<fim_middle>"
            "{{- else }}{{ .Prompt }}{{ end }}",
        },
        {"modelfile": "FROM a\nADAPTER b\n", "details": {"parent_model": "mistral:7b"}},
    ],
    ids=["embedding", "vision only", "base", "code completion only", "adapter"],
)
async def test_a_model_that_is_not_for_chats_is_passed_over(replay: Replay, changes: Any):
    replay.offer("other:13b", billions=13, gib=7, **changes)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.loaded = ["other:13b"]
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "mistral:7b"


@pytest.mark.parametrize(
    "changes",
    [
        {"template": "[INST] {{ .System }} {{ .Prompt }} [/INST]"},
        {"template": "{{ .Prompt }}", "modelfile": "FROM a\nRENDERER qwen3-coder\n"},
        {"template": "{{ .Prompt }}", "capabilities": ["completion", "tools"]},
        {
            "capabilities": ["completion", "insert", "tools"],
            "template": "{{- if .Suffix }}<fim>{{ .Suffix }}{{ else }}{{ range .Messages }}{{ .Content }}",
        },
    ],
    ids=["old template", "renderer", "built in", "chats and completes code"],
)
async def test_a_model_that_chats_in_its_own_way_is_taken(replay: Replay, changes: Any):
    replay.offer("other:13b", billions=13, gib=7, **changes)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "other:13b"


@pytest.mark.parametrize("name", ["llama-guard3:8b", "gpt-oss:120b-cloud"])
async def test_a_moderation_model_and_one_in_the_cloud_are_not_taken(replay: Replay, name: str):
    replay.offer(name, billions=9, gib=5)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "mistral:7b"


async def test_a_model_behind_another_host_is_not_taken(replay: Replay):
    replay.offer("big", billions=120, gib=0)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    assert replay.listed
    replay.listed["big"]["remote_host"] = "https://ollama.com:443"
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "mistral:7b"
    assert "big" not in replay.shown


async def test_the_memory_includes_the_cache_of_the_context(replay: Replay):
    info: JsonObject = {"llama.attention.head_count_kv": 9, "llama.block_count": 300}
    replay.offer("wide:8b", billions=8, gib=5, model_info=info)
    replay.offer("slim:7b", billions=7, gib=5)
    async with engine_at(replay, total_gib=7) as ollama:
        assert (await ollama.profile()).model == "slim:7b"


@pytest.mark.parametrize("why", [OUT_OF_MEMORY, CRASHED])
async def test_a_model_that_cannot_be_loaded_is_replaced_and_the_reason_kept(replay: Replay, why: str):
    replay.offer("big:12b", billions=12, gib=8)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.unloadable["big:12b"] = why
    says_hi(replay, 2)
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "big:12b"
        done = (await ollama.complete(hello())).done
        assert done.model == "mistral:7b"
        assert done.notes == (f"big:12b is not used: Ollama cannot load big:12b: {why}",)
        profile = await ollama.profile()
        assert (profile.model, profile.notes) == ("mistral:7b", done.notes)
        await ollama.complete(hello())
    assert [body["model"] for body in replay.asked] == ["big:12b", "mistral:7b", "mistral:7b"]


async def test_when_no_model_can_be_loaded_the_next_engine_answers_and_says_why(replay: Replay):
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.unloadable["mistral:7b"] = OUT_OF_MEMORY
    async with engine_at(replay) as ollama:
        auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
        done = (await auto.complete(hello())).done
    assert done.engine == "llamacpp"
    assert OUT_OF_MEMORY in done.notes[0]


async def test_a_named_model_that_cannot_be_loaded_is_an_error(replay: Replay):
    replay.offer("big:12b", billions=12, gib=8)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.unloadable["big:12b"] = OUT_OF_MEMORY
    async with engine_at(replay) as ollama:
        with pytest.raises(ModelNotLoadedError, match="requires more system memory"):
            await ollama.complete(hello(model="big:12b"))
    async with engine_at(replay, model="big:12b") as ollama:
        with pytest.raises(ModelNotLoadedError):
            await ollama.complete(hello())


async def test_another_failure_of_the_server_is_not_the_model_s(replay: Replay):
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.unloadable["mistral:7b"] = "something else"
    async with engine_at(replay) as ollama:
        with pytest.raises(EngineUnavailableError, match="something else"):
            await ollama.complete(hello())
        assert (await ollama.profile()).model == "mistral:7b"


async def test_models_that_come_go_and_are_loaded_are_noticed_within_a_minute(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
):
    clock = later(monkeypatch)
    assert inventory.LISTED_S <= 60
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.offer("phi:4b", billions=3.8, gib=2.4)
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).model == "mistral:7b"
        replay.offer("gpt-oss:20b", billions=20.9, gib=12.8)
        assert (await ollama.profile()).model == "mistral:7b"
        clock(inventory.LISTED_S + 1)
        assert (await ollama.profile()).model == "gpt-oss:20b"
        replay.remove("gpt-oss:20b")
        replay.loaded = ["phi:4b"]
        clock(inventory.LISTED_S + 1)
        assert (await ollama.profile()).model == "phi:4b"
        replay.loaded = []
        clock(inventory.LISTED_S + 1)
        assert (await ollama.profile()).model == "mistral:7b"
        replay.remove("mistral:7b")
        clock(inventory.LISTED_S + 1)
        assert (await ollama.profile()).model == "phi:4b"
    assert replay.shown.count("phi:4b") == 1  # its properties are asked for once


def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Returns a function that moves the inventory's clock."""
    offset = [0.0]
    now = anyio.current_time

    class Clock:
        CapacityLimiter = anyio.CapacityLimiter
        Lock = anyio.Lock
        create_task_group = anyio.create_task_group

        @staticmethod
        def current_time() -> float:
            return now() + offset[0]

    def move(seconds: float) -> None:
        offset[0] += seconds

    monkeypatch.setattr(inventory, "anyio", Clock)
    return move


async def test_a_model_that_failed_is_tried_again_later(replay: Replay, monkeypatch: pytest.MonkeyPatch):
    clock = later(monkeypatch)
    replay.offer("big:12b", billions=12, gib=8)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.unloadable["big:12b"] = OUT_OF_MEMORY
    says_hi(replay)
    async with engine_at(replay) as ollama:
        assert await answered_by(ollama, replay) == "mistral:7b"
        clock(inventory.FAILED_S + inventory.LISTED_S)
        assert (await ollama.profile()).model == "big:12b"


async def test_a_model_that_was_removed_since_is_replaced_at_once(replay: Replay):
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    replay.offer("phi:4b", billions=3.8, gib=2.4)
    says_hi(replay)
    async with engine_at(replay) as ollama:
        await ollama.profile()
        replay.remove("mistral:7b")
        assert await answered_by(ollama, replay) == "phi:4b"


async def test_a_model_replaced_under_its_name_is_read_again(replay: Replay, monkeypatch: pytest.MonkeyPatch):
    clock = later(monkeypatch)
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).parameters == 7.2
        replay.offer("mistral:7b", billions=8, gib=4.5)
        clock(inventory.LISTED_S + 1)
        assert (await ollama.profile()).parameters == 8


async def test_an_ollama_without_a_chat_model_says_so(replay: Replay):
    replay.offer("bge-m3", billions=0.57, gib=1.2, capabilities=["embedding"])
    async with engine_at(replay) as ollama:
        with pytest.raises(UnknownModelError, match="no chat model"):
            await ollama.profile()


async def test_without_a_chat_model_in_ollama_the_next_engine_embeds(replay: Replay):
    replay.listed = {}
    async with engine_at(replay) as ollama:
        auto = FailoverEngine([ollama, FlakyEngine("llamacpp")])
        assert (await auto.profile()).embedding_model == "llamacpp-model-embedding"


async def test_the_best_embedding_model_is_used_and_replaced_if_it_cannot_be_loaded(replay: Replay):
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    for name in ("all-minilm", "bge-m3"):
        replay.offer(name, billions=0.1, gib=0.1, capabilities=["embedding"])
    async with engine_at(replay) as ollama:
        assert (await ollama.profile()).embedding_model == "bge-m3"
        replay.unloadable["bge-m3"] = OUT_OF_MEMORY
        replay.vectors = [[3.0, 4.0]]
        made = await ollama.embed(["a"])
        assert (made.model, made.vectors) == ("all-minilm", ((0.6, 0.8),))
        replay.unloadable["all-minilm"] = OUT_OF_MEMORY
        with pytest.raises(UnsupportedFeatureError):
            await ollama.embed(["a"])


TIERS = (Tier("small", 512, 4096, 500), Tier("main", 2048, 16384, 2000))


async def test_the_small_tier_has_the_second_model_and_the_route_says_why(replay: Replay):
    replay.offer("qwen3:8b", billions=8.2, gib=5)
    replay.offer("qwen3:4b", billions=4, gib=2.5)
    async with engine_at(replay) as ollama:
        router = Router(TIERS, lambda _: ollama)
        small = await router.pick(Needs(tier="small"))
        main = await router.pick(Needs(tier="main"))
        above = await router.above(small, Needs())
    assert (small.model, small.profile.model) == ("qwen3:4b", "qwen3:4b")
    assert small.reason.endswith("qwen3:4b: a second, faster model that fits beside qwen3:8b")
    assert (main.model, main.profile.model) == ("", "qwen3:8b")
    assert "the best of 2 chat models" in main.reason
    assert above
    assert above.profile.model == "qwen3:8b"


async def test_a_tier_s_own_model_is_kept(replay: Replay):
    replay.offer("qwen3:8b", billions=8.2, gib=5)
    replay.offer("qwen3:4b", billions=4, gib=2.5)
    named = Tier("small", 512, 4096, 500, model="qwen3:8b")
    async with engine_at(replay) as ollama:
        route = await Router((named, TIERS[1]), lambda _: ollama).pick(Needs(tier="small"))
    assert route.model == route.profile.model == "qwen3:8b"


async def test_a_second_model_that_cannot_be_loaded_is_replaced_by_the_first(replay: Replay):
    replay.offer("qwen3:8b", billions=8.2, gib=5)
    replay.offer("qwen3:4b", billions=4, gib=2.5)
    replay.unloadable["qwen3:4b"] = OUT_OF_MEMORY
    says_hi(replay)
    async with engine_at(replay) as ollama:
        small = (await ollama.profile()).small_model
        assert await answered_by(ollama, replay, model=small) == "qwen3:8b"
        assert (await ollama.profile()).small_model == ""


async def test_a_server_that_does_not_say_what_its_models_can_do_is_asked(replay: Replay):
    """By hand: ``/api/tags`` of older servers has neither capabilities nor a digest."""
    replay.offer("bge-m3", billions=9, gib=5, capabilities=["embedding"])
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    assert replay.listed
    for entry in replay.listed.values():
        del entry["capabilities"], entry["digest"]
    async with engine_at(replay) as ollama:
        profile = await ollama.profile()
    assert (profile.model, profile.embedding_model) == ("mistral:7b", "bge-m3")


async def test_a_model_without_shape_in_its_metadata_takes_a_fifth_more_than_its_file(replay: Replay):
    replay.offer("odd:9b", billions=9, gib=8, model_info={"general.architecture": "odd"})
    replay.offer("mistral:7b", billions=7.2, gib=4.1)
    async with engine_at(replay, total_gib=9.5) as ollama:
        assert (await ollama.profile()).model == "mistral:7b"
    async with engine_at(replay, total_gib=9.7) as ollama:
        assert (await ollama.profile()).model == "odd:9b"


async def test_what_the_small_tier_loaded_is_known_by_its_context(replay: Replay):
    replay.offer("qwen3:8b", billions=8.2, gib=5)
    replay.offer("qwen3:4b", billions=4, gib=2.5)
    replay.loaded = ["qwen3:4b"]
    assert replay.listed
    for context, main in ((4096, "qwen3:4b"), (8192, "qwen3:8b")):  # 8192: trained, and less than ours
        replay.listed["qwen3:4b"]["context_length"] = context
        async with engine_at(replay) as ollama:
            assert (await ollama.profile()).model == main
