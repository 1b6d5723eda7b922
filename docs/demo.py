"""Runs ``make demo``: calls the four tools on files of this repository with a model on this machine.

Prints each answer, how much of it is right, its seconds, and the tokens it saved the calling agent.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from engines.base import JsonObject

SAMPLES = Path("docs/samples")
FAILED = {
    "test_an_empty_cart_costs_nothing": "AttributeError",
    "test_the_total_counts_quantities": "AssertionError",
    "test_a_coupon_takes_ten_percent_off": "AssertionError",
    "test_a_removed_article_is_gone": "AssertionError",
    "test_the_tax_rate_follows_the_country": "KeyError",
    "test_an_invoice_is_due_after_thirty_days": "AssertionError",
    "test_the_number_is_padded_with_zeros": "AssertionError",
}


@dataclass(frozen=True, slots=True)
class Task:
    title: str
    tool: str
    arguments: JsonObject
    rated: Callable[[CallToolResult], str]
    """Describes how much of the answer is right."""


def _labels(result: CallToolResult) -> str:
    lines = (SAMPLES / "issues.jsonl").read_text("utf-8").strip().split("\n")
    wanted = [json.loads(line)["label"] for line in lines]
    found = [item["label"] for item in _data(result)["results"]]
    right = sum(label == want for label, want in zip(found, wanted, strict=True))
    return f"{right} of {len(wanted)} labels are right"


def _failures(result: CallToolResult) -> str:
    found = {
        str(row["test"]).rpartition("::")[2].partition("[")[0]: row["error"]
        for row in _data(result)["records"]
    }
    right = sum(found.get(test) == error for test, error in FAILED.items())
    return f"{right} of {len(FAILED)} failures are right, {len(found)} were found"


def _says(*words: str) -> Callable[[CallToolResult], str]:
    def rated(result: CallToolResult) -> str:
        missing = [word for word in words if word.lower() not in _text(result).lower()]
        return f"it does not say {', '.join(missing)}" if missing else f"it says {', '.join(words)}"

    return rated


TASKS = [
    Task(
        "sort twenty issues",
        "classify",
        {
            "paths": ["docs/samples/issues.jsonl"],
            "split": "jsonl:text",
            "labels": {
                "bug": "something does not work as it should",
                "feature": "a wish for something new",
                "question": "somebody wants to know something",
            },
        },
        _labels,
    ),
    Task(
        "which tests failed, and how",
        "extract",
        {
            "paths": ["docs/samples/test-run.txt"],
            "fields": {"test": "name of the test that failed", "error": "class of the exception"},
            "many": True,
        },
        _failures,
    ),
    Task(
        "what a guide is about",
        "summarize",
        {"paths": ["docs/remote.md"], "max_words": 60},
        _says("server", "agent"),
    ),
    Task(
        "a question about the changelog",
        "chat",
        {
            "paths": ["docs/samples/changelog.md"],
            "prompt": "Since which release are settings read from a TOML file?",
            "max_tokens": 60,
        },
        _says("2.0.0"),
    ),
]


async def main() -> None:
    # The script next to this Python: the virtual environment of `make` is not on the PATH.
    script = str(Path(sys.executable).with_name("local-llm-agent"))
    server = StdioServerParameters(command=script, args=["stdio"], env=dict(os.environ))
    saved = 0
    async with Client(stdio_client(server)) as client:
        for task in TASKS:
            start = time.perf_counter()
            with anyio.fail_after(300):
                result = await client.call_tool(task.tool, task.arguments)
            saved += _show(task, result, time.perf_counter() - start)
    print(f"\n{saved} tokens were saved for the calling agent in all.")


def _show(task: Task, result: CallToolResult, seconds: float) -> int:
    """Prints the answer of a task; returns the tokens it saved."""
    print(f"\n== {task.title}: {task.tool} {task.arguments['paths']}")
    text = _text(result)
    print(text if len(text) < 700 else f"{text[:700]} ... ({len(text)} characters)")
    if result.is_error:
        raise SystemExit(1)
    receipt = (result.meta or {})["receipt"]
    saved = int(receipt["saved"])
    why = "" if saved > 0 else " (reading the file would have cost the agent less than the answer)"
    print(f"-- {task.rated(result)}")
    print(f"-- {seconds:.1f} s by {receipt['model']}; {saved} tokens saved{why}")
    return saved


def _data(result: CallToolResult) -> dict[str, list[dict[str, str | None]]]:
    return cast("dict[str, list[dict[str, str | None]]]", result.structured_content or {})


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


if __name__ == "__main__":
    anyio.run(main)
