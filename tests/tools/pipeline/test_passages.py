"""Passages: the nearest to a question come first, in the order of the text, within the budget."""

from dataclasses import replace

import pytest

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import JsonValue
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call

pytestmark = pytest.mark.anyio

FILLER = "The weather on day {} of the voyage was fair, and the crew mended the sails.\n"
TEXT = "".join(FILLER.format(n) for n in range(2_000))
HERRING = "The harbour of Bergen exports dried herring.\n"


def with_fact(at: int) -> str:
    border = TEXT.index("\n", at) + 1
    return TEXT[:border] + HERRING + TEXT[border:]


@pytest.fixture(params=[True, False], ids=["embeddings", "words only"])
def engine(request: pytest.FixtureRequest) -> ScriptedEngine:
    return ScriptedEngine(lambda _: "It is herring.", capabilities=replace(EVERYTHING, embed=request.param))


async def asked(engine: ScriptedEngine, **arguments: JsonValue) -> tuple[str, list[str]]:
    """Returns the prompt of a chat's first request, and the notes of its receipt."""
    async with dispatching(engine) as dispatcher:
        result = await dispatcher.run(Call("chat", arguments))
    return engine.requests[0].messages[-1].content, list(result.receipt.notes)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_chat_over_a_file_too_long_reads_the_passages_nearest_to_the_question(
    engine: ScriptedEngine, share: float
) -> None:
    text = with_fact(int(share * len(TEXT)))
    prompt, notes = await asked(engine, text=text, prompt="What does the harbour of Bergen export")
    assert HERRING in prompt
    assert len(prompt) < len(text) / 4
    assert "[...]" in prompt
    assert any("most relevant" in note for note in notes)


async def test_passages_keep_the_order_of_the_text(engine: ScriptedEngine) -> None:
    prompt, _ = await asked(engine, text=with_fact(len(TEXT) // 2), prompt="harbour of Bergen")
    days = [int(line.split()[4]) for line in prompt.split("\n") if line.startswith("The weather on day ")]
    assert days == sorted(days)


async def test_a_text_that_fits_is_sent_whole(engine: ScriptedEngine) -> None:
    prompt, notes = await asked(engine, text=TEXT[:2_000], prompt="What was the weather")
    assert TEXT[:1_990] in prompt
    assert notes == []


async def test_documents_without_a_passage_are_left_out(engine: ScriptedEngine) -> None:
    items: list[JsonValue] = [TEXT, HERRING * 3]
    prompt, _ = await asked(engine, items=items, prompt="What does Bergen export")
    assert HERRING in prompt
