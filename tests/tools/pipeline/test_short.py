"""Default answers have at most 2,000 tokens, whatever they contain; the rest is in a results file."""

import errno
import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject, JsonValue, Request
from engines.tokens import BYTES
from tests.tools.pipeline.test_dispatch import ESTIMATOR, dispatching
from tools.arguments import Arguments
from tools.base import Call, Project, Result
from tools.pipeline.results import ResultFiles
from tools.pipeline.run import Run
from tools.pipeline.short import MOST_TOKENS, rows_of, shortened
from tools.pipeline.structured import compact
from tools.tool import Output, Tool

pytestmark = pytest.mark.anyio

RECORDS = 3_000
LOG = "".join(
    f'10.0.{n // 250}.{n % 250} - - [10/Oct/2026:13:55:36 +0000] "GET /item/{n} HTTP/1.1" 200 {n}\n'
    for n in range(RECORDS)
)
FIELDS: JsonObject = {"ip": "address", "path": "path", "status": "status"}


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path / "results")


async def tokens(value: JsonValue) -> int:
    return (await ESTIMATOR.get()).count(compact(value))


async def ask(files: ResultFiles | None, engine: ScriptedEngine, call: Call) -> Result:
    async with dispatching(engine, results=files) as dispatcher:
        return await dispatcher.run(call)


def stored(fields: JsonObject) -> list[dict[str, Any]]:
    """Returns the rows of the results file."""
    return [json.loads(line) for line in Path(str(fields["results_file"])).read_text().splitlines()]


def read_log(folder: Path, **arguments: JsonValue) -> Call:
    (folder / "access.log").write_text(LOG)
    asked: JsonObject = {"paths": ["access.log"], "many": True, "fields": FIELDS, **arguments}
    return Call("extract", asked, Project("p", folder))


async def test_of_many_records_the_first_ten_are_returned_and_all_are_in_the_file(
    files: ResultFiles, tmp_path: Path
) -> None:
    result = await ask(files, ScriptedEngine(), read_log(tmp_path))
    fields = cast("dict[str, Any]", result.fields)
    assert await tokens(result.fields) <= MOST_TOKENS
    assert (len(fields["records"]), fields["total"]) == (10, RECORDS)
    assert set(fields["evidence"]) == {f"/{n}" for n in range(10)}
    rows = stored(result.fields)
    assert len(rows) == RECORDS
    assert rows[0]["record"] == fields["records"][0]
    assert rows[-1] == {
        "record": {"ip": "10.0.11.249", "path": "/item/2999", "status": "200"},
        "evidence": {"": 3000},
    }


async def test_the_saving_counts_the_shortened_answer(files: ResultFiles, tmp_path: Path) -> None:
    short = await ask(files, ScriptedEngine(), read_log(tmp_path))
    full = await ask(files, ScriptedEngine(), read_log(tmp_path, detail="full"))
    assert short.receipt.saved > short.receipt.tokens.read - MOST_TOKENS - 100
    assert short.receipt.saved > full.receipt.saved + 50_000


async def test_a_full_answer_is_not_cut_nor_stored(files: ResultFiles, tmp_path: Path) -> None:
    for call in (read_log(tmp_path, detail="full"), read_log(tmp_path)):
        full = Call(call.tool, call.arguments, call.project, full="detail" not in call.arguments)
        fields = (await ask(files, ScriptedEngine(), full)).fields
        assert len(cast("list[JsonValue]", fields["records"])) == RECORDS
        assert "total" not in fields
    assert not files.folder.exists()


async def test_a_short_answer_is_returned_as_it_is(files: ResultFiles) -> None:
    result = await ask(files, ScriptedEngine(["four"]), Call("chat", {"prompt": "2 + 2"}))
    assert result.fields == {"text": "four"}
    assert not files.folder.exists()


def words(request: Request) -> str:
    return "\n".join(f"Line {n} of the answer." for n in range(1_500))


@pytest.mark.parametrize(
    ("tool", "field", "arguments"),
    [
        ("chat", "text", {"prompt": "Write it all out.", "max_tokens": 2_048}),
        ("summarize", "summary", {"text": "A text. " * 50, "max_words": 2_000, "tier": "main"}),
    ],
)
async def test_of_a_long_text_the_beginning_is_returned_with_where_the_rest_is(
    files: ResultFiles, tool: str, field: str, arguments: JsonObject
) -> None:
    result = await ask(files, ScriptedEngine(words, parameters=20), Call(tool, arguments))
    full = await ask(files, ScriptedEngine(words, parameters=20), Call(tool, {**arguments, "detail": "full"}))
    text, whole = str(result.fields[field]), str(full.fields[field])
    assert await tokens(whole) > MOST_TOKENS
    assert 1_500 < await tokens(result.fields) <= MOST_TOKENS
    assert result.plain == field
    beginning, ending = text.rsplit("…", 1)
    assert whole.startswith(beginning)
    assert str(result.fields["results_file"]) in ending
    assert str(result.fields["results_uri"]) in ending
    assert "\n".join(row[field] for row in stored(result.fields)) == whole


async def test_classify_stays_short_with_many_items_and_long_labels(files: ResultFiles) -> None:
    labels: list[JsonValue] = [f"a label of some words, number {n}" for n in range(40)]
    items: list[JsonValue] = [f"text number {n}" for n in range(400)]
    call = Call("classify", {"items": items, "labels": labels})
    result = await ask(files, ScriptedEngine(parameters=0.1), call)
    assert await tokens(result.fields) <= MOST_TOKENS
    assert result.fields["total"] == 400
    assert len(stored(result.fields)) == 400


async def test_data_under_a_schema_is_cut_and_stored_whole(files: ResultFiles) -> None:
    data: JsonObject = {"names": [f"name_{n}" for n in range(400)], "note": "n" * 30_000}
    call = Call("chat", {"prompt": "p", "schema": {"type": "object"}, "tier": "main"})
    result = await ask(files, ScriptedEngine([json.dumps(data)]), call)
    cut = cast("dict[str, Any]", result.fields["data"])
    assert len(cut["names"]) == 10
    assert cut["note"].endswith("…")
    assert await tokens(result.fields) <= MOST_TOKENS
    assert stored(result.fields) == [{"data": data}]


async def test_without_room_on_the_disk_the_answer_still_comes_and_says_so(
    files: ResultFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ResultFiles, "_write", full_disk)
    result = await ask(files, ScriptedEngine(), read_log(tmp_path))
    assert "results_file" not in result.fields
    assert result.fields["total"] == RECORDS
    assert "No space left on device" in str(result.fields["not_stored"])
    assert any("detail=full" in note for note in result.receipt.notes)
    text = await ask(files, ScriptedEngine(words), Call("chat", {"prompt": "Write it.", "max_tokens": 2_048}))
    assert "detail=full" in str(text.fields["text"])
    assert await tokens(text.fields) <= MOST_TOKENS


async def test_a_dispatcher_without_results_files_cuts_all_the_same(tmp_path: Path) -> None:
    result = await ask(None, ScriptedEngine(), read_log(tmp_path))
    assert await tokens(result.fields) <= MOST_TOKENS
    assert "not_stored" in result.fields


async def test_the_rows_of_a_tool_are_stored_whatever_the_length(files: ResultFiles) -> None:
    rows: list[JsonObject] = [{"id": n} for n in range(30)]
    count = BYTES.count
    for full in (False, True):
        short = await shortened({"counts": {"a": 30}}, rows, plain="", count=count, results=files, full=full)
        assert short.fields["counts"] == {"a": 30}
        assert short.fields["total"] == 30
        assert stored(short.fields) == rows


def test_what_was_left_out_of_the_list_has_a_row_of_its_own() -> None:
    fields: JsonObject = {
        "records": [{"a/b": 1}, {"a/b": None}],
        "evidence": {"/0/a~1b": 7},
        "unsupported": [{"pointer": "/1/a~1b", "value": 2}, {"pointer": "/-", "value": 3}],
    }
    assert rows_of(fields) == [
        {"record": {"a/b": 1}, "evidence": {"/a~1b": 7}},
        {"record": {"a/b": None}, "evidence": {}, "unsupported": [{"pointer": "/a~1b", "value": 2}]},
        {"unsupported": [{"pointer": "/-", "value": 3}]},
    ]


async def test_evidence_of_what_is_cut_is_left_out_and_that_of_the_rest_is_kept(files: ResultFiles) -> None:
    fields: JsonObject = {
        "data": {"all": [{"name": f"name {n}", "a/b": "x" * 200} for n in range(100)], "one": "two"},
        "evidence": {"/one": 1, **{f"/all/{n}/{key}": n for n in range(100) for key in ("name", "a~1b")}},
        "unsupported": [{"pointer": f"/all/{n}/name", "value": "v"} for n in range(90, 100)],
    }
    count = (await ESTIMATOR.get()).count
    short = await shortened(fields, (), plain="", count=count, results=files, full=False)
    evidence = cast("dict[str, Any]", short.fields["evidence"])
    assert {"/one", "/all/0/name", "/all/9/a~1b"} <= set(evidence)
    assert len(evidence) == 21
    assert short.fields["unsupported"] == []
    assert stored(short.fields) == [fields]


def repeated(piece: str, times: int) -> str:
    return piece * times


def as_list(child: Any, times: int) -> Any:
    return [child] * times


def as_object(name: str, child: Any, times: int) -> Any:
    return {f"{name}{n}": child for n in range(times)}


def inside(child: Any, times: int) -> Any:
    """Returns ``child`` in as many lists in objects."""
    for _ in range(times):
        child = {"a": [child]}
    return child


def power(digits: int) -> int:
    return 10**digits


def pointer(parts: list[str]) -> str:
    return "".join(f"/{part}" for part in parts)


def entry(at: str, value: Any) -> Any:
    return {"pointer": at, "value": value}


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    deep = st.builds(inside, children, st.sampled_from([20, 3_000]))
    return st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4) | deep


SLOW = [
    HealthCheck.function_scoped_fixture,
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]
names = st.text(max_size=40)
texts = names | st.builds(repeated, st.text(min_size=1, max_size=5), st.sampled_from([100, 5_000, 30_000]))
numbers = st.integers() | st.integers(0, 4_000).map(power)
small = names | st.dictionaries(names, names, max_size=3)
wide = st.builds(as_list, small, st.sampled_from([20, 2_000]))
many_keys = st.builds(as_object, names, small, st.sampled_from([3, 500]))
leaves: st.SearchStrategy[Any] = st.none() | st.booleans() | st.floats(-1e9, 1e9) | numbers | texts
values = st.recursive(leaves | wide | many_keys, nested, max_leaves=6)
pointers = st.lists(st.sampled_from(["0", "1", "12", "-", "a", "", "x~1y"]), max_size=4).map(pointer)
answers = st.fixed_dictionaries(
    {},
    optional={
        "records": st.lists(values, max_size=3) | values,
        "data": values,
        "text": texts,
        "results": values,
        "counts": values,
        "evidence": st.dictionaries(pointers, st.integers(), max_size=5) | values,
        "unsupported": st.lists(st.builds(entry, pointers, values), max_size=3) | values,
    },
)


@given(fields=answers, rows=st.booleans(), by_bytes=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
async def test_any_answer_fits(files: ResultFiles, fields: JsonObject, rows: bool, by_bytes: bool) -> None:
    count = BYTES.count if by_bytes else (await ESTIMATOR.get()).count
    given_rows: list[JsonObject] = [{"id": 1}] if rows else []
    short = await shortened(fields, given_rows, plain="text", count=count, results=files, full=False)
    assert count(compact(short.fields)) <= MOST_TOKENS
    if short.fields != fields:
        assert "total" in short.fields
        assert ("results_file" in short.fields) != ("not_stored" in short.fields)


class Listed(Tool[Arguments]):
    name = "listed"
    arguments = Arguments

    async def run(self, arguments: Arguments, run: Run) -> Output:
        return Output({"counts": {"a": 2}}, rows=[{"id": 1}, {"id": 2}])


async def test_the_rows_of_a_tools_output_reach_the_file(files: ResultFiles) -> None:
    async with dispatching(ScriptedEngine(), results=files) as dispatcher:
        result = await dispatcher.serving(Listed()).run(Call("listed", {}))
    assert result.fields["total"] == 2
    assert stored(result.fields) == [{"id": 1}, {"id": 2}]
