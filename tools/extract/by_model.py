"""Extracts by the model: one request for the whole schema, over one text or over its chunks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import cast

from engines.base import JsonObject, JsonValue, Message
from tools.extract.fields import Field
from tools.pipeline.parallel import each
from tools.pipeline.passages import each_in_time, first_page
from tools.pipeline.prompts import prompt_messages
from tools.pipeline.run import Run
from tools.pipeline.structured import check, compact, validator_of
from tools.sources.chunks import split
from tools.sources.dates import dates
from tools.sources.documents import Document
from tools.sources.evidence import numbers_of
from tools.sources.language import is_english
from tools.tool import PROMPT_OVERHEAD

RECORDS = "records"
"""Name under which the model gives a list: a JSON object at the top is what models have seen most."""
COPY = (
    "Copy values exactly as they stand in the text. Use null where the text does not say, "
    "and an empty list where there is none."
)
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,']\d+)*")
ISO_DATE = re.compile(r"[yaj]{4}-m{2}-[dtjg]{2}", re.IGNORECASE)
"""``YYYY-MM-DD`` in a description, in one of several languages."""
NOT_ENGLISH = re.compile(r"[^\W\d_a-zA-Z]")
"""A letter that English lacks; an American invoice without sentences has few English words, too."""
CONSTRAINED = frozenset(["enum", "const", "format", "pattern"])
"""Keywords of a string that is no plain text."""
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
        answer = await run.ask_json(request, _adapted(asked, len(text.split()), loose=shape is not None))
        if asked is not schema and isinstance(answer, dict):
            answer = answer[RECORDS]
        return answer if shape is None else _as_written(answer, shape, _Source(text, lines))

    async def ask_document(document: Document) -> JsonValue:
        if _grows(shape):
            # Records may stand all over the text, and each takes about as many tokens as it does there.
            size = min(budget, run.route.max_tokens) if asked is not schema else budget
            parts = [chunk.text for chunk in split(document, size, count)]
            return merged(await each_in_time(run, parts, ask))
        [page] = await first_page(run, [document], [lines, *lines.split("\n")], budget, count)
        return await ask(page.text)

    answers = await each(run, documents, ask_document, "extracted from")
    validator = validator_of(schema)
    for answer in answers:
        check(answer, validator)
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


def _adapted(schema: JsonObject, items: int, *, loose: bool) -> JsonObject:
    """Returns the schema for constrained decoding of values from a text of ``items`` words.

    A list is no longer than the text; without a limit a model may repeat one item until the answer is cut.
    If ``loose``, a plain string may be a number: forced to open a quote where it would write ``34.00``, a
    model writes something else (prices of receipts: F1 .78 for .55, docs/quality.md).
    """

    def adapted(node: JsonValue) -> JsonValue:
        if isinstance(node, list):
            return [adapted(child) for child in node]
        if not isinstance(node, dict):
            return node
        inner = {key: adapted(child) for key, child in node.items()}
        declared = node.get("type")
        types = declared if isinstance(declared, list) else [declared]
        if "array" in types and "maxItems" not in node:
            inner["maxItems"] = max(items, cast("int", node.get("minItems", 0)))
        if loose and "string" in types and not CONSTRAINED & node.keys():
            inner["type"] = list(dict.fromkeys([*types, "number"]))
        return inner

    return cast("JsonObject", adapted(schema))


@dataclass(frozen=True)
class _Source:
    """How a text writes numbers and dates. ``lines`` describe the fields, perhaps in its language."""

    text: str
    lines: str

    @cached_property
    def digits(self) -> dict[float, str]:
        """The digits of each number, as they stand in the text."""
        found: dict[float, str] = {}
        for digits in NUMBER.findall(self.text):
            for number in numbers_of(digits):
                found.setdefault(float(number), digits)
        return found

    @cached_property
    def day_first(self) -> bool:
        """Whether 3/11 is in November, as in all European languages but English; false if unknown."""
        letters = self.text + self.lines
        return not is_english(self.text, self.lines) and bool(NOT_ENGLISH.search(letters))

    @cached_property
    def days(self) -> frozenset[date]:
        return frozenset(day for day, _ in dates(self.text.lower(), day_first=self.day_first))

    def spelled(self, value: str) -> str:
        """Returns ``value`` with its numbers as the text writes them, if it stands there so."""
        if value in self.text:
            return value
        written = NUMBER.sub(lambda number: self.number(number[0]), value)
        return written if written in self.text else value

    def as_often(self, items: list[JsonValue]) -> list[JsonValue]:
        """Returns ``items`` without texts beyond as many as the source has: a model may repeat itself.

        Texts that the source writes in another way are left to the verifier.
        """
        text, kept, times = self.text.casefold(), list[JsonValue](), Counter[str]()
        for item in items:
            if isinstance(item, str):
                times[item] += 1
                if times[item] > 1 and 0 < text.count(item.casefold()) < times[item]:
                    continue
            kept.append(item)
        return kept

    def number(self, digits: str) -> str:
        written = (self.digits.get(float(number)) for number in numbers_of(digits))
        return next(filter(None, written), digits)

    def iso(self, value: str) -> str:
        """Returns a date in words or in another order as ``2026-03-14``, if it has one meaning."""
        read = dates(value.lower(), day_first=self.day_first)
        found = {day for day, span in read if span == (0, len(value))}
        if len(found) != 1:
            return value
        day = found.pop()
        if self.day_first and day not in self.days and day.day <= 12:
            # The model has read the text's date with the month first.
            other = day.replace(month=day.day, day=day.month)
            day = other if other in self.days else day
        return day.isoformat()


def _as_written(value: JsonValue, field: Field, source: _Source) -> JsonValue:
    """Returns ``value`` with numbers as the text writes them where ``field`` is a string, and ISO dates."""
    if isinstance(value, dict):
        parts = {part.name: part for part in field.parts}
        return {
            key: _as_written(child, parts[key], source) if key in parts else child
            for key, child in value.items()
        }
    if isinstance(value, list):
        if not field.parts:
            return value
        items = [_as_written(child, field.parts[0], source) for child in value]
        return items if field.parts[0].enum or "minItems" in field.schema else source.as_often(items)
    if isinstance(value, str) and (field.format == "date" or ISO_DATE.search(field.about)):
        return source.iso(value)
    if field.type != "string" or CONSTRAINED & field.schema.keys():
        return value
    if isinstance(value, str):
        return source.spelled(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        sign = "-" if value < 0 else ""
        return sign + source.digits.get(abs(value), f"{abs(value):.15g}")
    return value


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
