"""How good the tools' answers are, beside one plain chat request a row with the same model.

    python -P -m benchmarks.quality --data FOLDER --engine llamacpp --sets snips_intent
    python -P -m benchmarks.quality --data FOLDER --report --write

Every set is put to the tool, to plain chat (the rows at equal steps of ``--plain-rows``) and to what is
simpler still; ``--ways`` names fewer. Raw answers are kept under benchmarks/out, by engine and model; what
is there is not asked again, and ``--report`` prints the tables from them alone. ``--write`` puts them into
docs/quality.md and the figures into benchmarks/quality.json. The response cache starts empty in a folder of
its own, so that seconds are those of a first call.
"""

import argparse
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from benchmarks.answers import answered, ways
from benchmarks.figures import figures
from benchmarks.report import document
from benchmarks.rows import Row, examples_of, load, with_examples
from benchmarks.scores import SEED
from engines.base import JsonObject
from mcp_server.app import App, build
from mcp_server.settings import Folders, folders, read

HERE = Path(__file__).parent
OUT = HERE / "out"
FIGURES = HERE / "quality.json"
DOCUMENT = HERE.parent / "docs" / "quality.md"
EXAMPLES = 10
"""A label, where examples are given."""


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


async def folder_of(app: App) -> Path:
    """Where the answers of the app's engine and model are kept; made if it is not there."""
    profile = await app.engines.of("main").profile()
    folder = OUT / f"{profile.engine}-{Path(profile.model).stem.replace(':', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """``count`` of ``rows`` at equal steps; all where there are no more."""
    return list(rows[:: max(1, len(rows) // count)])[:count] if count else []


async def run(arguments: argparse.Namespace, sets: dict[str, list[Row]]) -> None:
    async with opened(arguments.engine) as app:
        folder = await folder_of(app)
        for name, rows in sets.items():
            examples, left = _taught(name, rows, arguments.examples_from)
            for way, ask in ways(rows, examples).items():
                if arguments.ways and way not in arguments.ways:
                    continue
                asked = {"plain": spread(rows, arguments.plain_rows), "examples": left}.get(way, rows)
                at_once = way in ("call", "call-names") or (way == "examples" and "call" in ways(rows, ()))
                await answered(app, folder / f"{name}.{way}.jsonl", asked, ask, at_once=at_once)


def _taught(name: str, rows: list[Row], folder: Path | None) -> tuple[list[JsonObject], list[Row]]:
    """Examples for a set, and the rows that are none: from ``folder``, else its own where they suffice."""
    if folder and (path := folder / f"{name}.jsonl").exists():
        return examples_of(path, EXAMPLES, rows, SEED), rows
    if rows[0].task != "classify" or len(rows) < 2 * EXAMPLES * len(
        {label for r in rows for label in r.labels}
    ):
        return [], rows
    return with_examples(rows, EXAMPLES, SEED)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE / "data", help="folder of JSON lines")
    parser.add_argument("--engine", default="llamacpp")
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--ways", nargs="*", default=[], help="of putting a set; all without")
    parser.add_argument("--rows", type=int, default=0, help="of each set; 0 for all")
    parser.add_argument("--plain-rows", type=int, default=40, help="of those, asked of plain chat too")
    parser.add_argument("--examples-from", type=Path, help="folder of SET.jsonl with text and label")
    parser.add_argument("--report", action="store_true", help="from the answers kept, asking nothing")
    parser.add_argument("--write", action="store_true", help="into docs/quality.md and quality.json")
    arguments = parser.parse_args()
    sets = load(arguments.data, arguments.sets, arguments.rows)
    if not sets:
        raise SystemExit(f"no rows in {arguments.data}")
    if not arguments.report:
        anyio.run(run, arguments, sets)
        return
    found: JsonObject = {
        folder.name: figures(folder, sets) for folder in sorted(OUT.iterdir()) if folder.is_dir()
    }
    told = document(found)
    print(told)
    if arguments.write:
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        DOCUMENT.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
