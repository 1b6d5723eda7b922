"""extract: which texts are parsed, what the model is asked, what becomes of values the text does not hold."""

import json
from dataclasses import replace

import pytest

from engines.backends.scripted.engine import EVERYTHING, ScriptedEngine
from engines.base import JsonObject, JsonValue, Request
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call, Result
from tools.extract.tool import Extract
from tools.pipeline.structured import check, validator_of

pytestmark = pytest.mark.anyio

MYPY = """\
src/prices.py:7: error: Incompatible return value type  [return-value]
src/prices.py:12: error: Name "total" is not defined  [name-defined]
Found 2 errors in 1 file (checked 1 source file)
"""
PLACES: dict[str, JsonValue] = {"file": "source file", "line": "its line", "message": "what is wrong"}
PERSON: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "city": {"type": ["string", "null"]},
        "skills": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "city", "skills"],
    "additionalProperties": False,
}


async def extract(engine: ScriptedEngine, **arguments: JsonValue) -> Result:
    async with dispatching(engine) as dispatcher:
        return await dispatcher.run(Call("extract", arguments))


def silent() -> ScriptedEngine:
    """An engine that fails the test if it is asked."""

    def refuse(request: Request) -> str:
        raise AssertionError(f"asked: {request.messages[-1].content}")

    return ScriptedEngine(refuse)


async def test_a_text_of_a_known_format_is_parsed_and_no_model_is_asked() -> None:
    result = await extract(silent(), text=MYPY, many=True, fields=PLACES)
    assert result.fields["records"] == [
        {"file": "src/prices.py", "line": "7", "message": "Incompatible return value type"},
        {"file": "src/prices.py", "line": "12", "message": 'Name "total" is not defined'},
    ]
    assert result.fields["evidence"] == {"/0": 1, "/1": 2}
    assert result.fields["unsupported"] == []
    assert result.receipt.decided_by == "parser"


async def test_a_text_that_a_format_covers_in_part_is_read_by_the_model() -> None:
    engine = ScriptedEngine(['{"records":[]}'])
    result = await extract(engine, text=f"{MYPY}and then the build went on\n", many=True, fields=PLACES)
    assert result.receipt.decided_by == "model"


async def test_fields_that_a_format_does_not_have_are_asked_of_the_model() -> None:
    engine = ScriptedEngine(['{"records":[]}'])
    result = await extract(engine, text=MYPY, many=True, fields={**PLACES, "author": "who wrote it"})
    assert result.receipt.decided_by == "model"


async def test_the_prompt_names_the_fields_with_their_descriptions() -> None:
    engine = ScriptedEngine(['{"vendor": null, "state": "paid"}'])
    schema: JsonObject = {
        "type": "object",
        "properties": {
            "vendor": {"type": ["string", "null"], "description": "who sells"},
            "state": {"enum": ["paid", "open"]},
        },
        "required": ["vendor", "state"],
    }
    await extract(engine, text='Bill """ of May', schema=schema, instructions="Read the bill.")
    [request] = engine.requests
    prompt = "\n".join(message.content for message in request.messages)
    assert "Read the bill." in prompt
    assert "- vendor: who sells\n- state: one of paid, open" in prompt
    assert "Bill ''' of May" in prompt, "the text cannot end its quotes"


async def test_what_the_text_does_not_hold_becomes_null_where_it_may_and_is_listed() -> None:
    answer = {"name": "Ada Byron", "city": "London", "skills": ["algebra", "chess"]}
    result = await extract(ScriptedEngine([json.dumps(answer)]), text="Ada\nknows algebra", schema=PERSON)
    assert result.fields["data"] == {"name": "Ada Byron", "city": None, "skills": ["algebra"]}
    assert result.fields["unsupported"] == [
        {"pointer": "/name", "value": "Ada Byron"},
        {"pointer": "/city", "value": "London"},
        {"pointer": "/skills/-", "value": "chess"},
    ]
    assert result.fields["evidence"] == {"/skills/0": 2}


async def test_an_invented_record_is_left_out() -> None:
    answer = {"records": [{"file": "a.c", "line": "1", "message": "none"}]}
    result = await extract(
        ScriptedEngine([json.dumps(answer)]), text="All is well.", many=True, fields=PLACES
    )
    assert result.fields["records"] == []
    unsupported = result.fields["unsupported"]
    assert unsupported == [{"pointer": "/-", "value": value} for value in ("a.c", "1", "none")]


async def test_a_schema_that_is_no_plain_record_is_given_to_the_model_as_it_is() -> None:
    schema: JsonObject = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}
    engine = ScriptedEngine(['{"anything":"here"}'])
    result = await extract(engine, text="anything is here", schema=schema)
    assert result.fields["data"] == {"anything": "here"}
    assert '"minProperties":1' in "\n".join(message.content for message in engine.requests[0].messages)


async def test_records_of_several_texts_are_joined_without_doubles_and_keep_their_evidence() -> None:
    answers = [
        {"records": [{"package": "a", "version": "1.0"}, {"package": "b", "version": "2.1"}]},
        {"records": [{"package": "b", "version": "2.1"}, {"package": "c", "version": "3"}]},
    ]
    result = await extract(
        ScriptedEngine([json.dumps(answer) for answer in answers]),
        items=["a==1.0\nb==2.1\n", "b==2.1\nc==3\n"],
        many=True,
        fields={"package": "its name", "version": "its version"},
    )
    assert result.fields["records"] == [
        {"package": "a", "version": "1.0"},
        {"package": "b", "version": "2.1"},
        {"package": "c", "version": "3"},
    ]
    assert result.fields["evidence"] == {"/0": 1, "/1": 2, "/2": 2}


async def test_one_record_an_item() -> None:
    engine = ScriptedEngine(['{"email":"a@example.com"}', '{"email":null}'])
    result = await extract(engine, items=["Email: a@example.com", "none"], fields={"email": "the address"})
    assert result.fields["records"] == [{"email": "a@example.com"}, {"email": None}]


async def test_of_a_long_text_the_passages_nearest_to_the_fields_are_read() -> None:
    def found(request: Request) -> str:
        text = request.messages[-1].content
        return json.dumps({"invoice": "A-77" if "invoice number A-77" in text else None})

    filler = "The weather was mild and nothing of note happened on the road that day.\n" * 40
    text = f"{filler * 20}The invoice number A-77 was paid.\n{filler * 20}"
    engine = ScriptedEngine(found)
    result = await extract(engine, text=text, fields={"invoice": "invoice number"})
    assert result.fields["data"] == {"invoice": "A-77"}
    assert result.fields["evidence"] == {"/invoice": 801}
    assert len(engine.requests) == 1
    assert any("most relevant" in note for note in result.receipt.notes)


async def test_a_list_is_read_from_all_of_a_long_text_if_there_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def named(request: Request) -> str:
        return (
            '{"records": [{"name": "Ada"}]}' if "Ada" in request.messages[-1].content else '{"records": []}'
        )

    text = "Rain fell on the hills.\n" * 5_000 + "Ada went home.\n"
    arguments: dict[str, JsonValue] = {"text": text, "many": True, "fields": {"name": "a person"}}
    result = await extract(ScriptedEngine(named), **arguments)
    assert result.fields["records"] == [{"name": "Ada"}]
    monkeypatch.setattr("tools.pipeline.passages.READING_S", 0)
    cut = await extract(ScriptedEngine(named), **arguments)
    assert cut.fields["records"] == []
    assert any("read 1 of" in note for note in cut.receipt.notes)


async def test_without_embeddings_passages_are_chosen_by_their_words() -> None:
    engine = ScriptedEngine(['{"capital":"Lima"}'], capabilities=replace(EVERYTHING, embed=False))
    text = "Rain fell on the hills. " * 2_000 + "The capital is Lima. " + "Rain fell on the hills. " * 2_000
    result = await extract(engine, text=text, fields={"capital": "capital city"})
    assert result.fields["data"] == {"capital": "Lima"}
    assert "The capital is Lima." in engine.requests[0].messages[-1].content


async def test_ten_thousand_records_are_parsed() -> None:
    lines = "\n".join(json.dumps({"id": n, "state": "open"}) for n in range(10_000))
    schema: JsonObject = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    result = await extract(silent(), text=lines, many=True, schema=schema, detail="full")
    assert result.fields["records"] == [{"id": n} for n in range(10_000)]


async def test_a_line_of_five_megabytes_is_read_in_passages() -> None:
    text = "The rain fell. " * 350_000
    result = await extract(ScriptedEngine(['{"city": null}']), text=text, fields={"city": "a city"})
    assert result.fields["data"] == {"city": None}
    assert any("most relevant" in note for note in result.receipt.notes)


async def test_a_deep_schema_with_references_is_filled_and_checked() -> None:
    def level(depth: int) -> JsonObject:
        inner: JsonObject = {"$ref": "#/$defs/name"} if depth == 0 else level(depth - 1)
        return {"type": "object", "properties": {"a": inner}, "required": ["a"]}

    schema: JsonObject = {**level(7), "$defs": {"name": {"type": ["string", "null"]}}}
    deep = '{"a":' * 8 + '"Lima"' + "}" * 8
    result = await extract(ScriptedEngine([deep]), text="Oslo", schema=schema)
    assert json.dumps(result.fields["data"]).count("null") == 1
    assert result.fields["unsupported"] == [{"pointer": "/a" * 8, "value": "Lima"}]


async def test_a_table_with_merged_cells_is_left_to_the_model() -> None:
    table = "| name | qty |\n|---|---|\n| bolt | 4 |\n| all of the above |\n"
    engine = ScriptedEngine(['{"records": [{"name": "bolt", "qty": "4"}]}'])
    result = await extract(engine, text=table, many=True, fields={"name": "part", "qty": "how many"})
    assert result.fields["records"] == [{"name": "bolt", "qty": "4"}]
    assert result.receipt.decided_by == "model"


async def test_files_that_contradict_each_other_are_a_record_each() -> None:
    engine = ScriptedEngine(['{"total": "10"}', '{"total": "12"}'])
    result = await extract(engine, items=["total 10", "total 12"], fields={"total": "the total"})
    assert result.fields["records"] == [{"total": "10"}, {"total": "12"}]
    assert result.fields["evidence"] == {"/0/total": 1, "/1/total": 1}


async def test_a_list_is_no_longer_than_the_text() -> None:
    engine = ScriptedEngine(['{"name": "Ada", "city": null, "skills": []}'])
    await extract(engine, text="Ada knows algebra", schema=PERSON)
    schema = engine.requests[0].schema
    assert schema is not None
    assert schema["properties"]["skills"]["maxItems"] == 3  # type: ignore[index, call-overload]


async def test_a_list_has_a_text_no_more_often_than_the_source() -> None:
    names: JsonObject = {"type": "array", "items": {"type": "string"}}
    tones: JsonObject = {"type": "array", "items": {"enum": ["good", "bad"]}}
    schema: JsonObject = {"type": "object", "properties": {"names": names, "tones": tones}}
    said = {"names": ["Ada", "Bob", "Ada", "Bob", "Ada", "Bob"], "tones": ["good", "good"]}
    engine = ScriptedEngine([json.dumps(said)])
    result = await extract(engine, text="Ada met Bob, and ADA left", schema=schema)
    assert result.fields["data"] == {"names": ["Ada", "Bob", "Ada"], "tones": ["good", "good"]}


async def test_equal_dates_of_a_list_stay() -> None:
    day: JsonObject = {"type": "string", "description": "YYYY-MM-DD"}
    schema: JsonObject = {"type": "object", "properties": {"days": {"type": "array", "items": day}}}
    engine = ScriptedEngine(['{"days": ["2026-03-14", "2026-03-14"]}'])
    result = await extract(engine, text="Paid 14 March 2026, sent 14 March 2026", schema=schema)
    assert result.fields["data"] == {"days": ["2026-03-14", "2026-03-14"]}


@pytest.mark.parametrize(
    ("schema", "said"),
    [({"type": "string"}, '"Ada"'), ({"type": "array", "items": {"type": "string"}}, '["Ada"]')],
)
async def test_data_that_is_no_object_keeps_to_the_output_schema(schema: JsonObject, said: str) -> None:
    records = f'{{"records": {said}}}' if schema["type"] == "array" else said
    result = await extract(ScriptedEngine([records]), text="Ada knows algebra", schema=schema)
    assert result.fields["data"] == json.loads(said)
    assert Extract.output_schema
    check(result.fields, validator_of(Extract.output_schema))


INVOICE: JsonObject = {
    "type": "object",
    "properties": {
        "total": {"type": ["string", "null"]},
        "date": {"type": ["string", "null"], "description": "YYYY-MM-DD"},
    },
    "required": ["total", "date"],
}


@pytest.mark.parametrize(
    ("said", "text", "total"),
    [
        ("58.00", "Total EUR 58,00", "58,00"),
        ("1016.40 €", "Total: 1.016,40 €", "1.016,40 €"),
        ("191.00 EUR", "a pagar: 191,00 EUR", "191,00 EUR"),
        ("1,016.40", "was 1,016.40 and is 1.016,40", "1,016.40"),
        ("12.50 net", "12,50 gross", None),
        ("1250", "1.250 clientes sin servicio", "1.250"),
        ("1250000", "un total de 1.250.000", "1.250.000"),
        ("0.125", "0,125 l", "0,125"),
    ],
)
async def test_numbers_in_a_text_are_spelled_as_in_the_source(
    said: str, text: str, total: str | None
) -> None:
    engine = ScriptedEngine([json.dumps({"total": said, "date": None})])
    result = await extract(engine, text=text, schema=INVOICE)
    assert result.fields["data"] == {"total": total, "date": None}


@pytest.mark.parametrize(
    ("said", "text", "day"),
    [
        ("2025-03-11", "Papelería El Tintero, fecha 3/11/2025", "2025-11-03"),
        ("3/11/2025", "Papelería El Tintero, fecha 3/11/2025", "2025-11-03"),
        ("2025-11-03", "Papelería El Tintero, fecha 3/11/2025", "2025-11-03"),
        ("2025-03-11", "Müller GmbH, 11. März 2025, bezahlt 3.11.2025", "2025-03-11"),
        ("2025-03-13", "Papelería, fecha 3/13/2025", "2025-03-13"),
        # An English text may mean either.
        ("2025-03-11", "Date of the invoice: 3/11/2025", "2025-03-11"),
        ("3/11/2025", "Date of the invoice: 3/11/2025", "3/11/2025"),
    ],
)
async def test_the_day_comes_first_where_the_language_writes_it_so(said: str, text: str, day: str) -> None:
    engine = ScriptedEngine([json.dumps({"total": None, "date": said})])
    result = await extract(engine, text=text, schema=INVOICE)
    assert result.fields["data"] == {"total": None, "date": day}


async def test_a_number_given_for_a_text_keeps_its_digits() -> None:
    items: JsonObject = {"type": "array", "items": {"type": "string"}}
    schema: JsonObject = {
        "type": "object",
        "properties": {"total": {"type": ["string", "null"]}, "prices": items, "count": {"type": "number"}},
        "required": ["total", "prices", "count"],
    }
    engine = ScriptedEngine(['{"total": 34.50, "prices": [12.00, 7], "count": 2.0}'])
    result = await extract(engine, text="2 items: 12.00 and 7, in all 34.50", schema=schema)
    assert result.fields["data"] == {"total": "34.50", "prices": ["12.00", "7"], "count": 2.0}
    assert engine.requests[0].schema != schema
