"""classify: which model decides, and what a caller gets back."""

import json
import math
import re
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from engines.backends.ollama.engine import OllamaEngine
from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import (
    Engine,
    Event,
    JsonValue,
    Message,
    Profile,
    Request,
    TextDelta,
    TokenLogprob,
)
from engines.errors import AgentError, InvalidAnswerError, InvalidArgumentsError
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import Slots
from engines.routing import Router, Tier
from engines.settings import OllamaSettings
from engines.tokens import LazyEstimator
from tests.engines.ollama_replay import serving
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Result
from tools.classify.by_model import PREFIX, distribution
from tools.classify.calibration import Calibration, Weights
from tools.classify.decide import SHORT_LIST
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.results import ResultFiles

pytestmark = pytest.mark.anyio

ESTIMATOR = LazyEstimator(Path(tempfile.gettempdir(), "local-llm-agent-tokens"))
TIERS = [Tier("small", 512, 4096, 500), Tier("main", 512, 4096, 2000)]
EXAMPLES: list[JsonValue] = [
    {"text": "a red apple", "label": "fruit"},
    {"text": "an iron bar", "label": "metal"},
]


@asynccontextmanager
async def dispatching(engine: Engine, results: ResultFiles | None = None) -> AsyncGenerator[Dispatcher]:
    async with engine:
        router = Router(TIERS, lambda tier: engine)
        yield Dispatcher(router, SingleEngine(engine), ESTIMATOR, deadline_s=30, results=results)


async def classify(engine: Engine, **arguments: JsonValue) -> Result:
    asked: dict[str, JsonValue] = {"labels": ["fruit", "metal"], **arguments}
    async with dispatching(engine) as dispatcher:
        return await dispatcher.run(Call("classify", asked))


def metal(request: Request) -> str:
    """Answers with the second label for every text; embeddings would choose the first."""
    return '{"label": "metal"}'


def said(label: str, probabilities: dict[str, float]) -> list[Event | AgentError]:
    """An answer with ``label``, and the probability of each label where the answers part."""
    top = tuple((each, math.log(p)) for each, p in probabilities.items())
    return [
        TextDelta('{"label": "', (TokenLogprob('{"label": "', 0.0),)),
        TextDelta(label, (TokenLogprob(label, math.log(probabilities[label]), top),)),
        TextDelta('"}', (TokenLogprob('"}', 0.0),)),
    ]


def weighing(
    monkeypatch: pytest.MonkeyPatch, sure: float, embedding: float = 0.4, model: float = 0.6
) -> None:
    """Gives every model these weights."""
    weights = Weights(alone=0.6, embedding=embedding, model=model, sure=sure)

    def same_for_all(profile: Profile, folder: Path | None) -> Calibration:
        return Calibration(weights, weights, "measured")

    monkeypatch.setattr("tools.classify.decide.calibration_of", same_for_all)


async def test_a_model_that_was_measured_to_be_of_no_use_is_not_asked() -> None:
    engine = ScriptedEngine(metal, model="smollm2-135m")
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "embedding"
    assert result.fields["label"] == "fruit"
    assert not engine.requests


@pytest.mark.parametrize(("sure", "decided"), [(0.5, "embedding"), (1.01, "logprobs")])
async def test_the_model_is_asked_where_embeddings_are_not_sure(
    sure: float, decided: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighing(monkeypatch, sure)
    result = await classify(ScriptedEngine(metal), text="an apple is a fruit")
    assert result.receipt.decided_by == decided


@pytest.mark.parametrize(("embedding", "model", "label"), [(0.0, 1.0, "metal"), (1.0, 0.0, "fruit")])
async def test_both_answers_count_by_their_weights(
    embedding: float, model: float, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighing(monkeypatch, 1.01, embedding, model)
    result = await classify(ScriptedEngine(metal), text="an apple is a fruit")
    assert result.fields["label"] == label


async def test_a_label_the_model_gives_to_an_empty_text_too_counts_for_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighing(monkeypatch, 1.01, embedding=0.0, model=1.0)

    def prejudiced(request: Request) -> list[Event | AgentError]:
        likely = 0.9 if '"""\n\n"""' in request.messages[-1].content else 0.7
        return said("metal", {"metal": likely, "fruit": 1 - likely})

    result = await classify(ScriptedEngine(prejudiced), text="an apple")
    assert result.fields["label"] == "fruit"


async def test_a_label_that_an_empty_text_never_gets_does_not_win_by_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighing(monkeypatch, 1.01, embedding=0.0, model=1.0)

    def certain(request: Request) -> list[Event | AgentError]:
        empty = '"""\n\n"""' in request.messages[-1].content
        return said("metal", {"metal": 1.0} if empty else {"metal": 0.9999, "fruit": 1e-4})

    result = await classify(ScriptedEngine(certain), text="an iron pot")
    assert result.fields["label"] == "metal"


async def test_examples_teach_a_classifier_of_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    weighing(monkeypatch, 0.0)
    result = await classify(ScriptedEngine(metal), text="a red apple", examples=EXAMPLES)
    assert result.receipt.decided_by == "few-shot"
    assert result.fields["label"] == "fruit"


async def test_without_embeddings_examples_are_shown_to_the_model() -> None:
    engine = ScriptedEngine(metal, capabilities=replace(EVERYTHING, embed=False))
    await classify(engine, text="an iron pot", examples=EXAMPLES)
    assert 'Example: "an iron bar" -> metal' in engine.requests[-1].messages[0].content


async def test_of_many_labels_the_model_chooses_among_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    weighing(monkeypatch, 1.01)
    labels: list[JsonValue] = [f"kind {n}" for n in range(100)]
    engine = ScriptedEngine()
    result = await classify(engine, text="kind 42", labels=labels)
    assert len(engine.requests) == 1
    schema = engine.requests[0].schema
    assert schema
    assert "kind 42" in str(schema)
    assert str(schema).count("kind ") == SHORT_LIST
    assert result.fields["label"] in labels


async def test_equal_texts_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    weighing(monkeypatch, 1.01, embedding=0.0, model=1.0)
    engine = ScriptedEngine(metal)
    result = await classify(engine, items=["the same", "another", *["the same"] * 20])
    # The prior is a request too.
    assert len(engine.requests) == 3
    assert result.fields["counts"] == {"metal": 22}


async def test_of_a_text_of_any_length_both_ends_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    weighing(monkeypatch, 1.01)
    engine = ScriptedEngine(metal)
    text = "begin " + "word " * 200_000 + "end"
    with anyio.fail_after(10):
        result = await classify(engine, text=text)
    prompt = engine.requests[-1].messages[0].content
    assert "begin" in prompt
    assert prompt.endswith('end\n"""')
    assert len(prompt) < 2_000
    assert "of long texts the model read the first 1000 and the last 500 characters" in result.receipt.notes


async def test_several_labels_come_from_the_model_that_is_worth_asking() -> None:
    engine = ScriptedEngine(lambda request: '["metal", "fruit"]')
    result = await classify(engine, text="an iron apple", multi=True)
    assert result.fields["labels"] == ["metal", "fruit"]


async def test_several_labels_come_from_embeddings_where_no_model_is_worth_asking() -> None:
    result = await classify(ScriptedEngine(model="smollm2-135m"), text="fruit fruit", multi=True)
    assert result.fields["labels"] == ["fruit"]


@pytest.mark.parametrize(
    ("labels", "examples", "fault"),
    [
        (["a" * 4_000_000, "b"], [], "4,000,000 characters"),
        ([f"label {n}" for n in range(10_000)], [], "at most 1,000"),
        ({"a": "x" * 100_000, "b": ""}, [], "description has at most"),
        (["a", "b"], [{"text": "one", "label": "a"}, {"text": " one", "label": "b"}], "both 'a' and 'b'"),
        (["a", "b"], [{"text": "one", "label": "c"}], "not in the list: c"),
    ],
)
async def test_what_cannot_be_asked_is_refused_at_once(
    labels: JsonValue, examples: list[JsonValue], fault: str
) -> None:
    with anyio.fail_after(1), pytest.raises(InvalidArgumentsError, match=re.escape(fault)):
        await classify(ScriptedEngine(metal), text="a text", labels=labels, examples=examples)


@pytest.mark.parametrize(
    "labels",
    [["Bug", "bug", "BUG"], ["café", "cafe"], ["bug", "bug report", "bug report urgent"], ["ошибка", "质问"]],
    ids=["case", "accents", "prefixes", "scripts"],
)
async def test_each_of_labels_that_are_alike_can_be_the_answer(
    labels: list[JsonValue], monkeypatch: pytest.MonkeyPatch
) -> None:
    weighing(monkeypatch, 1.01, embedding=0.0, model=1.0)
    for label in labels:
        engine = ScriptedEngine(lambda request, label=label: json.dumps({"label": label}, ensure_ascii=False))
        result = await classify(engine, text="a text", labels=labels)
        assert result.fields["label"] == label


def test_tokens_of_no_probability_leave_the_answer_its_label() -> None:
    forced = [TokenLogprob('{"label": "', -1e9), TokenLogprob("bug", -1e9, (("feature", -1e9),))]
    assert distribution(forced, "bug", ["bug", "feature"]) == {"bug": 1, "feature": 0}


async def test_a_model_without_embeddings_is_asked_whatever_its_size() -> None:
    engine = ScriptedEngine(metal, model="smollm2-135m", capabilities=replace(EVERYTHING, embed=False))
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


async def test_an_engine_that_continues_an_answer_generates_the_label_only() -> None:
    def continued(request: Request) -> list[Event | AgentError]:
        assert request.messages[-1] == Message("assistant", PREFIX)
        assert request.choices == ('fruit"', 'metal"')
        top = (("fruit", math.log(0.2)), ("metal", math.log(0.6)), ("The", math.log(0.2)))
        return [
            TextDelta("metal", (TokenLogprob("metal", math.log(0.6), top),)),
            TextDelta('"', (TokenLogprob('"', 0.0),)),
        ]

    capabilities = replace(EVERYTHING, embed=False, prefill=True)
    engine = ScriptedEngine(continued, capabilities=capabilities)
    result = await classify(engine, text="an apple is a fruit")
    assert result.fields["label"] == "metal"
    assert result.receipt.decided_by == "logprobs"
    assert {request.max_tokens for request in engine.requests} == {1}


async def test_a_label_that_begins_like_another_is_generated_until_it_is_told_from_it() -> None:
    def continued(request: Request) -> list[Event | AgentError]:
        spelled = [TextDelta(letter, (TokenLogprob(letter, 0.0),)) for letter in 'bug-report"']
        return [*spelled[: request.max_tokens]]

    engine = ScriptedEngine(continued, capabilities=replace(EVERYTHING, embed=False, prefill=True))
    result = await classify(engine, text="it fails", labels=["bug", "bug-report"])
    assert result.fields["label"] == "bug-report"
    # ``bug`` is estimated as one token, and ``bu``, which comes of two, may still be both.
    assert [request.max_tokens for request in engine.requests][-2:] == [2, 512]


def ollama(url: str) -> OllamaEngine:
    return OllamaEngine(OllamaSettings(url=url, model="smollm2"), context=4096)


def ollama_says(label: str, **probabilities: float) -> JsonValue:
    """Returns an answer of Ollama with logprobs, in the form of the recording ``logprobs``."""
    top: list[JsonValue] = [{"token": name, "logprob": math.log(p)} for name, p in probabilities.items()]
    logprobs: list[JsonValue] = [
        {"token": '{"label": "', "logprob": 0.0, "top_logprobs": []},
        {"token": label, "logprob": math.log(probabilities[label]), "top_logprobs": top},
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]
    message: JsonValue = {"role": "assistant", "content": f'{{"label": "{label}"}}'}
    return {"message": message, "done": True, "done_reason": "stop", "logprobs": logprobs}


async def test_ollama_is_asked_for_a_constrained_answer_with_its_probabilities() -> None:
    async with serving() as replay:
        replay.say(ollama_says("fruit", fruit=0.5, metal=0.5))
        replay.say(ollama_says("metal", fruit=0.2, metal=0.8))
        result = await classify(ollama(replay.url), text="an iron bar")
        body = replay.asked[-1]
    assert result.fields["label"] == "metal"
    assert result.receipt.decided_by == "logprobs"
    assert body["format"] == {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["fruit", "metal"]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)


async def test_an_answer_of_ollama_without_probabilities_is_a_guess() -> None:
    async with serving() as replay:
        for _ in range(2):
            answer: JsonValue = {"role": "assistant", "content": '{"label": "metal"}'}
            replay.say({"message": answer, "done": True, "done_reason": "stop"})
        result = await classify(ollama(replay.url), text="an iron bar")
    assert result.fields["label"] == "metal"
    assert cast("float", result.fields["confidence"]) < 0.7


async def test_an_answer_that_is_no_label_is_an_error() -> None:
    engine = ScriptedEngine(lambda request: "none", capabilities=replace(EVERYTHING, embed=False))
    with pytest.raises(InvalidAnswerError, match="none of the labels"):
        await classify(engine, text="an apple is a fruit")


async def test_an_engine_without_logprobs_is_noted_in_the_receipt() -> None:
    engine = ScriptedEngine(metal, capabilities=replace(EVERYTHING, embed=False, logprobs=False))
    result = await classify(engine, text="an apple is a fruit")
    assert result.receipt.decided_by == "answer"
    assert any("no logprobs" in note for note in result.receipt.notes)


async def test_without_logprobs_embeddings_that_agree_make_an_answer_surer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighing(monkeypatch, 1.01, embedding=0.1, model=1.0)
    silent = replace(EVERYTHING, logprobs=False)
    agrees, differs = [
        (await classify(ScriptedEngine(metal, capabilities=silent), text=text)).fields["confidence"]
        for text in ("metal", "fruit")
    ]
    assert isinstance(agrees, float)
    assert isinstance(differs, float)
    assert agrees > differs + 0.1


async def test_thousands_of_lines_are_counts_and_groups_and_every_line_has_a_row(tmp_path: Path) -> None:
    lines: list[JsonValue] = [f"{'apple fruit' if n % 3 else 'iron metal'} {n}" for n in range(2_000)]
    engine = ScriptedEngine(
        lambda request: f'{{"label": "{"fruit" if "apple" in str(request) else "metal"}"}}'
    )
    async with dispatching(engine, ResultFiles(tmp_path)) as dispatcher:
        call = Call("classify", {"labels": ["fruit", "metal"], "items": lines})
        result = await dispatcher.run(call)
    assert len(engine.requests) == 2
    assert list(result.fields)[:2] == ["counts", "groups"]
    assert result.fields["counts"] == {"fruit": 1_333, "metal": 667}
    groups = cast("list[dict[str, JsonValue]]", result.fields["groups"])
    assert [(group["label"], group["pattern"]) for group in groups] == [
        ("fruit", "apple fruit …"),
        ("metal", "iron metal …"),
    ]
    assert groups[1]["ids"] == "0,3,6,9,12,15,18,21,24,27,30,33,36,39,42,45,48,51,54,57,60,…"
    stored = await anyio.Path(str(result.fields["results_file"])).read_text()
    assert [json.loads(row)["label"] for row in stored.splitlines()] == [
        "fruit" if n % 3 else "metal" for n in range(2_000)
    ]


async def test_with_full_detail_every_line_is_listed() -> None:
    lines: list[JsonValue] = [f"apple fruit {n}" for n in range(200)]
    result = await classify(ScriptedEngine(metal), items=lines, detail="full")
    assert list(result.fields) == ["counts", "results"]
    results = cast("list[JsonValue]", result.fields["results"])
    assert len(results) == 200


async def test_a_level_word_outweighs_a_model_that_is_not_sure() -> None:
    lines: list[JsonValue] = ["08:00:00 ERROR pool is empty", "08:00:01 INFO pool has 3 connections"]
    unsure = ScriptedEngine(
        lambda request: '{"label": "noise"}', capabilities=replace(EVERYTHING, logprobs=False, embed=False)
    )
    result = await classify(unsure, items=lines, labels=["error", "noise"])
    results = cast("list[dict[str, JsonValue]]", result.fields["results"])
    assert [row["label"] for row in results] == ["error", "noise"]


async def test_a_text_longer_than_what_is_embedded_gets_a_note() -> None:
    text = "An apple is a fruit. " * 200
    result = await classify(ScriptedEngine(model="smollm2-135m"), items=[text, "an iron bar"])
    assert "1 long texts were embedded by their first 150 words" in result.receipt.notes


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
