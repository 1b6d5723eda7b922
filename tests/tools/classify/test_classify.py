"""classify: which model decides, and what a caller gets back."""

import json
import math
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import Engine, JsonValue, Request, TokenLogprob
from engines.errors import InvalidAnswerError
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import Slots
from engines.routing import Router, Tier
from engines.tokens import LazyEstimator
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Result
from tools.classify.by_model import distribution
from tools.pipeline.dispatch import Dispatcher

pytestmark = pytest.mark.anyio

ESTIMATOR = LazyEstimator(Path(tempfile.gettempdir(), "local-llm-agent-tokens"))
TIERS = [Tier("small", 512, 4096, 500), Tier("main", 512, 4096, 2000)]
SMALL, CAPABLE, LARGE, UNKNOWN = 0.135, 1.5, 20.0, 0.0
EXAMPLES: list[JsonValue] = [
    {"text": "a red apple", "label": "fruit"},
    {"text": "an iron bar", "label": "metal"},
]


@asynccontextmanager
async def dispatching(engine: Engine) -> AsyncGenerator[Dispatcher]:
    async with engine:
        router = Router(TIERS, lambda tier: engine)
        yield Dispatcher(router, SingleEngine(engine), ESTIMATOR, deadline_s=30)


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


async def test_with_examples_a_few_shot_classifier_decides_for_a_small_model() -> None:
    result = await classify(ScriptedEngine(parameters=SMALL), text="an iron pot", examples=EXAMPLES)
    assert result.receipt.decided_by == "head"
    assert result.fields["label"] == "metal"


def metal(request: Request) -> str:
    """Answers with the second label for every text; embeddings would choose the first."""
    return '{"label": "metal"}'


@pytest.mark.parametrize("parameters", [CAPABLE, LARGE, UNKNOWN])
async def test_what_embeddings_are_not_sure_of_is_asked_of_a_model_that_follows_instructions(
    parameters: float,
) -> None:
    engine = ScriptedEngine(metal, parameters=parameters)
    result = await classify(engine, text="a pear")
    assert engine.embedded
    assert result.receipt.decided_by == "logprobs"
    assert result.fields["label"] == "metal"


@pytest.mark.parametrize("parameters", [LARGE, UNKNOWN])
async def test_with_examples_a_large_model_is_asked_and_not_the_embeddings(parameters: float) -> None:
    engine = ScriptedEngine(metal, parameters=parameters)
    result = await classify(engine, text="an apple is a fruit", examples=EXAMPLES)
    assert result.fields["label"] == "metal"
    assert not engine.embedded


async def test_with_examples_a_model_that_is_not_large_is_not_asked() -> None:
    engine = ScriptedEngine(metal, parameters=CAPABLE)
    result = await classify(engine, text="a red apple", examples=EXAMPLES)
    assert result.receipt.decided_by == "head"
    assert not engine.requests


def test_tokens_of_no_probability_leave_the_answer_its_label() -> None:
    forced = [TokenLogprob('{"label": "', -1e9), TokenLogprob("bug", -1e9, (("feature", -1e9),))]
    assert distribution(forced, "bug", ["bug", "feature"]) == {"bug": 1, "feature": 0}


async def test_what_embeddings_are_sure_of_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.classify.tool.SURE", 0.0)
    engine = ScriptedEngine(metal, parameters=CAPABLE)
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "embedding"
    assert result.fields["label"] == "fruit"
    assert not engine.requests


async def test_a_model_without_embeddings_is_asked_whatever_its_size() -> None:
    engine = ScriptedEngine(metal, parameters=SMALL, capabilities=replace(EVERYTHING, embed=False))
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "logprobs"
    assert result.fields["label"] == "metal"


def tokens(*pairs: tuple[str, dict[str, float]]) -> list[TokenLogprob]:
    """Returns tokens with their probabilities and those of their alternatives."""
    return [
        TokenLogprob(
            text,
            math.log(probabilities[text]),
            tuple((each, math.log(p)) for each, p in probabilities.items()),
        )
        for text, probabilities in pairs
    ]


@pytest.mark.parametrize(
    ("answer", "shares"),
    [
        ([('{"label', {'{"label': 0.5, "Sure": 0.5}), ('": "', {'": "': 1}),
          ("bug", {"bug": 0.6, "fea": 0.2, "I": 0.2})],
         {"bug": 0.75, "feature": 0.25}),
        # A shorter token that may still become the answered label is uninformative.
        ([('{"label": "', {'{"label": "': 0.5, "{": 0.5}), ("bug", {"bug": 0.5, "b": 0.25, "f": 0.25})],
         {"bug": 0.75, "feature": 0.25}),
        ([('{"label": "', {'{"label": "': 1}), ("bug", {"bug": 1}), ('"}', {'"}': 0.2, "-report": 0.6})],
         {"bug": 0.25, "bug-report": 0.75}),
        ([('{"label": "', {'{"label": "': 1}), ("x", {"x": 0.5, "y": 0.5})],
         {"x1": 0.5, "y1": 0.25, "y2": 0.25}),
    ],
    ids=["the first token", "shorter tokens", "one label begins another", "shared by labels"],
)  # fmt: skip
def test_a_labels_probability_is_its_share_of_what_was_possible(
    answer: list[tuple[str, dict[str, float]]], shares: dict[str, float]
) -> None:
    found = distribution(tokens(*answer), next(iter(shares)), list(shares))
    assert found == pytest.approx(shares)


async def test_an_answer_that_is_no_label_is_an_error() -> None:
    engine = ScriptedEngine(lambda request: "none", capabilities=replace(EVERYTHING, embed=False))
    with pytest.raises(InvalidAnswerError, match="none of the labels"):
        await classify(engine, text="an apple is a fruit")


async def test_an_engine_without_logprobs_is_noted_in_the_receipt() -> None:
    engine = ScriptedEngine(metal, capabilities=replace(EVERYTHING, embed=False, logprobs=False))
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


async def test_a_text_longer_than_what_is_embedded_gets_a_note() -> None:
    text = "An apple is a fruit. " * 200
    result = await classify(ScriptedEngine(parameters=SMALL), items=[text, "an iron bar"])
    assert "1 long texts were classified by their first 150 words" in result.receipt.notes


async def test_a_call_of_many_items_does_not_overflow_its_own_queue() -> None:
    inner = ScriptedEngine(metal, capabilities=replace(EVERYTHING, embed=False, parallel=128))
    engine = AdmittedEngine(inner, Slots(4), queue=8)
    result = await classify(engine, items=[f"text {n}" for n in range(200)])
    assert result.fields["counts"] == {"metal": 200}


async def test_a_model_gives_many_items_the_labels_it_gives_each_alone() -> None:
    def by_length(request: Request) -> str:
        return json.dumps({"label": ("fruit", "metal")[len(request.messages[-1].content) % 2]})

    texts = ["x" * n for n in range(1, 30)]
    asked = replace(EVERYTHING, embed=False)
    together = await classify(ScriptedEngine(by_length, capabilities=asked), items=list[JsonValue](texts))
    alone = [await classify(ScriptedEngine(by_length, capabilities=asked), text=text) for text in texts]
    results = together.fields["results"]
    assert isinstance(results, list)
    labels = [result["label"] for result in results if isinstance(result, dict)]
    assert labels == [result.fields["label"] for result in alone]
    assert len(set(map(str, labels))) == 2
