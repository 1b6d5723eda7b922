"""Measures schema conformance: one chat per schema on one engine, checked by an independent validator.

    python -P -m benchmarks.schemas FOLDER/json_schema_bench.jsonl --engine llamacpp
    python -P -m benchmarks.schemas FOLDER/json_schema_bench.jsonl --engine vllm --url http://127.0.0.1:8000/v1

Every row is one of: *valid*, *invalid* (returned, but refused by the independent validator), *refused* (the
error names what the engine does not support) or *unkept* (an error because the model twice did not finish
its answer or broke the schema).
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import validator_for

from benchmarks.rows import Row, load
from engines.base import JsonObject, JsonValue
from engines.errors import AgentError
from mcp_server.app import build
from mcp_server.folders import folders
from mcp_server.settings import Settings
from tools.base import Call
from tools.pipeline.dispatch import Dispatcher

AT_ONCE = 4
DEADLINE_S = 600.0
SHOWN = 3
"""Row ids named for each kind of error."""


async def main(path: Path, engine: str, url: str, rows: int, tokens: int) -> None:
    asked = load(path.parent, [path.stem], rows)[path.stem]
    given: JsonObject = {"engine": engine, "cache": False, "ledger": {"enabled": False}}
    settings = Settings.model_validate({**given, engine: {"url": url}} if url else given)
    ended: dict[str, str] = {}
    began = time.monotonic()
    async with build(settings, folders()) as app:
        waiting = iter(asked)

        async def work() -> None:
            for row in waiting:
                ended[row.id] = await end_of(app.dispatcher, row, tokens)

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(work)
    print(json.dumps(summary(engine, asked, ended) | {"seconds": round(time.monotonic() - began)}, indent=1))


async def end_of(dispatcher: Dispatcher, row: Row, tokens: int) -> str:
    """Returns ``valid``, ``invalid: why``, or the error's code and message."""
    arguments: JsonObject = {"prompt": row.instruction, "schema": row.schema, "max_tokens": tokens}
    try:
        result = await dispatcher.run(Call("chat", arguments, deadline_s=DEADLINE_S, full=True))
    except AgentError as error:
        return f"{error.code}: {error.message}"
    fault = refusal(row.schema or {}, result.fields["data"])
    return f"invalid: {fault}" if fault else "valid"


def refusal(schema: JsonObject, value: JsonValue) -> str:
    """Returns the message of the Python reference implementation's error; empty if valid."""
    draft = validator_for(schema, Draft202012Validator)
    try:
        draft(schema, format_checker=draft.FORMAT_CHECKER).validate(value)
    except ValidationError as fault:
        return fault.message[:120]
    return ""


def summary(engine: str, rows: Sequence[Row], ended: dict[str, str]) -> JsonObject:
    codes = Counter(ended[row.id].partition(":")[0] for row in rows)
    examples = {
        code: [f"{row.id}: {ended[row.id][:200]}" for row in rows if ended[row.id].startswith(f"{code}:")][
            :SHOWN
        ]
        for code in codes
        if code != "valid"
    }
    counts: JsonObject = dict(codes.most_common())
    shown: JsonObject = {code: list[JsonValue](lines) for code, lines in examples.items()}
    return {"engine": engine, "rows": len(rows), "ended": counts, "examples": shown}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="JSON lines with `schema` and `instruction`")
    parser.add_argument("--engine", default="llamacpp", help="llamacpp, vllm or ollama")
    parser.add_argument("--url", default="", help="where that engine listens")
    parser.add_argument("--rows", type=int, default=0, help="only the first N")
    parser.add_argument("--tokens", type=int, default=512, help="of an answer at most")
    at = parser.parse_args()
    anyio.run(main, at.path, at.engine, at.url, at.rows, at.tokens)
