"""One row, or all rows of a set, put to a tool, to plain chat or to something simpler."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import anyio

from benchmarks.rows import Row, call_of, plain_request
from benchmarks.scores import Answer
from engines.base import JsonObject, JsonValue, complete
from engines.errors import AgentError, ContextTooLongError
from mcp_server.app import App
from tools.answers import parse_answer, validator_of
from tools.base import Call, Result
from tools.glossary import words

CHARACTERS_PER_TOKEN = 2.7
"""Of a text cut for a plain request: few enough that it always fits."""
PATIENCE_S = 90.0
"""A plain request that takes longer counts as unanswered."""
LEAD_WORDS = 150
"""As many as summarize may use unless told otherwise."""

Examples = Sequence[JsonObject]
Ask = Callable[[App, Sequence[Row]], Awaitable[list[Answer]]]


def each(ask: Callable[[App, Row], Awaitable[Answer]]) -> Ask:
    """``ask`` for every row alone."""

    async def asked(app: App, rows: Sequence[Row]) -> list[Answer]:
        return [await ask(app, row) for row in rows]

    return asked


async def ours(app: App, row: Row, examples: Examples = (), *, names: bool = False) -> Answer:
    """The tool's answer; with ``names`` labels are no more than the words in their names."""
    begun = time.perf_counter()
    call = call_of(row, [one for one in examples if one["label"] in row.labels])
    try:
        result = await app.dispatcher.run(_named(call, row) if names else call)
    except AgentError as error:
        return Answer(row.id, error=error.message, seconds=time.perf_counter() - begun)
    tokens = result.receipt.tokens
    return replace(
        _of_result(row, result),
        decided_by=result.receipt.decided_by,
        seconds=time.perf_counter() - begun,
        tokens=tokens.prompt + tokens.completion,
    )


async def together(
    app: App, rows: Sequence[Row], examples: Examples = (), *, names: bool = False
) -> list[Answer]:
    """The answers to all rows in one call; they share their labels."""
    begun = time.perf_counter()
    call = call_of(rows[0], examples)
    asked = {**call.arguments, "items": [row.input for row in rows]}
    del asked["text"]
    call = replace(call, arguments=asked, deadline_s=3_600.0)
    result = await app.dispatcher.run(_named(call, rows[0]) if names else call)
    seconds = (time.perf_counter() - begun) / len(rows)
    tokens = round((result.receipt.tokens.prompt + result.receipt.tokens.completion) / len(rows))
    told = cast("list[JsonObject]", result.fields["results"])
    return [
        replace(_labelled(row, one), decided_by=result.receipt.decided_by, seconds=seconds, tokens=tokens)
        for row, one in zip(rows, told, strict=True)
    ]


def _named(call: Call, row: Row) -> Call:
    """A description takes the place of what the glossary says."""
    labels: JsonObject = {label: words(label) for label in row.labels}
    return replace(call, arguments={**call.arguments, "labels": labels})


def _of_result(row: Row, result: Result) -> Answer:
    fields = result.fields
    if row.task == "classify":
        return _labelled(row, fields)
    if row.task == "summarize":
        return Answer(row.id, fields["summary"], valid=True)
    evidence = cast("JsonObject", fields.get("evidence", {}))
    unsupported = cast("list[JsonValue]", fields.get("unsupported", []))
    value = fields["data"]
    valid = validator_of(row.schema or {}).is_valid(value)
    leaves = len(evidence) + len(unsupported)
    return Answer(row.id, value, valid, leaves=leaves, unsupported=len(unsupported))


def _labelled(row: Row, fields: Mapping[str, JsonValue]) -> Answer:
    if "error" in fields:
        return Answer(row.id, error=str(fields["error"]))
    confidence, value = cast("float", fields["confidence"]), fields["label"]
    return Answer(
        row.id, value, value in row.labels, confidence=confidence, abstained=bool(fields["abstained"])
    )


async def plain(app: App, row: Row) -> Answer:
    """What one chat request says; the text is cut to the model's context."""
    engine = app.engines.of("main")
    characters = int((await engine.profile()).capabilities.max_context * CHARACTERS_PER_TOKEN)
    begun, deadline = time.perf_counter(), anyio.current_time() + PATIENCE_S
    while True:
        try:
            request = replace(plain_request(row, characters), deadline=deadline)
            completion = await complete(engine, request)
            break
        except ContextTooLongError:
            characters //= 2
        except AgentError as error:
            return Answer(row.id, error=error.message, seconds=time.perf_counter() - begun)
    usage = completion.done.usage
    return replace(
        _of_text(row, completion.text),
        seconds=time.perf_counter() - begun,
        tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def _of_text(row: Row, text: str) -> Answer:
    if row.task == "summarize":
        return Answer(row.id, text.strip(), valid=True)
    schema = plain_request(row, 0).schema or {}
    try:
        value = parse_answer(text, validator_of(schema))
    except AgentError as error:
        return Answer(row.id, error=error.message)
    if row.task == "classify" and isinstance(value, dict):
        value = value["label"]
    return Answer(row.id, value, valid=True)


async def bare(app: App, row: Row) -> Answer:
    """The label whose words lie nearest to the text, by the embedding model alone."""
    begun = time.perf_counter()
    made = await app.engines.of("small").embed([row.input, *map(words, row.labels)])
    text, *labels = made.vectors
    near = [sum(a * b for a, b in zip(text, label, strict=True)) for label in labels]
    label = row.labels[near.index(max(near))]
    return Answer(row.id, label, True, seconds=time.perf_counter() - begun, tokens=made.tokens)


async def lead(app: App, row: Row) -> Answer:
    """The first words of the text, as a summary."""
    return Answer(row.id, " ".join(row.input.split()[:LEAD_WORDS]), valid=True)


def ways(rows: Sequence[Row], examples: Examples) -> dict[str, Ask]:
    """Everything a set can be put to, by the name its answers are kept under."""
    if rows[0].task == "summarize":
        return {"ours": each(ours), "lead": each(lead), "plain": each(plain)}
    if rows[0].task != "classify":
        return {"ours": each(ours), "plain": each(plain)}
    found: dict[str, Ask] = {
        "ours": each(ours),
        "names": each(partial(ours, names=True)),
        "bare": each(bare),
        "plain": each(plain),
    }
    shared = all(row.labels == rows[0].labels for row in rows)
    if shared:
        found |= {"call": together, "call-names": partial(together, names=True)}
    if examples:
        taught = partial(together, examples=examples) if shared else each(partial(ours, examples=examples))
        found["examples"] = taught
    return found


async def answered(app: App, path: Path, rows: Sequence[Row], ask: Ask, *, at_once: bool) -> None:
    """Put those of ``rows`` to ``ask`` that ``path`` has no answers of, and keep them there."""
    known = kept(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = [row for row in rows if row.id not in known]
    for batch in [left] if at_once and left else [[row] for row in left]:
        answers = await ask(app, batch)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(answer.as_json(), ensure_ascii=False)}\n" for answer in answers)


def kept(path: Path) -> dict[str, Answer]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {answer.id: answer for line in lines if (answer := Answer(**json.loads(line)))}
