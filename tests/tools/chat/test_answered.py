"""A question that the text does not answer gets a refusal; other prompts keep their answer."""

import math
from dataclasses import replace

import pytest

from engines.backends.scripted.engine import EVERYTHING, Reply, ScriptedEngine
from engines.base import JsonValue, Request, TextDelta, TokenLogprob
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call, Result
from tools.chat.answered import CHECK, REFUSAL

pytestmark = pytest.mark.anyio

TEXT = "The mill was built in 1822.\nIt burned down in 1901."


def answering(answer: str, yes: float) -> ScriptedEngine:
    """An engine that answers, and says with probability ``yes`` that the text contained the answer."""

    def script(request: Request) -> Reply:
        if request.messages[-1].content != CHECK:
            return answer
        top = (("yes", math.log(yes)), ("no", math.log(1 - yes)))
        return [TextDelta("yes" if yes > 0.5 else "no", (TokenLogprob("yes", math.log(yes), top),))]

    return ScriptedEngine(script)


async def ask(engine: ScriptedEngine, prompt: str, **arguments: JsonValue) -> Result:
    async with dispatching(engine) as dispatcher:
        return await dispatcher.run(Call("chat", {"prompt": prompt, "text": TEXT, **arguments}))


async def test_an_answer_of_the_text_comes_with_its_line() -> None:
    result = await ask(answering("1901", 0.9), "When did it burn down?")
    assert result.fields == {"text": "1901", "evidence": "2"}


async def test_an_answer_that_the_text_does_not_contain_is_set_aside() -> None:
    result = await ask(answering("William Smith", 0.2), "Who built the mill?")
    assert result.fields == {"text": REFUSAL, "unsupported": "William Smith"}


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [("Translate it.", "El molino"), ("Can you explain it at length?", "A mill grinds grain. " * 20)],
    ids=["no question", "a long answer"],
)
async def test_tasks_are_not_checked(prompt: str, answer: str) -> None:
    engine = answering(answer, 0.01)
    assert (await ask(engine, prompt)).fields["text"] == answer
    assert len(engine.requests) == 1


async def test_without_a_text_nothing_is_checked() -> None:
    engine = answering("Lima", 0.01)
    async with dispatching(engine) as dispatcher:
        result = await dispatcher.run(Call("chat", {"prompt": "What is the capital of Peru?"}))
    assert result.fields == {"text": "Lima"}


async def test_a_model_that_cannot_tell_is_not_asked() -> None:
    engine = ScriptedEngine(["1822"], model="qwen2.5-coder-0.5b")
    assert (await ask(engine, "Who built the mill?")).fields["text"] == "1822"


@pytest.mark.parametrize(("said", "text"), [("yes", "1822"), ("no", REFUSAL)])
async def test_without_logprobs_the_word_decides(said: str, text: str) -> None:
    engine = ScriptedEngine(["1822", said], capabilities=replace(EVERYTHING, logprobs=False))
    assert (await ask(engine, "When was it built?")).fields["text"] == text
