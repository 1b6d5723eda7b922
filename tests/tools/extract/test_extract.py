"""extract: what rules find in texts of many kinds, what a model is asked, the evidence of each value."""

import json
from dataclasses import replace
from typing import cast

import pytest

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import JsonObject, JsonValue, Request
from tests.tools.extract.extract_cases import CASES, Case
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call, Result
from tools.pipeline.bounded import MANY, bounded
from tools.pipeline.structured import check, validator_of

pytestmark = pytest.mark.anyio

SMALL = 0.135
MIDDLE = 1.5
LARGE = 20.0
TEXT_ONLY = replace(EVERYTHING, embed=False)


async def extract(engine: ScriptedEngine, **arguments: JsonValue) -> Result:
    async with dispatching(engine) as dispatcher:
        return await dispatcher.run(Call("extract", arguments))


def silent() -> ScriptedEngine:
    """A model too small to be asked; the test fails if it is."""

    def refuse(request: Request) -> str:
        raise AssertionError(f"asked: {request.messages[-1].content}")

    return ScriptedEngine(refuse, parameters=SMALL, capabilities=TEXT_ONLY)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_rules_find_what_stands_in(case: Case) -> None:
    arguments: JsonObject = {"text": case.text, "schema": case.schema}
    if case.instructions:
        arguments["instructions"] = case.instructions
    result = await extract(silent(), **arguments)
    assert result.fields["data"] == case.expected
    check(result.fields["data"], validator_of(case.schema))
    assert result.receipt.decided_by == "parser"


async def test_evidence_is_the_line_a_value_was_read_from_and_not_another_with_the_same_digits() -> None:
    text = "retry 3 times\nrun 3 of 9\n3 failed, 41 passed\n"
    schema: JsonObject = {
        "type": "object",
        "properties": {"failed": {"type": "integer"}, "passed": {"type": "integer"}},
        "required": ["failed", "passed"],
    }
    result = await extract(silent(), text=text, schema=schema)
    assert result.fields["data"] == {"failed": 3, "passed": 41}
    evidence = {"path": "", "line": 3, "quote": "3 failed, 41 passed"}
    assert result.fields["evidence"] == {"/failed": evidence, "/passed": evidence}


async def test_what_was_counted_and_not_read_is_unsupported() -> None:
    text = "ERROR one\nINFO 2\nERROR two\n"
    schema: JsonObject = {"type": "object", "properties": {"errors": {"type": "integer"}}}
    result = await extract(silent(), text=text, schema=schema)
    assert result.fields["data"] == {"errors": 2}
    assert result.fields["unsupported"] == ["/errors"]


NAMED: JsonObject = {
    "type": "object",
    "properties": {
        "version": {"type": "string"},
        "mood": {"type": "string"},
        "sender": {"type": ["string", "null"]},
    },
    "required": ["version", "mood", "sender"],
}


async def test_a_small_model_is_asked_only_for_what_the_schema_demands_and_rules_do_not_find() -> None:
    engine = ScriptedEngine(['{"mood":"glad"}'], parameters=SMALL, capabilities=TEXT_ONLY)
    result = await extract(engine, text="We are glad to ship version 1.2.", schema=NAMED)
    assert result.fields["data"] == {"version": "1.2", "mood": "glad", "sender": None}
    [request] = engine.requests
    wanted: JsonObject = {**NAMED, "properties": {"mood": {"type": "string"}}, "required": ["mood"]}
    assert request.schema == bounded(wanted, request.max_tokens, MANY)
    assert result.receipt.decided_by == "parser+model"


async def test_a_model_of_some_size_is_asked_for_all_that_rules_leave_open() -> None:
    engine = ScriptedEngine(['{"mood":"glad","sender":"us"}'], parameters=MIDDLE, capabilities=TEXT_ONLY)
    result = await extract(engine, text="We are glad to ship version 1.2.", schema=NAMED)
    assert result.fields["data"] == {"version": "1.2", "mood": "glad", "sender": "us"}
    assert result.fields["unsupported"] == ["/sender"]


@pytest.mark.parametrize("parameters", [LARGE, 0.0])
async def test_the_answer_of_a_large_model_takes_precedence_over_rules(parameters: float) -> None:
    answer = json.dumps({"version": "1.1", "mood": "glad", "sender": None})
    engine = ScriptedEngine([answer], parameters=parameters, capabilities=TEXT_ONLY)
    result = await extract(engine, text="Version 1.2 mends 1.1; we are glad.", schema=NAMED)
    assert result.fields["data"] == json.loads(answer)
    assert result.receipt.decided_by == "model"


async def test_what_a_large_model_made_up_or_cut_short_is_corrected_by_rules() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "version": {"type": "string"},
            "issues": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["version", "issues"],
    }
    engine = ScriptedEngine(['{"version":"9.9","issues":[1]}'], parameters=LARGE, capabilities=TEXT_ONLY)
    result = await extract(engine, text="Version 1.2 closes #1, #2 and #3.", schema=schema)
    assert result.fields["data"] == {"version": "1.2", "issues": [1, 2, 3]}
    assert result.receipt.decided_by == "parser+model"


async def test_a_schema_rules_cannot_read_is_left_to_the_model() -> None:
    schema: JsonObject = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
    engine = ScriptedEngine(['{"anything":"here"}'], parameters=SMALL, capabilities=TEXT_ONLY)
    result = await extract(engine, text="anything is here", schema=schema)
    assert result.fields["data"] == {"anything": "here"}
    assert result.receipt.decided_by == "model"


async def test_what_rules_find_but_the_schema_refuses_is_asked_of_the_model() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}},
        "required": ["version"],
    }
    engine = ScriptedEngine(['{"version":"1.2.0"}'], parameters=SMALL, capabilities=TEXT_ONLY)
    result = await extract(engine, text="Version 1.2", schema=schema)
    assert result.fields["data"] == {"version": "1.2.0"}
    assert result.fields["unsupported"] == ["/version"]


async def test_many_records_come_from_the_lines_of_several_files_without_doubles() -> None:
    result = await extract(
        silent(),
        items=["a==1.0\nb==2.1\n", "b==2.1\nc==3.3.3\n"],
        many=True,
        fields={"package": "name of the package", "version": "its version"},
    )
    assert result.fields["records"] == [
        {"package": "a", "version": "1.0"},
        {"package": "b", "version": "2.1"},
        {"package": "c", "version": "3.3.3"},
    ]
    evidence = cast("dict[str, JsonObject]", result.fields["evidence"])
    assert evidence["/2/version"]["line"] == 2


async def test_one_record_an_item() -> None:
    result = await extract(
        silent(), items=["Email: a@example.com", "no address"], fields={"email": "the address"}
    )
    assert result.fields["records"] == [{"email": "a@example.com"}, {"email": None}]
