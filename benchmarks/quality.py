"""Measures the tools' answers against one plain chat request per row to the same model.

    python -P -m benchmarks.quality --data FOLDER --model MODEL --rows 24 --sets snips_intent
    python -P -m benchmarks.quality --data FOLDER --report --write

``--model`` is the engine's own model setting: a catalogue name, a GGUF path, or what Ollama or vLLM serve.
Each way takes the same rows, at equal steps. Raw answers are stored in benchmarks/out, by engine and model;
answered rows are not asked again, so a set can be extended with more rows. ``--report`` prints the tables
from the stored answers; ``--write`` writes docs/quality.md and adds the figures to benchmarks/quality.json.
The response cache starts empty.
"""

import argparse
import json
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio

from benchmarks.answers import answered, ways
from benchmarks.figures import figures
from benchmarks.plot import reliability
from benchmarks.report import diagram, document
from benchmarks.rows import Row, examples_of, load, with_examples
from benchmarks.scores import SEED
from engines.base import JsonObject
from mcp_server.app import App, build
from mcp_server.folders import Folders, folders
from mcp_server.settings import Settings, read

HERE = Path(__file__).parent
OUT = HERE / "out"
FIGURES = HERE / "quality.json"
DOCUMENT = HERE.parent / "docs" / "quality.md"
EXAMPLES = 10
"""Examples per label, where examples are given."""


def settings_of(engine: str, model: str = "") -> Settings:
    chosen = {engine: {"model": model}} if model else {}
    return read(None, engine=engine, ledger={"enabled": False}, **chosen)


@asynccontextmanager
async def opened(engine: str, model: str = "") -> AsyncGenerator[App]:
    """Yields the application with ``model`` or the engine's default, empty caches and no ledger."""
    with TemporaryDirectory() as scratch:
        async with build(settings_of(engine, model), _scratch_folders(Path(scratch))) as app:
            yield app


def _scratch_folders(scratch: Path) -> Folders:
    """Returns folders with the user's models and everything else in ``scratch``."""
    real, cache = folders(), scratch / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(real.models)
    return Folders(cache, scratch / "run", real.config, scratch / "data")


async def folder_of(app: App) -> Path:
    """Returns the folder for the answers of the app's engine and model; makes it if needed."""
    profile = await app.engines.of("main").profile()
    folder = OUT / f"{profile.engine}-{Path(profile.model).name.removesuffix('.gguf').replace(':', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def run(arguments: argparse.Namespace, sets: dict[str, list[Row]]) -> None:
    async with opened(arguments.engine, arguments.model) as app:
        folder = await folder_of(app)
        (folder / "commit.json").write_text(json.dumps(arguments.commit), encoding="utf-8")
        for name, rows in sets.items():
            examples, left = _examples(name, rows, arguments.examples_from)
            asks = ways(rows, examples)
            for way in [way for way in arguments.ways if way in asks]:
                asked = left if way == "examples" else rows
                at_once = way == "call" or (way == "examples" and "call" in asks)
                await answered(app, folder / f"{name}.{way}.jsonl", asked, asks[way], at_once=at_once)


def _examples(name: str, rows: list[Row], folder: Path | None) -> tuple[list[JsonObject], list[Row]]:
    """Returns few-shot examples from ``folder`` or the set itself, and the rows that are no examples."""
    if folder and (path := folder / f"{name}.jsonl").exists():
        return examples_of(path, EXAMPLES, rows, SEED), rows
    if rows[0].task != "classify" or len(rows) < 2 * EXAMPLES * len(
        {label for r in rows for label in r.labels}
    ):
        return [], rows
    return with_examples(rows, EXAMPLES, SEED)


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(asked, check=False, cwd=HERE, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data", help="folder of JSON lines")
    parser.add_argument("--engine", default="llamacpp")
    parser.add_argument("--model", default="", help="default: the engine's")
    parser.add_argument("--sets", nargs="*", default=[], help="default: all")
    parser.add_argument("--ways", nargs="*", default=["ours", "plain"], help="also: call, examples")
    parser.add_argument("--rows", type=int, default=0, help="of each set; 0 for all")
    parser.add_argument("--examples-from", type=Path, help="folder of SET.jsonl with text and label")
    parser.add_argument("--report", action="store_true", help="from the stored answers, without new requests")
    parser.add_argument("--write", action="store_true", help="into docs/quality.md and quality.json")
    arguments = parser.parse_args()
    found = load(arguments.data, arguments.sets, 0 if arguments.report else arguments.rows)
    sets = {name: rows for name, rows in found.items() if rows[0].gold is not None}
    if not sets:
        raise SystemExit(f"no rows in {arguments.data}")
    if not arguments.report:
        arguments.commit = _commit()
        anyio.run(run, arguments, sets)
        return
    known = cast("dict[str, JsonObject]", json.loads(FIGURES.read_text(encoding="utf-8")))
    for folder in sorted(path for path in OUT.iterdir() if path.is_dir()):
        known[folder.name] = {**known.get(folder.name, {}), **figures(folder, sets)}
    page = document(known)
    print(page)
    if arguments.write:
        FIGURES.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        DOCUMENT.write_text(page, encoding="utf-8")
        for name, entry in known.items():
            if bins := cast("list[tuple[float, float, int]]", entry.get("reliability")):
                picture = reliability(f"classify, {name}", bins)
                (DOCUMENT.parent / diagram(name)).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
