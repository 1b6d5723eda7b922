import json
import re
import urllib.request
from pathlib import Path

import anyio
import pytest

from engines.backends.vllm.engine import VllmEngine
from engines.base import Completion
from tests.vllm.asking import QUESTIONS, ask, style
from tests.vllm.conftest import engine_at
from tests.vllm.server import Server

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]


def names(at: Server) -> set[str]:
    return {card["id"] for card in json.loads(at.get("/v1/models"))["data"]}


def unload(at: Server, name: str) -> None:
    """Unloads an adapter without the engine's knowledge."""
    body = json.dumps({"lora_name": name}).encode()
    headers = {"content-type": "application/json"}
    url = f"{at.url}/unload_lora_adapter"
    urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10).close()


async def test_projects_asking_at_the_same_time_each_get_their_own_style(engine: VllmEngine, adapted: Server):
    wanted = [(adapter, question) for question in QUESTIONS for adapter in (None, "alpha", "beta")]
    answers: dict[tuple[str | None, str], Completion] = {}

    async def put(adapter: str | None, question: str) -> None:
        answers[adapter, question] = await engine.complete(ask(question, adapter=adapter))

    with anyio.fail_after(120):
        async with anyio.create_task_group() as asking:
            for adapter, question in wanted:
                asking.start_soon(put, adapter, question)
    assert {key: style(answer.text) for key, answer in answers.items()} == {key: key[0] for key in wanted}
    assert {answer.done.adapter for answer in answers.values()} == {None, "alpha", "beta"}
    running = re.findall(
        r'vllm:lora_requests_info{[^}]*running_lora_adapters="([^"]*)"', adapted.get("/metrics")
    )
    assert {"alpha", "beta"} in [set(together.split(",")) for together in running]


async def test_an_adapter_is_loaded_on_first_use_and_the_least_recently_used_is_unloaded(
    adapted: Server, weights: Path
):
    paths = {"one": weights / "alpha", "two": weights / "beta", "three": weights / "alpha"}
    with anyio.fail_after(120):
        async with engine_at(adapted, max_loras=2, **paths) as engine:
            for adapter in ("one", "two", "one", "three"):
                answer = await engine.complete(ask(adapter=adapter))
                assert (answer.done.adapter, style(answer.text)) == (adapter, paths[adapter].name)
            assert names(adapted) & set(paths) == {"one", "three"}
            for adapter in ("one", "three"):
                unload(adapted, adapter)


async def test_an_adapter_that_vanished_is_loaded_again(adapted: Server, weights: Path):
    with anyio.fail_after(60):
        async with engine_at(adapted, lost=weights / "beta") as engine:
            await engine.complete(ask(adapter="lost"))
            unload(adapted, "lost")
            answer = await engine.complete(ask(adapter="lost"))
            unload(adapted, "lost")
    assert (answer.done.adapter, answer.done.notes, style(answer.text)) == ("lost", (), "beta")


async def test_an_adapter_whose_folder_is_missing_falls_back_and_the_answer_notes_it(
    adapted: Server, tmp_path: Path
):
    with anyio.fail_after(60):
        async with engine_at(adapted, gone=tmp_path / "nowhere") as engine:
            answer = await engine.complete(ask(adapter="gone"))
    assert (answer.done.adapter, style(answer.text)) == (None, None)
    assert "'gone'" in answer.done.notes[0]


async def test_without_lora_the_base_model_answers_and_the_answer_notes_how_to_enable_it(
    plain: Server, weights: Path
):
    with anyio.fail_after(60):
        async with engine_at(plain, alpha=weights / "alpha") as engine:
            answer = await engine.complete(ask(adapter="alpha"))
    assert (answer.done.adapter, style(answer.text)) == (None, None)
    assert "--enable-lora" in answer.done.notes[0]
