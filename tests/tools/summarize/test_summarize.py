"""summarize: which model writes, what is covered, what is cached, and what is unsupported."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import Embeddings, Engine, JsonObject, JsonValue, Request
from engines.errors import InvalidAnswerError
from engines.middleware.cache import CachedEngine
from engines.routing import Router, Tier
from engines.storage.store import Store
from engines.tokens import LazyEstimator
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Project, Result
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.prompts import fenced

pytestmark = pytest.mark.anyio

SMALL = 0.135
LARGE = 20.0
TIERS = [Tier("small", 512, 4096, 500), Tier("main", 512, 4096, 2000)]
SUBJECTS = ("harbour", "budget", "school", "bridge", "weather", "library")


class Subjects(ScriptedEngine):
    """Embeds a text by the subject it mentions."""

    async def embed(self, texts: Sequence[str], *, deadline: float = 0) -> Embeddings:
        self.embedded += texts
        vectors: list[tuple[float, ...]] = []
        for text in texts:
            counts = [float(len(re.findall(subject, text.lower()))) for subject in SUBJECTS] + [0.1]
            length = sum(count * count for count in counts) ** 0.5
            vectors.append(tuple(count / length for count in counts))
        return Embeddings(tuple(vectors), len(texts), "subjects")


def refuse(request: Request) -> str:
    raise AssertionError(f"asked: {request.messages[-1].content[:200]}")


@asynccontextmanager
async def dispatching(engine: Engine, folder: Path) -> AsyncGenerator[Dispatcher]:
    async with engine:
        router = Router(TIERS, {"small": engine, "main": engine}.__getitem__)
        yield Dispatcher(router, SingleEngine(engine), LazyEstimator(folder), deadline_s=30)


async def summarize(engine: Engine, folder: Path, **arguments: JsonValue) -> Result:
    async with dispatching(engine, folder) as dispatcher:
        return await dispatcher.run(Call("summarize", arguments))


def small() -> Subjects:
    return Subjects(refuse, parameters=SMALL)


REPORT = """# The year in town

The harbour was deepened this spring and the harbour crane was replaced by a new one.
Ferries may now enter the harbour at low water. The school has two more classes since autumn.
The budget was balanced for the third year in a row, said the treasurer.

The harbour was deepened in spring and its old crane gave way to another harbour crane.
A new bridge leads over the river at the mill. In all the budget came to 4 million crowns.
"""


QUESTION = "How many classes has the school?"


async def test_a_small_model_is_not_asked_to_write(tmp_path: Path) -> None:
    result = await summarize(small(), tmp_path, text=REPORT, max_words=60)
    summary = result.fields["summary"]
    assert isinstance(summary, str)
    for sentence in re.split(r"(?<=\.) ", summary.removeprefix("The year in town. ")):
        assert sentence in " ".join(REPORT.split())
    assert result.receipt.decided_by == "sentences"
    covered = cast("dict[str, int]", result.fields["covered"])
    assert (covered["files"], covered["chunks"]) == (0, 1)
    assert 100 < covered["tokens"] < 200


async def test_repeated_sentences_are_selected_once(tmp_path: Path) -> None:
    sentence = "The harbour was deepened in spring and its crane replaced."
    again = "In spring the harbour was deepened and its crane replaced again."
    text = f"{sentence} {again} A new bridge leads over the river. The school has two more classes now."
    result = await summarize(small(), tmp_path, text=text, max_words=60)
    summary = str(result.fields["summary"])
    assert (sentence in summary) != (again in summary)
    assert "bridge" in summary
    assert "school" in summary


async def test_a_question_finds_its_sentence(tmp_path: Path) -> None:
    result = await summarize(
        small(), tmp_path, text=REPORT, focus="How many classes has the school?", style="tldr"
    )
    assert result.fields["summary"] == "The school has two more classes since autumn."


async def test_bullets_stand_in_the_order_of_the_text_under_its_title(tmp_path: Path) -> None:
    result = await summarize(small(), tmp_path, text=REPORT, style="bullets", max_words=80)
    title, *lines = str(result.fields["summary"]).split("\n")
    assert title == "The year in town:"
    assert all(line.startswith("- ") for line in lines)
    places = [" ".join(REPORT.split()).index(line.removeprefix("- ")) for line in lines]
    assert places == sorted(places)
    assert len(places) > 1


@pytest.mark.parametrize("max_words", [5, 12, 40, 150])
async def test_no_summary_has_more_words_than_allowed(max_words: int, tmp_path: Path) -> None:
    result = await summarize(small(), tmp_path, text=REPORT * 20, max_words=max_words)
    assert 0 < len(str(result.fields["summary"]).split()) <= max_words


async def test_a_word_of_300_kb_is_no_summary_of_few_words(tmp_path: Path) -> None:
    result = await summarize(small(), tmp_path, text="It failed at step 1: " + "x" * 300_000, max_words=50)
    assert 0 < len(str(result.fields["summary"])) <= 1_000


async def test_a_text_without_spaces_is_cut_as_well(tmp_path: Path) -> None:
    writer = Subjects(lambda request: "字" * 9_000, parameters=LARGE)
    result = await summarize(writer, tmp_path, text=REPORT, max_words=50)
    assert result.fields["summary"] == "字" * 1_000


async def test_a_speaker_keeps_the_name(tmp_path: Path) -> None:
    text = (
        "Ann: We should talk about the bridge today, I think.\nBo: Fine with me.\n"
        "Ann: The bridge will be closed from May until the end of June.\n"
        "Bo: Then the school needs another bus.\n"
    )
    result = await summarize(small(), tmp_path, text=text, focus="When is the bridge closed?", style="tldr")
    assert result.fields["summary"] == "Ann: The bridge will be closed from May until the end of June."


async def test_a_fact_in_the_last_tenth_of_a_long_file_is_found(tmp_path: Path) -> None:
    filler = "\n\n".join(
        f"Paragraph {n} tells of the weather and again of the weather on day {n} of the {n % 7}th week."
        for n in range(3_000)
    )
    at = int(len(filler) * 0.95)
    at = filler.index("\n\n", at)
    text = f"{filler[:at]}\n\nThe library opens at nine on Mondays.{filler[at:]}"
    engine = small()
    result = await summarize(engine, tmp_path, text=text, focus="When does the library open?", max_words=40)
    assert "The library opens at nine on Mondays." in str(result.fields["summary"])
    assert cast("JsonObject", result.fields["covered"])["chunks"] == 47
    assert len(engine.embedded) == 3_002


async def test_reading_a_long_text_reports_progress(tmp_path: Path) -> None:
    fractions: list[float] = []

    async def progress(done: float, total: float, message: str) -> None:
        fractions.append(done / total)

    text = " ".join(f"The harbour of town number {n} is deep enough." for n in range(500))
    async with dispatching(small(), tmp_path) as dispatcher:
        await dispatcher.run(Call("summarize", {"text": text}), progress)
    assert fractions == sorted(fractions)
    assert len(fractions) > 5
    assert fractions[-1] == 1


@pytest.mark.parametrize("change", ["question", "text"])
async def test_asked_again_only_what_is_new_is_read(change: str, tmp_path: Path) -> None:
    engine = small()
    paragraphs = [f"In year {n} the harbour of the town was deepened by {n} feet." for n in range(400)]
    async with Store(tmp_path / "cache.sqlite") as store:
        cached = CachedEngine(engine, store)
        async with dispatching(cached, tmp_path) as dispatcher:
            first: dict[str, JsonValue] = {
                "text": "\n\n".join(paragraphs),
                "focus": "How deep is the harbour?",
            }
            await dispatcher.run(Call("summarize", first))
            before = len(engine.embedded)
            assert before == 401
            if change == "question":
                again = {**first, "focus": "Which year was it?"}
            else:
                again = {
                    **first,
                    "text": "\n\n".join([*paragraphs[:200], "The bridge is closed.", *paragraphs[200:]]),
                }
            await dispatcher.run(Call("summarize", again))
    assert len(engine.embedded) == before + 1


async def test_without_embeddings_words_are_compared(tmp_path: Path) -> None:
    engine = ScriptedEngine(refuse, parameters=SMALL, capabilities=replace(EVERYTHING, embed=False))
    result = await summarize(
        engine, tmp_path, text=REPORT, focus="How many classes has the school?", style="tldr"
    )
    assert result.fields["summary"] == "The school has two more classes since autumn."


async def test_a_text_without_sentences_is_left_to_the_model(tmp_path: Path) -> None:
    engine = Subjects(["numbers"], parameters=SMALL)
    result = await summarize(engine, tmp_path, text="1,2,3\n4,5,6\n" * 3)
    assert result.fields["summary"] == "numbers"
    assert result.receipt.decided_by == "model"


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("paragraph", "60 lines of 2 kinds\n20 times: … ERROR no route to …\n40 times: … INFO served …"),
        ("bullets", "60 lines of 2 kinds:\n- 20 times: … ERROR no route to …\n- 40 times: … INFO served …"),
        ("tldr", "60 lines of 2 kinds: 20 times: … ERROR no route to …"),
    ],
)
async def test_a_log_is_counted_where_the_model_cannot_write(
    style: str, expected: str, tmp_path: Path
) -> None:
    lines = (
        f"10:00:{n} {f'INFO served {n}' if n % 3 else f'ERROR no route to 10.0.0.{n}'}" for n in range(60)
    )
    result = await summarize(small(), tmp_path, text="\n".join(lines), style=style)
    assert result.fields["summary"] == expected
    assert result.receipt.decided_by == "parser"


@pytest.mark.parametrize("parameters", [LARGE, 0.0])
async def test_a_larger_model_writes(parameters: float, tmp_path: Path) -> None:
    engine = Subjects(["The town deepened its harbour."], parameters=parameters)
    result = await summarize(engine, tmp_path, text=REPORT)
    assert result.fields["summary"] == "The town deepened its harbour."
    assert result.receipt.decided_by == "model"
    assert engine.embedded == []


async def test_numbers_and_names_a_model_made_up_are_reported(tmp_path: Path) -> None:
    said = "In 1987 the treasurer and Carl Nobody spent 4 million crowns on the harbour."
    result = await summarize(Subjects([said], parameters=LARGE), tmp_path, text=REPORT)
    assert "not in the text: 1987, Carl Nobody" in result.receipt.notes


async def test_every_part_of_a_long_text_is_read_by_a_model_that_writes(tmp_path: Path) -> None:
    engine = Subjects([f"part {n}" for n in range(40)], parameters=LARGE)
    text = "\n\n".join(
        f"Paragraph {n} of the long report about the harbour and its ferries." for n in range(1_500)
    )
    result = await summarize(engine, tmp_path, text=text)
    read = " ".join(request.messages[-1].content for request in engine.requests)
    assert all(f"Paragraph {n} " in read for n in (0, 749, 1_499))
    assert cast("dict[str, int]", result.fields["covered"])["chunks"] > 2


FACT = "The vote of the council on the new library was 41 to 17."


def long_report(tokens: int) -> str:
    """Returns about ``tokens`` tokens, with ``FACT`` at 95 % of them."""
    line = "Paragraph {} of the long report is about the harbour, its ferries and the weather over the town."
    paragraphs = [line.format(n) for n in range(tokens // 21)]
    paragraphs.insert(int(len(paragraphs) * 0.95), FACT)
    return "\n\n".join(paragraphs)


def keeps_the_fact(request: Request) -> str:
    """Answers with the vote if the prompt mentions it, else with a neutral sentence."""
    return FACT if FACT in request.messages[-1].content else "The harbour, its ferries and the weather."


async def test_a_fact_in_the_last_tenth_of_100_000_tokens_reaches_the_partial_summaries(
    tmp_path: Path,
) -> None:
    engine = Subjects(keeps_the_fact, parameters=LARGE)
    fractions: list[float] = []

    async def progress(done: float, total: float, message: str) -> None:
        fractions.append(done / total)

    async with dispatching(engine, tmp_path) as dispatcher:
        call = Call("summarize", {"text": long_report(100_000)})
        result = await dispatcher.run(call, progress)
    covered = cast("dict[str, int]", result.fields["covered"])
    assert 90_000 < covered["tokens"] < 110_000
    assert FACT in engine.requests[-1].messages[-1].content
    assert result.fields["summary"] == FACT
    assert fractions == sorted(fractions)
    assert len(fractions) >= covered["chunks"] > 20


@pytest.mark.parametrize("parameters", [SMALL, LARGE])
async def test_the_work_grows_with_the_length_and_no_faster(parameters: float, tmp_path: Path) -> None:
    work: list[int] = []
    for tokens in (10_000, 50_000, 100_000):
        engine = Subjects(keeps_the_fact, parameters=parameters)
        await summarize(engine, tmp_path, text=long_report(tokens))
        read = sum(len(request.messages[-1].content) for request in engine.requests)
        work.append(read + sum(map(len, engine.embedded)))
    assert work[1] / work[0] == pytest.approx(5, rel=0.15)
    assert work[2] / work[1] == pytest.approx(2, rel=0.1)


async def test_a_changed_file_is_read_again_only_where_it_changed(tmp_path: Path) -> None:
    engine = Subjects(["A part about the harbour."] * 20, parameters=LARGE)
    paragraphs = [
        f"Paragraph {n} of the long report about the harbour and its ferries." for n in range(1_500)
    ]
    async with (
        Store(tmp_path / "cache.sqlite") as store,
        dispatching(CachedEngine(engine, store), tmp_path) as dispatcher,
    ):
        await dispatcher.run(Call("summarize", {"text": "\n\n".join(paragraphs)}))
        before = len(engine.requests)
        paragraphs[-1] = "The last paragraph is another one now."
        await dispatcher.run(Call("summarize", {"text": "\n\n".join(paragraphs)}))
    assert before > 3
    assert len(engine.requests) == before + 1


DIFF = """diff --git a/src/store.py b/src/store.py
index 1111111..2222222 100644
--- a/src/store.py
+++ b/src/store.py
@@ -10,6 +10,10 @@ class Store:
     def get(self, key):
         return self._held.get(key)

+    def purge(self):
+        self._held.clear()
+
     def put(self, key, value):
         self._held[key] = value
"""


async def test_a_diff_is_named_by_what_it_changes(tmp_path: Path) -> None:
    subject = "Write a one-line commit subject for this diff."
    result = await summarize(small(), tmp_path, text=DIFF, instructions=subject)
    assert result.fields["summary"] == "Add purge"
    assert result.receipt.decided_by == "parser"


async def test_a_diff_lists_every_file_unless_one_line_is_asked_for(tmp_path: Path) -> None:
    result = await summarize(small(), tmp_path, text=DIFF)
    assert result.fields["summary"] == "Add purge\n- src/store.py changed: +3 -0 in purge, Store, get, put"


async def test_a_text_of_two_words_is_its_own_summary(tmp_path: Path) -> None:
    for parameters in (SMALL, LARGE):
        engine = ScriptedEngine(refuse, parameters=parameters)
        assert (await summarize(engine, tmp_path, text="Two words\n")).fields["summary"] == "Two words"


async def test_a_utf_16_file_of_two_words_is_its_own_summary(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("Dos palabras\n", encoding="utf-16")
    call = Call("summarize", {"paths": ["two.txt"]}, project=Project("p", tmp_path))
    for parameters in (SMALL, LARGE):
        async with dispatching(ScriptedEngine(refuse, parameters=parameters), tmp_path) as dispatcher:
            assert (await dispatcher.run(call)).fields["summary"] == "Dos palabras"


ECHO = "Say what it is about first, then what matters most; no introduction."
TEXT = "The harbour was closed for two weeks. The bridge stayed open. " * 5


async def test_a_summary_that_repeats_our_prompt_is_asked_for_again(tmp_path: Path) -> None:
    engine = ScriptedEngine([ECHO, "The harbour was closed."], parameters=LARGE)
    assert (await summarize(engine, tmp_path, text=TEXT)).fields["summary"] == "The harbour was closed."
    first, second = engine.requests
    assert first.temperature != second.temperature


async def test_a_summary_that_repeats_our_prompt_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswerError, match="repeated its instructions"):
        await summarize(ScriptedEngine([ECHO, ECHO], parameters=LARGE), tmp_path, text=TEXT)


async def test_a_summary_has_none_of_our_delimiters(tmp_path: Path) -> None:
    engine = ScriptedEngine([fenced(TEXT)], parameters=LARGE)
    assert (await summarize(engine, tmp_path, text=TEXT)).fields["summary"] == TEXT.strip()


async def test_what_the_text_says_itself_is_no_repetition(tmp_path: Path) -> None:
    engine = ScriptedEngine([ECHO], parameters=LARGE)
    assert (await summarize(engine, tmp_path, text=f"{TEXT} {ECHO}")).fields["summary"] == ECHO
