"""Sends rows to a tool, one per call or all in one, or to plain chat, and stores the answers."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from benchmarks.rows import Row, answer_schema, call_of, plain_call
from benchmarks.scores import Answer
from engines.base import JsonObject, JsonValue
from engines.errors import AgentError
from mcp_server.app import App
from tools.base import Call, Result
from tools.pipeline.structured import validator_of

Examples = Sequence[JsonObject]
Ask = Callable[[App, Sequence[Row]], Awaitable[list[Answer]]]


def each(ask: Callable[[App, Row], Awaitable[Answer]]) -> Ask:
    """Returns a function that calls ``ask`` for each row."""

    async def asked(app: App, rows: Sequence[Row]) -> list[Answer]:
        return [await ask(app, row) for row in rows]

    return asked


async def ours(app: App, row: Row, examples: Examples = ()) -> Answer:
    """Returns the answer of the row's own tool."""
    return await _run(app, row, call_of(row, [one for one in examples if one["label"] in row.labels]))


async def plain(app: App, row: Row) -> Answer:
    """Returns the answer of one chat request."""
    return await _run(app, row, plain_call(row))


async def _run(app: App, row: Row, call: Call) -> Answer:
    begun = time.perf_counter()
    try:
        result = await app.dispatcher.run(call)
    except AgentError as error:
        return Answer(row.id, error=error.message, seconds=time.perf_counter() - begun)
    tokens = result.receipt.tokens
    return replace(
        _of_result(row, call.tool, result),
        decided_by=result.receipt.decided_by,
        seconds=time.perf_counter() - begun,
        tokens=tokens.prompt + tokens.completion,
    )


async def together(app: App, rows: Sequence[Row], examples: Examples = ()) -> list[Answer]:
    """Returns the answers to all rows from one call; the rows have the same labels."""
    begun = time.perf_counter()
    call = call_of(rows[0], examples)
    asked = {**call.arguments, "items": [row.input for row in rows]}
    del asked["text"]
    result = await app.dispatcher.run(replace(call, arguments=asked, deadline_s=3_600.0))
    seconds = (time.perf_counter() - begun) / len(rows)
    tokens = round((result.receipt.tokens.prompt + result.receipt.tokens.completion) / len(rows))
    results = cast("list[JsonObject]", result.fields["results"])
    return [
        replace(_labelled(row, one), decided_by=result.receipt.decided_by, seconds=seconds, tokens=tokens)
        for row, one in zip(rows, results, strict=True)
    ]


def _of_result(row: Row, tool: str, result: Result) -> Answer:
    fields = result.fields
    if tool == "classify":
        return _labelled(row, fields)
    if row.task == "summarize" or answer_schema(row) is None:
        return Answer(row.id, fields["summary" if tool == "summarize" else "text"], valid=True)
    value = fields["records" if tool == "extract" and row.many else "data"]
    valid = validator_of(answer_schema(row) or {}).is_valid(value)
    if row.task == "classify":
        return Answer(row.id, cast("JsonObject", value)["label"], valid)
    evidence = cast("JsonObject", fields.get("evidence", {}))
    unsupported = cast("list[JsonValue]", fields.get("unsupported", []))
    leaves = len(evidence) + len(unsupported)
    return Answer(row.id, value, valid, leaves=leaves, unsupported=len(unsupported))


def _labelled(row: Row, fields: Mapping[str, JsonValue]) -> Answer:
    if "error" in fields:
        return Answer(row.id, error=str(fields["error"]))
    confidence, value = cast("float", fields["confidence"]), fields["label"]
    return Answer(
        row.id, value, value in row.labels, confidence=confidence, abstained=bool(fields["abstained"])
    )


def ways(rows: Sequence[Row], examples: Examples) -> dict[str, Ask]:
    """Returns every way to ask a set, by the name its answers are stored under."""
    found: dict[str, Ask] = {"ours": each(ours), "plain": each(plain)}
    shared = rows[0].task == "classify" and all(row.labels == rows[0].labels for row in rows)
    if shared:
        found["call"] = together
    if examples:
        found["examples"] = (
            partial(together, examples=examples) if shared else each(partial(ours, examples=examples))
        )
    return found


async def answered(app: App, path: Path, rows: Sequence[Row], ask: Ask, *, at_once: bool) -> None:
    """Asks those of ``rows`` that ``path`` has no answers to, and appends their answers."""
    known = stored(path)
    left = [row for row in rows if row.id not in known]
    for batch in [left] if at_once and left else [[row] for row in left]:
        answers = await ask(app, batch)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(answer.as_json())}\n" for answer in answers)


def stored(path: Path) -> dict[str, Answer]:
    """Reads the answers in ``path``, by row id."""
    if not path.exists():
        return {}
    lines = filter(None, path.read_text(encoding="utf-8").split("\n"))
    return {answer.id: answer for line in lines if (answer := Answer(**json.loads(line)))}
