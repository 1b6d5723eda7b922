"""extract: pulls fields out of texts, each value checked against its source.

A text of a known format is parsed, any other is read by the model. What the source does not hold is null.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, Self

import anyio.to_thread
from pydantic import BeforeValidator, Field, model_validator

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError
from tools.arguments import Object, SourceArguments, names_of, unquoted
from tools.extract import fields, known_formats
from tools.extract.by_model import model_answers
from tools.extract.verify import Find, Lines, Verified, Verifier
from tools.pipeline.run import Run
from tools.pipeline.structured import check, compact, validator_of
from tools.sources.chunks import Chunk
from tools.sources.documents import Document
from tools.sources.evidence import EvidenceIndex
from tools.tool import Output, Tool

FieldName = Annotated[str, Field(max_length=200)]
About = Annotated[str, Field(max_length=2_000)]


def _named(value: object) -> object:
    return names_of(unquoted(value))


class ExtractArguments(SourceArguments):
    schema_: Object | None = Field(None, alias="schema", description="JSON Schema of one record")
    fields: Annotated[dict[FieldName, About], BeforeValidator(_named)] | None = Field(
        None, min_length=1, description="{name: description}, simpler than schema"
    )
    many: bool = Field(False, description="a list of records")

    @model_validator(mode="after")
    def _schema_or_fields(self) -> Self:
        if (self.schema_ is None) == (self.fields is None):
            raise ValueError("give one of schema, fields")
        return self

    @property
    def record_schema(self) -> JsonObject:
        """The schema of one record; plain fields are strings, or null where the text has no such value."""
        if self.schema_ is not None:
            return self.schema_
        fields = self.fields or {}
        return {
            "type": "object",
            "properties": {
                name: {"type": ["string", "null"], "description": description}
                for name, description in fields.items()
            },
            "required": list(fields),
            "additionalProperties": False,
        }


class Extract(Tool[ExtractArguments]):
    name = "extract"
    description = (
        "Pull fields out of files or text as JSON under your schema, with the line of each value as "
        "evidence; values not in the text are null and listed as unsupported."
    )
    wants = "small"
    output_schema: ClassVar[JsonObject | None] = {
        "type": "object",
        "properties": {
            "data": {},
            "records": {"type": "array"},
        },
    }
    arguments = ExtractArguments

    def tier(self, arguments: ExtractArguments) -> str:
        # A list needs more answer tokens than the small tier has.
        return "main" if arguments.many else self.wants

    async def run(self, arguments: ExtractArguments, run: Run) -> Output:
        record, instructions = arguments.record_schema, arguments.instructions or ""
        validator_of(record)
        schema = _list_of(record) if arguments.many else record
        shape = fields.read(schema)
        documents = run.sources.documents
        # In one thread, because a call may have thousands of documents.
        results = await anyio.to_thread.run_sync(_parsed, documents, schema, shape, instructions)
        left = [document for document in documents if results[document.id] is None]
        if left:
            verifier = Verifier(schema, shape)
            answers = await model_answers(run, schema, shape, instructions, left)
            for document, answer in zip(left, answers, strict=True):
                work = partial(verifier.verified, answer, _finder(document))
                results[document.id] = await anyio.to_thread.run_sync(work)
        deciders = (("parser", len(left) < len(documents)), ("model", bool(left)))
        decided = "+".join(name for name, used in deciders if used)
        verified = [result for result in results.values() if result is not None]
        name, whole = "data", verified[0]
        if arguments.many or len(verified) > 1:
            name, whole = "records", _joined(verified)
        named = len({document.path for document in documents}) > 1
        evidence: JsonObject = {
            at: lines.as_json(named=named) for at, lines in _short(whole.evidence).items()
        }
        unsupported: list[JsonValue] = [{"pointer": at, "value": value} for at, value in whole.unsupported]
        return Output({name: whole.value, "evidence": evidence, "unsupported": unsupported}, decided)


def _parsed(
    documents: Sequence[Document], schema: JsonObject, shape: fields.Field | None, instructions: str
) -> dict[str, Verified | None]:
    """Returns the content of each document of a known format that is valid under ``schema``, by its id."""
    validator = validator_of(schema)

    def parsed(document: Document) -> Verified | None:
        reading = shape and known_formats.read(shape, document.text, instructions)
        if reading is None:
            return None
        try:
            check(reading.value, validator)
        except InvalidAnswerError:
            return None
        before = document.line - 1
        places = reading.lines.items()
        return Verified(
            reading.value,
            {at: Lines(document.path, before + first, before + last) for at, (first, last) in places},
        )

    return {document.id: parsed(document) for document in documents}


def _finder(document: Document) -> Find:
    index = EvidenceIndex([Chunk(document, document.text, document.line)])

    def find(value: str | float) -> Lines | None:
        line = index.find(value)
        return None if line is None else Lines(document.path, line, line)

    return find


def _list_of(schema: JsonObject) -> JsonObject:
    """Returns the schema of a list of records; definitions move to the top, where references find them."""
    top: JsonObject = {key: schema[key] for key in ("$defs", "definitions", "$schema") if key in schema}
    record = {key: value for key, value in schema.items() if key not in top}
    return {**top, "type": "array", "items": record}


def _joined(results: Sequence[Verified]) -> Verified:
    """Returns the records of all documents as one list; equal records of lists are joined."""
    records: list[JsonValue] = []
    whole = Verified(records)
    seen: set[str] = set()
    for result in results:
        if not isinstance(result.value, list):
            moved = {"": f"/{len(records)}"}
            records.append(result.value)
        else:
            moved = {"/-": "/-"}
            for index, row in enumerate(result.value):
                if compact(row) not in seen:
                    seen.add(compact(row))
                    moved[f"/{index}"] = f"/{len(records)}"
                    records.append(row)
        for pointer, lines in result.evidence.items():
            if new := _moved(pointer, moved):
                whole.evidence[new] = lines
        for pointer, value in result.unsupported:
            if new := _moved(pointer, moved):
                whole.unsupported.append((new, value))
    return whole


def _moved(pointer: str, moved: Mapping[str, str]) -> str:
    """Returns the pointer of a value whose record has moved; empty if the record was dropped."""
    if "" in moved:
        return moved[""] + pointer
    _, index, *rest = pointer.split("/", 2)
    new = moved.get(f"/{index}", "")
    return "/".join([new, *rest]) if new else ""


def _short(evidence: Mapping[str, Lines]) -> Mapping[str, Lines]:
    """Returns one entry for a record or list whose values all stand on the same lines."""
    groups: dict[str, dict[str, Lines]] = {}
    for pointer, lines in evidence.items():
        groups.setdefault(pointer.rpartition("/")[0], {})[pointer] = lines
    short: dict[str, Lines] = {}
    for parent, values in groups.items():
        together = parent and len(values) > 1 and len(set(values.values())) == 1
        short |= {parent: next(iter(values.values()))} if together else values
    return short
