"""chat over texts: which are sent, and an answer without our delimiters."""

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonValue
from engines.errors import InvalidAnswerError
from tests.tools.pipeline.test_dispatch import ESTIMATOR, dispatching
from tools.base import Call
from tools.pipeline.prompts import fenced

pytestmark = pytest.mark.anyio

TEXT = "# Notes\n\nHello."


async def reworded(engine: ScriptedEngine, text: str = TEXT) -> str:
    async with dispatching(engine) as dispatcher:
        result = await dispatcher.run(Call("chat", {"prompt": "Reword this.", "text": text}))
    return str(result.fields["text"])


async def test_delimiters_that_the_model_copies_are_left_out() -> None:
    copied = fenced(TEXT).replace("Hello", "Welcome")
    assert (
        await reworded(ScriptedEngine([f"Here it is:\n\n{copied}"])) == "Here it is:\n\n# Notes\n\nWelcome."
    )


async def test_delimiters_of_the_text_itself_stay() -> None:
    text = f"{fenced('one')}\nis how a prompt holds a text."
    assert await reworded(ScriptedEngine([text]), text) == text


async def test_an_answer_of_nothing_but_delimiters_is_asked_for_again() -> None:
    opening, *_, closing = fenced(TEXT).split("\n")
    engine = ScriptedEngine([f"{opening}\n{closing}", "Welcome."])
    assert await reworded(engine) == "Welcome."
    assert [request.temperature for request in engine.requests] == [0.0, 0.5]


async def test_nothing_but_delimiters_twice_is_an_error() -> None:
    opening = fenced(TEXT).split("\n")[0]
    with pytest.raises(InvalidAnswerError, match="repeated its instructions"):
        await reworded(ScriptedEngine([opening, opening]))


async def test_of_thousands_of_tiny_texts_those_nearest_to_the_question_are_sent() -> None:
    items: list[JsonValue] = [f"number {number}" for number in range(2_000)]
    items.append("The mill was built in 1822.")
    engine = ScriptedEngine(["1822", "yes"])
    async with dispatching(engine) as dispatcher:
        result = await dispatcher.run(Call("chat", {"prompt": "When was the mill built?", "items": items}))
    assert result.fields["text"] == "1822"
    assert any("read 1 of" in note for note in result.receipt.notes)
    sent = engine.requests[0].messages[-1].content
    assert str(items[-1]) in sent
    tokens = (await ESTIMATOR.get()).count(sent)
    assert tokens < 16_384
