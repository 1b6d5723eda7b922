"""Measures how well the router's features of a prompt separate simple from hard prompts.

    python -P -m benchmarks.difficulty FOLDER/prompt_difficulty.jsonl

The tool (always chat) and the requested tokens (always the tier's) are the same for every such prompt, which
leaves its length in tokens and the words of ``tools.chat.tool.MAKES``.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engines import tokens
from tools.chat.tool import MAKES


def auroc(hard: Sequence[float], simple: Sequence[float]) -> float:
    """Returns how often a hard prompt scores above a simple one; 0.5 is chance."""
    over = sum((h > s) + (h == s) / 2 for h in hard for s in simple)
    return over / (len(hard) * len(simple))


def main(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    with tempfile.TemporaryDirectory() as folder:
        count = tokens.load(Path(folder)).count
        scores = {
            "length in tokens": [float(count(row["input"])) for row in rows],
            "a word of MAKES": [float(MAKES.search(row["input"]) is not None) for row in rows],
        }
    for name, score in scores.items():
        hard = [value for value, row in zip(score, rows, strict=True) if row["gold"] == "hard"]
        simple = [value for value, row in zip(score, rows, strict=True) if row["gold"] == "simple"]
        means = f"mean of hard {sum(hard) / len(hard):.3f}, of simple {sum(simple) / len(simple):.3f}"
        print(f"{name}: AUROC {auroc(hard, simple):.3f}, {means}, {len(hard)} and {len(simple)} prompts")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path, help="JSON lines with `input` and `gold`, simple or hard")
    main(parser.parse_args().path)
