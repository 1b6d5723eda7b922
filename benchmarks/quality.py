"""How good the tools' answers are, beside one plain chat request a row with the same model.

    python -P -m benchmarks.quality --data FOLDER --engine llamacpp --sets snips_intent --rows 50
    python -P -m benchmarks.quality --data FOLDER --report --write

Raw answers are kept under benchmarks/out, by engine and model; what is there is not asked again, and
``--report`` prints the table from them alone. ``--write`` puts it into docs/quality.md. The response cache
starts empty in a folder of its own, so that seconds are those of a first call.
"""

import argparse
import json
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio

from benchmarks.report import table, written
from benchmarks.rows import Row, call_of, load, plain_request, with_examples
from benchmarks.scores import SEED, Answer
from engines.base import JsonObject, JsonValue, complete
from engines.errors import AgentError, ContextTooLongError
from mcp_server.app import App, build
from mcp_server.settings import Folders, folders, read
from tools.answers import parse_answer, validator_of
from tools.base import Result

HERE = Path(__file__).parent
OUT = HERE / "out"
DOCUMENT = HERE.parent / "docs" / "quality.md"
CHARACTERS_PER_TOKEN = 2.7
"""Of a text cut for a plain request: few enough that it always fits."""

Asked = Callable[[Row], Awaitable[Answer]]


@asynccontextmanager
async def opened(engine: str) -> AsyncGenerator[App]:
    """The whole program, with caches of its own that are empty, and no ledger."""
    settings = read(engine=engine, ledger={"enabled": False})
    with TemporaryDirectory() as scratch:
        async with build(settings, _places(Path(scratch))) as app:
            yield app


def _places(scratch: Path) -> Folders:
    """The user's models, all else in ``scratch``."""
    real, cache = folders(), scratch / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(real.models)
    return Folders(cache, scratch / "run", real.config, scratch / "data")


async def ours(app: App, row: Row, examples: Sequence[JsonObject]) -> Answer:
    """The tool's answer."""
    begun = time.perf_counter()
    try:
        result = await app.dispatcher.run(call_of(row, examples))
    except AgentError as error:
        return Answer(row.id, error=error.message, seconds=time.perf_counter() - begun)
    answer = _of_result(row, result)
    tokens = result.receipt.tokens
    return replace(
        answer,
        decided_by=result.receipt.decided_by,
        seconds=time.perf_counter() - begun,
        tokens=tokens.prompt + tokens.completion,
    )


def _of_result(row: Row, result: Result) -> Answer:
    fields = result.fields
    if row.task == "classify":
        confidence = cast("float", fields["confidence"])
        abstained = bool(fields["abstained"])
        value = fields["label"]
        return Answer(row.id, value, value in row.labels, confidence=confidence, abstained=abstained)
    if row.task == "summarize":
        return Answer(row.id, fields["summary"], valid=True)
    evidence = cast("JsonObject", fields.get("evidence", {}))
    unsupported = cast("list[JsonValue]", fields.get("unsupported", []))
    value = fields["data"]
    valid = validator_of(row.schema or {}).is_valid(value)
    leaves = len(evidence) + len(unsupported)
    return Answer(row.id, value, valid, leaves=leaves, unsupported=len(unsupported))


async def plain(app: App, row: Row) -> Answer:
    """What one chat request says; the text is cut to the model's context."""
    engine = app.engines.of("main")
    characters = int((await engine.profile()).capabilities.max_context * CHARACTERS_PER_TOKEN)
    begun = time.perf_counter()
    while True:
        try:
            completion = await complete(engine, plain_request(row, characters))
            break
        except ContextTooLongError:
            characters //= 2
        except AgentError as error:
            return Answer(row.id, error=error.message, seconds=time.perf_counter() - begun)
    usage = completion.done.usage
    answer = _of_text(row, completion.text)
    return replace(
        answer,
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


async def answered(path: Path, rows: Sequence[Row], ask: Asked) -> dict[str, Answer]:
    """The answers kept in ``path`` and those asked now, each kept as it comes."""
    known = kept(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows, 1):
        if row.id in known:
            continue
        known[row.id] = await ask(row)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(known[row.id]), ensure_ascii=False) + "\n")
        print(f"\r{path.stem} {number} of {len(rows)}", end="", file=sys.stderr, flush=True)
    return known


def kept(path: Path) -> dict[str, Answer]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {answer.id: answer for line in lines if (answer := Answer(**json.loads(line)))}


async def run(arguments: argparse.Namespace, sets: dict[str, list[Row]]) -> None:
    async with opened(arguments.engine) as app:
        profile = await app.engines.of("main").profile()
        folder = OUT / f"{profile.engine}-{Path(profile.model).stem.replace(':', '-')}"
        for name, rows in sets.items():
            if arguments.examples and rows[0].task == "classify":
                examples, rows = with_examples(rows, arguments.examples, SEED)
                path = folder / f"{name}.{arguments.examples}-examples.jsonl"
                await answered(path, rows, lambda row, given=examples: ours(app, row, given))
                continue
            await answered(folder / f"{name}.ours.jsonl", rows, lambda row: ours(app, row, ()))
            await answered(
                folder / f"{name}.plain.jsonl", rows[: arguments.plain_rows], lambda row: plain(app, row)
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data", help="folder of JSON lines")
    parser.add_argument("--engine", default="llamacpp")
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=0, help="of each set; 0 for all")
    parser.add_argument("--plain-rows", type=int, default=20, help="of those, asked of plain chat too")
    parser.add_argument("--examples", type=int, default=0, help="examples a label, for classify")
    parser.add_argument("--report", action="store_true", help="from the answers kept, asking nothing")
    parser.add_argument("--write", action="store_true", help="put the table into docs/quality.md")
    arguments = parser.parse_args()
    sets = load(arguments.data, arguments.sets, arguments.rows)
    if not sets:
        raise SystemExit(f"no rows in {arguments.data}")
    if not arguments.report:
        anyio.run(run, arguments, sets)
    told = "\n\n".join(
        f"## {folder.name}\n\n{table(sets, lambda stem, folder=folder: kept(folder / f'{stem}.jsonl'))}"
        for folder in sorted(OUT.iterdir())
        if folder.is_dir()
    )
    print(told)
    if arguments.write:
        DOCUMENT.write_text(written(told), encoding="utf-8")


if __name__ == "__main__":
    main()
