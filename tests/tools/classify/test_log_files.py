"""classify over the lines of odd log files."""

import tempfile
import time
from pathlib import Path
from typing import cast

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonValue, Request
from engines.errors import AgentError
from engines.routing import Router, Tier
from engines.tokens import LazyEstimator
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Project, Result
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.results import ResultFiles
from tools.pipeline.short import MOST_TOKENS
from tools.pipeline.structured import compact

pytestmark = pytest.mark.anyio

ESTIMATOR = LazyEstimator(Path(tempfile.gettempdir(), "local-llm-agent-tokens"))
TIER = Tier("small", 512, 4096, 500)
ERROR, INFO = "12:00:01 ERROR pool is empty", "12:00:{:02d} INFO request {} done"


def reader(request: Request) -> str:
    """Answers as a model that knows what an empty pool is."""
    return f'{{"label": "{"error" if "pool" in str(request.messages) else "noise"}"}}'


async def sorted_lines(folder: Path, content: bytes, results: Path | None = None) -> Result:
    (folder / "a.log").write_bytes(content)
    engine = ScriptedEngine(reader)
    store = ResultFiles(results or folder / "results")
    async with engine:
        dispatcher = Dispatcher(
            Router([TIER], lambda tier: engine), SingleEngine(engine), ESTIMATOR, deadline_s=60, results=store
        )
        arguments: dict[str, JsonValue] = {
            "paths": ["a.log"], "split": "line", "labels": ["error", "warning", "noise"],
        }  # fmt: skip
        return await dispatcher.run(Call("classify", arguments, project=Project("p", folder)))


def usual(count: int) -> list[str]:
    return [INFO.format(n % 60, n) for n in range(count)]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join([*usual(80), ERROR]).encode(),
        "\r\n".join([*usual(80), ERROR, ""]).encode(),
        "\n".join(f"\x1b[32m{line}\x1b[0m" for line in [*usual(80), ERROR]).encode(),
        "\n".join([*usual(80), ERROR]).encode("utf-16"),
        b"\n".join([*(line.encode() for line in usual(80)), ERROR.encode() + b" \xff\xfe"]),
        "\n".join([*usual(80), ERROR + " x" * 500_000]).encode(),
    ],
    ids=["no newline at the end", "CRLF", "colours", "UTF-16", "bytes that are no text", "a line of 1 MB"],
)
async def test_odd_lines_are_sorted_like_any_other(tmp_path: Path, content: bytes) -> None:
    result = await sorted_lines(tmp_path, content)
    assert result.fields["counts"] == {"noise": 80, "error": 1}
    first, *_ = cast("list[dict[str, JsonValue]]", result.fields["groups"])
    assert (first["label"], first["ids"]) == ("error", "81")
    assert len(compact(result.fields)) < 4 * MOST_TOKENS


async def test_a_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"a\.log is a binary file"):
        await sorted_lines(tmp_path, b"\x00\x01\x02\n" * 100)


async def test_lines_that_are_all_different_are_sorted_one_by_one_with_a_short_answer(tmp_path: Path) -> None:
    words = [f"12:00:00 {''.join(chr(97 + int(d)) for d in str(n * 7919))} happened" for n in range(300)]
    result = await sorted_lines(tmp_path, "\n".join(words).encode())
    assert result.fields["counts"] == {"noise": 300}
    assert len(compact(result.fields)) < 4 * MOST_TOKENS


async def test_without_a_place_for_results_the_answer_still_comes_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = await sorted_lines(tmp_path, "\n".join([*usual(80), ERROR]).encode(), tmp_path / "file")
    assert result.fields["counts"] == {"noise": 80, "error": 1}
    assert "results_file" not in result.fields
    assert any("results are not stored" in note for note in result.receipt.notes)


async def test_sixty_thousand_lines_take_seconds(tmp_path: Path) -> None:
    started = time.perf_counter()
    result = await sorted_lines(tmp_path, "\n".join([*usual(60_000), ERROR]).encode())
    assert result.fields["counts"] == {"noise": 60_000, "error": 1}
    assert time.perf_counter() - started < 30


async def test_kinds_the_model_has_no_time_for_get_the_label_of_the_most_similar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.classify.decide.READING_S", 0.0)
    said = [
        *("tea was served", "rain falls", "all doors close at six", "a train leaves for the coast"),
        *("cats sleep", "nobody answered", "bread bakes", "moon rose", "she reads a book"),
    ]
    lines = [f"12:00:{n:02d} INFO {what}" for n in range(3) for what in said]
    rare = ["12:01:00 the pool of the garden is empty", "12:02:00 INFO oats bake"]
    often = ["12:01:30 the pool is empty"] * 9
    result = await sorted_lines(tmp_path, "\n".join([*lines, *often, *rare]).encode())
    assert result.fields["counts"] == {"noise": 28, "error": 10}
    assert any("of the most similar one" in note for note in result.receipt.notes)
