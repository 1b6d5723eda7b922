"""Evaluation rows: JSON lines with ``id, task, instruction, input, gold``.

Additional keys by task: ``labels``, ``schema``, or ``fields`` with ``many``.
"""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engines.base import JsonObject, JsonValue
from tools.base import Call

TASKS = ("classify", "extract", "summarize", "chat")
PLAIN_CHARACTERS = 12_000
"""Length to which plain chat truncates the input."""
SCHEMA_TOKENS = 512
SUMMARY_TOKENS = 256
TEXT_TOKENS = 64
PLAIN_DEADLINE_S = 300.0
"""Deadline of a plain request, after which it counts as unanswered."""
QUESTION = "?"


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    set: str
    task: str
    instruction: str
    input: str
    gold: JsonValue
    labels: tuple[str, ...] = ()
    schema: JsonObject | None = None
    many: bool = False
    """The answer is a list of records under ``schema``."""
    abstain: bool = False
    """None of the labels fits."""


def load(folder: Path, sets: Sequence[str], rows: int) -> dict[str, list[Row]]:
    """Reads ``rows`` of each set at equal steps, or all for 0; every set where none is named.

    A sample excludes rows that no label fits. Sets that no tool answers are excluded.
    """
    found: dict[str, list[Row]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        if sets and path.stem not in sets:
            continue
        # Not splitlines: texts hold line separators that JSON does not escape.
        lines = path.read_text(encoding="utf-8").split("\n")
        records = [cast("JsonObject", json.loads(line)) for line in lines if line.strip()]
        if read := [row for one in records if (row := _row(one, path.stem))]:
            found[path.stem] = spread([row for row in read if not row.abstain], rows) if rows else read
    return found


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """Returns ``count`` of ``rows`` at equal steps; all where there are no more."""
    if len(rows) <= count:
        return list(rows)
    return [rows[int(index * len(rows) / count)] for index in range(count)]


def _row(record: JsonObject, name: str) -> Row | None:
    task, gold, many = str(record["task"]), record["gold"], bool(record.get("many"))
    schema = cast("JsonObject | None", record.get("schema"))
    if many:
        task, schema = "extract", _record_schema(cast("JsonObject", record["fields"]))
    # A schema without a text goes to chat: there is nothing to extract from.
    task = "chat" if task == "extract" and not record["input"] else task
    if task not in TASKS or (task == "chat" and not schema and "answers" not in cast("JsonObject", gold)):
        return None
    return Row(
        id=str(record["id"]),
        set=name,
        task=task,
        instruction=str(record["instruction"]),
        input=str(record["input"]),
        gold=gold,
        labels=tuple(map(str, cast("list[JsonValue]", record.get("labels") or []))),
        schema=schema,
        many=many,
        abstain=bool(record.get("abstain")),
    )


def _record_schema(fields: JsonObject) -> JsonObject:
    return _closed({name: {"type": ["string", "null"], "description": text} for name, text in fields.items()})


def _closed(properties: JsonObject) -> JsonObject:
    # Otherwise a small model adds properties until its answer is truncated.
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def call_of(row: Row, examples: Sequence[JsonObject] = ()) -> Call:
    """Returns the call an agent makes for the row."""
    asked: JsonObject = {"text": row.input, "instructions": row.instruction}
    if row.task == "classify":
        asked["labels"] = list(row.labels)
        if examples:
            asked["examples"] = list(examples)
    elif row.task == "extract":
        asked |= {"schema": row.schema, "many": row.many}
    elif row.task == "chat":
        text, question = row.input.rsplit("\n\n", 1)
        asked |= {"text": text, "prompt": question, "max_tokens": TEXT_TOKENS}
    elif row.instruction.endswith(QUESTION):
        asked = {"text": row.input, "focus": row.instruction}
    return Call(row.task, asked, full=True)


def plain_call(row: Row) -> Call:
    """Returns the call of a simple client: one chat message, the answer under a JSON schema."""
    text, schema = row.input[:PLAIN_CHARACTERS], answer_schema(row)
    prompt = f"{row.instruction}\n\n{text}".strip()
    if row.task == "classify":
        prompt = f"{row.instruction} Answer with one of: {', '.join(row.labels)}.\n\n{text}"
    tokens = SUMMARY_TOKENS if row.task == "summarize" else SCHEMA_TOKENS if schema else TEXT_TOKENS
    asked: JsonObject = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}
    if schema:
        asked["schema"] = schema
    return Call("chat", asked, tier="main", deadline_s=PLAIN_DEADLINE_S, full=True)


def answer_schema(row: Row) -> JsonObject | None:
    """Returns the schema of plain chat's answer; ``None`` where it is free text."""
    if row.task == "classify":
        return _closed({"label": {"type": "string", "enum": list(row.labels)}})
    return {"type": "array", "items": row.schema} if row.many else row.schema


def examples_of(path: Path, count: int, without: Sequence[Row], seed: int) -> list[JsonObject]:
    """Returns ``count`` examples per label, chosen by ``seed`` from the JSON lines (text, label) of ``path``.

    None of them is a text of ``without``.
    """
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    asked = {row.input.strip().lower() for row in without}
    records = [cast("JsonObject", json.loads(line)) for line in lines]
    random.Random(seed).shuffle(records)
    chosen: dict[str, list[JsonObject]] = defaultdict(list)
    for one in records:
        label, text = str(one["label"]), str(one["text"])
        if len(chosen[label]) < count and text.strip().lower() not in asked:
            chosen[label].append({"text": text, "label": label})
    return [one for several in chosen.values() for one in several]


def with_examples(rows: Sequence[Row], count: int, seed: int) -> tuple[list[JsonObject], list[Row]]:
    """Returns ``count`` examples per label, chosen by ``seed``, and the other rows."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    chosen: dict[str, list[Row]] = defaultdict(list)
    for row in shuffled:
        if isinstance(row.gold, str) and len(chosen[row.gold]) < count:
            chosen[row.gold].append(row)
    taken = {row.id for several in chosen.values() for row in several}
    examples: list[JsonObject] = [
        {"text": row.input, "label": row.gold} for several in chosen.values() for row in several
    ]
    return examples, [row for row in rows if row.id not in taken]
