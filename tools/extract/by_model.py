"""Extracts by the model: one request for the whole schema, over one text or over its chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from engines.base import JsonObject, JsonValue, Message
from tools.extract.fields import Field
from tools.pipeline.parallel import each
from tools.pipeline.passages import Page, each_in_time, first_page
from tools.pipeline.prompts import prompt_messages
from tools.pipeline.run import Run
from tools.pipeline.structured import check, compact, validator_of
from tools.sources.chunks import split
from tools.sources.documents import Document
from tools.tool import PROMPT_OVERHEAD

RECORDS = "records"
"""Name under which the model gives a list: a JSON object at the top is what models have seen most."""
COPY = (
    "Copy values exactly as they stand in the text. Use null where the text does not say, "
    "and an empty list where there is none."
)
EMPTY: tuple[JsonValue, ...] = (None, "", [], {})


async def model_answers(
    run: Run, schema: JsonObject, shape: Field | None, instructions: str, documents: Sequence[Document]
) -> list[JsonValue]:
    """Returns the model's answer for every document, merged from its chunks.

    Raises:
        AgentError: an answer stayed invalid, or no engine answers.
    """
    asked = _in_object(schema) if schema.get("type") == "array" else schema
    lines = "\n".join(_lines(shape)) if shape else f"JSON Schema of the answer: {compact(schema)}"
    count = await run.exact_count()
    budget = run.route.context - run.route.max_tokens - PROMPT_OVERHEAD - count(lines) - count(instructions)
    budget = max(budget, 200)

    async def ask(text: str) -> JsonValue:
        request = run.request(_prompt(instructions, lines, text))
        answer = await run.ask_json(request, _limited(asked, len(text.split())))
        return answer[RECORDS] if asked is not schema and isinstance(answer, dict) else answer

    async def ask_page(page: Page) -> JsonValue:
        return await ask(page[0].text)

    async def ask_document(document: Document) -> JsonValue:
        if _grows(shape):
            # Whole: records may stand all over it. A record takes about as many tokens as its text.
            size = min(budget, run.route.max_tokens)
            parts = [[replace(document, text=chunk.text)] for chunk in split(document, size, count)]
            return merged(await each_in_time(run, parts, ask_page))
        [page] = await first_page(run, [document], f"{instructions}\n{lines}", budget, count)
        return await ask(page.text)

    answers = await each(run, documents, ask_document, "extracted from")
    for answer in answers:
        check(answer, validator_of(schema))
    return answers


def _prompt(instructions: str, fields: str, text: str) -> tuple[Message, ...]:
    """Returns the prompt; what chunks share comes first, so that prompt caches serve it."""
    # The text cannot end its own quotes.
    quoted = text.replace('"""', "'''")
    task = instructions or "Extract the fields from the text."
    return prompt_messages([COPY], f'{task}\nFields:\n{fields}\n\nText:\n"""\n{quoted}\n"""')


def _lines(field: Field, indent: str = "") -> Iterator[str]:
    """Yields a line for each field: name, whether it is a list, description and possible values."""
    if field.type == "array":
        yield from _lines(field.parts[0], indent)
        return
    for part in field.parts:
        about = part.about
        if part.enum:
            about = f"{about}; one of {', '.join(map(str, part.enum))}".lstrip("; ")
        kind = " (list)" if part.type == "array" else ""
        yield f"{indent}- {part.name}{kind}" + (f": {about}" if about else "")
        if part.parts:
            yield from _lines(part, indent + "  ")


def _limited(schema: JsonObject, items: int) -> JsonObject:
    """Returns ``schema`` with lists of at most ``items``, the words of the text.

    Without a limit a model may repeat one item until the answer is cut.
    """

    def limited(node: JsonValue) -> JsonValue:
        if isinstance(node, list):
            return [limited(child) for child in node]
        if not isinstance(node, dict):
            return node
        inner = {key: limited(child) for key, child in node.items()}
        kind = node.get("type")
        is_list = (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "maxItems" not in node
        return inner | {"maxItems": max(items, cast("int", node.get("minItems", 0)))} if is_list else inner

    return cast("JsonObject", limited(schema))


def _grows(field: Field | None) -> bool:
    """Returns whether the answer may grow with the text."""
    if field is None or field.type == "array":
        return True
    return any(part.type == "array" and part.parts[0].type == "object" for part in field.parts)


def _in_object(schema: JsonObject) -> JsonObject:
    """Returns the schema of an object that holds the list; definitions stay at the top."""
    top: JsonObject = {key: schema[key] for key in ("$defs", "definitions", "$schema") if key in schema}
    records = {key: value for key, value in schema.items() if key not in top}
    properties: JsonObject = {RECORDS: records}
    return {
        **top,
        "type": "object",
        "properties": properties,
        "required": [RECORDS],
        "additionalProperties": False,
    }


def merged(answers: Sequence[JsonValue]) -> JsonValue:
    """Merges the answers of all chunks: the first value that is not empty; lists are joined."""
    first, *rest = answers
    for answer in rest:
        first = _merge(first, answer)
    return first


def _merge(kept: JsonValue, new: JsonValue) -> JsonValue:
    if isinstance(kept, dict) and isinstance(new, dict):
        return {key: _merge(kept.get(key), new.get(key)) for key in {**kept, **new}}
    if isinstance(kept, list) and isinstance(new, list):
        return list({compact(value): value for value in [*kept, *new]}.values())
    return new if kept in EMPTY else kept
