"""Evaluation rows: JSON lines with ``id, task, instruction, input, gold`` and ``labels`` or ``schema``."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engines.base import JsonObject, JsonValue, Message, Request
from tools.base import Call

TASKS = ("classify", "extract", "summarize", "chat")
ANSWER_TOKENS = 512
PLAIN_SUMMARY_TOKENS = 256
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
    abstain: bool = False
    """None of the labels fits."""


def load(folder: Path, sets: Sequence[str], rows: int) -> dict[str, list[Row]]:
    """The first ``rows`` of each set, all sets where none is named; sets no tool answers are left out."""
    found: dict[str, list[Row]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        if sets and path.stem not in sets:
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        read = [row for line in lines if (row := _row(cast("JsonObject", json.loads(line)), path.stem))]
        if read:
            found[path.stem] = read[:rows] if rows else read
    return found


def _row(told: JsonObject, name: str) -> Row | None:
    task = str(told["task"])
    schema = told.get("schema")
    # A schema without a text is a matter for chat: there is nothing to extract from.
    task = "chat" if task == "extract" and not told["input"] else task
    if task not in TASKS or (task == "chat" and not schema):
        return None
    return Row(
        id=str(told["id"]),
        set=name,
        task=task,
        instruction=str(told["instruction"]),
        input=str(told["input"]),
        gold=told["gold"],
        labels=tuple(map(str, cast("list[JsonValue]", told.get("labels") or []))),
        schema=cast("JsonObject | None", schema),
        abstain=bool(told.get("abstain")),
    )


def call_of(row: Row, examples: Sequence[JsonObject] = ()) -> Call:
    """The row as an agent would ask it."""
    if row.task == "chat":
        return Call("chat", {"prompt": row.instruction, "schema": row.schema, "max_tokens": ANSWER_TOKENS})
    asked: JsonObject = {"text": row.input, "instructions": row.instruction}
    if row.task == "classify":
        asked["labels"] = list(row.labels)
        if examples:
            asked["examples"] = list(examples)
    elif row.task == "extract":
        asked["schema"] = row.schema
    elif row.instruction.endswith(QUESTION):
        asked = {"text": row.input, "focus": row.instruction}
    return Call(row.task, asked)


def plain_request(row: Row, characters: int) -> Request:
    """The row as a simple client would ask it: one chat message, the answer constrained the same way."""
    said = f"{row.instruction}\n\n{row.input[:characters]}".strip()
    tokens, schema = ANSWER_TOKENS, row.schema
    if row.task == "classify":
        said = f"{row.instruction} Answer with one of: {', '.join(row.labels)}.\n\n{row.input[:characters]}"
        schema = _label_schema(row.labels)
    elif row.task == "summarize":
        tokens = PLAIN_SUMMARY_TOKENS
    return Request((Message("user", said),), max_tokens=tokens, schema=schema)


def _label_schema(labels: Sequence[str]) -> JsonObject:
    label: JsonObject = {"type": "string", "enum": list(labels)}
    # Closed, or a small model goes on with properties of its own until its answer is cut.
    return {
        "type": "object",
        "properties": {"label": label},
        "required": ["label"],
        "additionalProperties": False,
    }


def examples_of(path: Path, count: int, without: Sequence[Row], seed: int) -> list[JsonObject]:
    """``count`` examples a label, chosen by ``seed`` from the JSON lines (text, label) of ``path``.

    None of them is a text of ``without``.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    asked = {row.input.strip().lower() for row in without}
    told = [cast("JsonObject", json.loads(line)) for line in lines]
    random.Random(seed).shuffle(told)
    chosen: dict[str, list[JsonObject]] = defaultdict(list)
    for one in told:
        label, text = str(one["label"]), str(one["text"])
        if len(chosen[label]) < count and text.strip().lower() not in asked:
            chosen[label].append({"text": text, "label": label})
    return [one for several in chosen.values() for one in several]


def with_examples(rows: Sequence[Row], count: int, seed: int) -> tuple[list[JsonObject], list[Row]]:
    """``count`` examples a label, chosen by ``seed``, and the rows that are left to be asked."""
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
