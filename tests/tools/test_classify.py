"""classify: who decides, and what a caller gets back."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.scripted import EVERYTHING, ScriptedEngine
from engines.base import Engine, JsonValue, Request
from engines.routing import Router, Tier
from engines.stack.admission import AdmittedEngine
from engines.stack.places import Places
from engines.tokens import LazyEstimator
from tests.tools.alone import Alone
from tools.base import Call, Result
from tools.dispatch import Dispatcher

pytestmark = pytest.mark.anyio

ESTIMATOR = LazyEstimator(Path(tempfile.gettempdir(), "local-llm-agent-tokens"))
TIERS = [Tier("small", 512, 4096, 500), Tier("main", 512, 4096, 2000)]
SMALL, LARGE, UNKNOWN = 0.135, 20.0, 0.0
EXAMPLES: list[JsonValue] = [
    {"text": "a red apple", "label": "fruit"},
    {"text": "an iron bar", "label": "metal"},
]


@asynccontextmanager
async def dispatching(engine: Engine) -> AsyncGenerator[Dispatcher]:
    async with engine:
        router = Router(TIERS, lambda tier: engine)
        yield Dispatcher(router, Alone(engine), ESTIMATOR, deadline_s=30)


async def classify(engine: Engine, **arguments: JsonValue) -> Result:
    asked: dict[str, JsonValue] = {"labels": ["fruit", "metal"], **arguments}
    async with dispatching(engine) as dispatcher:
        return await dispatcher.run(Call("classify", asked))


async def test_a_small_model_leaves_the_labels_to_embeddings() -> None:
    engine = ScriptedEngine(parameters=SMALL)
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "embedding"
    assert result.fields["label"] == "fruit"
    assert not engine.requests


async def test_with_examples_a_head_decides_for_a_small_model() -> None:
    result = await classify(ScriptedEngine(parameters=SMALL), text="an iron pot", examples=EXAMPLES)
    assert result.receipt.decided_by == "head"
    assert result.fields["label"] == "metal"


@pytest.mark.parametrize("parameters", [LARGE, UNKNOWN])
@pytest.mark.parametrize("examples", [None, EXAMPLES])
async def test_a_large_model_answers_as_if_there_were_no_embeddings(
    parameters: float, examples: list[JsonValue] | None
) -> None:
    told: list[Result] = []
    for embed in (True, False):
        # The second label, whatever the text: embeddings would have said the first.
        engine = ScriptedEngine(
            lambda request: "B", parameters=parameters, capabilities=replace(EVERYTHING, embed=embed)
        )
        told.append(await classify(engine, text="an apple is a fruit", examples=examples))
        assert not engine.embedded
    assert told[0].fields == told[1].fields
    assert told[0].fields["label"] == "metal"
    assert told[0].receipt.decided_by == "logprobs"


async def test_a_small_model_without_embeddings_is_asked() -> None:
    engine = ScriptedEngine(
        lambda request: "B", parameters=SMALL, capabilities=replace(EVERYTHING, embed=False)
    )
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "logprobs"
    assert result.fields["label"] == "metal"


async def test_an_engine_without_probabilities_says_so() -> None:
    engine = ScriptedEngine(parameters=LARGE, capabilities=replace(EVERYTHING, logprobs=False))
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "answer"
    assert any("no probabilities" in note for note in result.receipt.notes)


async def test_of_thousands_of_lines_the_counts_come_first_and_every_line_has_its_result() -> None:
    lines: list[JsonValue] = [f"{'apple fruit' if n % 3 else 'iron metal'} {n}" for n in range(2_000)]
    result = await classify(ScriptedEngine(parameters=SMALL), items=lines)
    assert list(result.fields) == ["counts", "results"]
    assert result.fields["counts"] == {"fruit": 1_333, "metal": 667}
    results = result.fields["results"]
    assert isinstance(results, list)
    assert len(results) == 2_000


async def test_a_text_longer_than_what_is_embedded_is_told_of() -> None:
    text = "An apple is a fruit. " * 200
    result = await classify(ScriptedEngine(parameters=SMALL), items=[text, "an iron bar"])
    assert "1 long texts were classified by their first 150 words" in result.receipt.notes


async def test_a_call_of_many_items_does_not_crowd_itself_out_of_the_line() -> None:
    inner = ScriptedEngine(lambda request: "A", capabilities=replace(EVERYTHING, embed=False, parallel=128))
    engine = AdmittedEngine(inner, Places(4), queue=8)
    result = await classify(engine, items=[f"text {n}" for n in range(200)])
    assert result.fields["counts"] == {"fruit": 200}


async def test_a_model_gives_many_items_the_labels_it_gives_each_alone() -> None:
    def by_length(request: Request) -> str:
        return "AB"[len(request.messages[-1].content) % 2]

    texts = ["x" * n for n in range(1, 30)]
    together = await classify(ScriptedEngine(by_length, parameters=LARGE), items=list[JsonValue](texts))
    alone = [await classify(ScriptedEngine(by_length, parameters=LARGE), text=text) for text in texts]
    results = together.fields["results"]
    assert isinstance(results, list)
    said = [result["label"] for result in results if isinstance(result, dict)]
    assert said == [result.fields["label"] for result in alone]
    assert len(set(map(str, said))) == 2
