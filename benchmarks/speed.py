"""Compares one classify call of 200 short items with single plain chat calls with the same labels.

    python -P -m benchmarks.speed --data FOLDER --engine llamacpp

The plain calls are timed on rows at equal steps and extrapolated to all. Both sides are warmed up with one
call, and the items miss every cache.
"""

import argparse
import json
import time
from pathlib import Path

import anyio

from benchmarks.answers import each, plain, together
from benchmarks.quality import HERE, folder_of, opened
from benchmarks.rows import Row, load, spread
from benchmarks.scores import accuracy
from engines.base import JsonObject
from mcp_server.app import App

ITEMS = 200


async def measured(app: App, rows: list[Row], count: int) -> JsonObject:
    warm, items, single = rows[-1], rows[:ITEMS], spread(rows[:ITEMS], count)
    await plain(app, warm)
    await together(app, [warm, warm])
    begun = time.perf_counter()
    answers = await together(app, items)
    at_once = time.perf_counter() - begun
    begun = time.perf_counter()
    plain_answers = await each(plain)(app, single)
    alone = (time.perf_counter() - begun) * len(items) / len(single)
    return {
        "items": len(items),
        "seconds in one call": round(at_once, 2),
        "plain calls timed": len(single),
        "seconds of as many plain calls": round(alone, 1),
        "times faster": round(alone / at_once, 1),
        "accuracy in one call": round(accuracy(list(zip(items, answers, strict=True))), 3),
        "accuracy of the plain calls": round(accuracy(list(zip(single, plain_answers, strict=True))), 3),
        "answers outside the labels": sum(not answer.valid for answer in answers),
    }


async def run(arguments: argparse.Namespace) -> None:
    rows = load(arguments.data, [arguments.set], 0)[arguments.set]
    async with opened(arguments.engine) as app:
        found = json.dumps(await measured(app, rows, arguments.plain_rows))
        (await folder_of(app) / "speed.json").write_text(found, encoding="utf-8")
    print(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--engine", default="llamacpp")
    parser.add_argument("--set", default="snips_intent", help="whose rows share their labels")
    parser.add_argument("--plain-rows", type=int, default=40)
    anyio.run(run, parser.parse_args())


if __name__ == "__main__":
    main()
