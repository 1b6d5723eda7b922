"""Measures summaries of long texts: seconds, and whether a fact near the end is found.

    python -P -m benchmarks.length --data FOLDER --engine llamacpp --tokens 10000 50000 100000

The text is the inputs of ``pep_abstract`` one after another, repeated as needed, with a fact at 95 % of it.
Each length is asked twice: for a summary and for that fact. Repeated paragraphs are numbered, to miss every
cache.
"""

import argparse
import json
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import anyio

from benchmarks.quality import HERE, folder_of, opened
from benchmarks.rows import load
from engines.base import JsonObject
from mcp_server.app import App
from tools.base import Call

FACT = "The maintenance window of the Halberd cluster begins at 03:40 on Sundays."
QUESTION = "When does the maintenance window of the Halberd cluster begin?"
FOUND = "03:40"


def text_of(paragraphs: Sequence[str], tokens: int) -> str:
    """Returns about ``tokens`` tokens of four characters, with the fact at 95 % of them."""
    parts: list[str] = []
    size = 0
    for number, paragraph in enumerate(cycle(paragraphs)):
        if size >= tokens * 4:
            break
        # Within the first sentence, so that it differs in each repetition.
        parts.append(f"In part {number}: {paragraph}")
        size += len(parts[-1]) + 2
    parts.insert(int(len(parts) * 0.95), FACT)
    return "\n\n".join(parts)


async def measured(app: App, text: str) -> JsonObject:
    shares: list[float] = []

    async def progress(done: float, total: float, message: str) -> None:
        shares.append(done / total)

    begun = time.perf_counter()
    plain = await app.dispatcher.run(Call("summarize", {"text": text}, deadline_s=7_200), progress)
    seconds = time.perf_counter() - begun
    asked = Call("summarize", {"text": text, "focus": QUESTION, "max_words": 60}, deadline_s=7_200)
    begun = time.perf_counter()
    answered = await app.dispatcher.run(asked)
    return {
        "seconds": round(seconds, 1),
        "seconds asked again": round(time.perf_counter() - begun, 1),
        "fact found": FOUND in str(answered.fields["summary"]),
        "progress notices": len(shares),
        "covered": plain.fields["covered"],
    }


async def run(arguments: argparse.Namespace) -> None:
    rows = load(arguments.data, ["pep_abstract"], 0)["pep_abstract"]
    paragraphs = [part for row in rows for part in row.input.split("\n\n") if len(part.split()) > 8]
    async with opened(arguments.engine) as app:
        found: list[JsonObject] = []
        for tokens in arguments.tokens:
            found.append(await measured(app, text_of(paragraphs, tokens)))
            print(json.dumps(found[-1]), flush=True)
        (await folder_of(app) / "length.json").write_text(json.dumps(found), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--engine", default="llamacpp")
    parser.add_argument("--tokens", type=int, nargs="*", default=[10_000, 50_000, 100_000])
    anyio.run(run, parser.parse_args())


if __name__ == "__main__":
    main()
