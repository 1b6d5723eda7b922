"""What `make demo` shows: four real tasks on files of this repository, by the model on this machine."""

import os
import sys
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from engines.base import JsonObject

CALLS: list[tuple[str, JsonObject]] = [
    (
        "classify",
        {
            "paths": ["docs/samples/service.log"],
            "split": "line",
            "labels": {
                "login": "a user signs in or out",
                "payment": "money is paid or declined",
                "database": "connections and queries",
                "resources": "disk or memory is running out",
                "start": "the service starts",
            },
        },
    ),
    (
        "extract",
        {
            "paths": ["docs/samples/changelog.md"],
            "fields": {"version": "the newest release", "date": "the day it was released"},
        },
    ),
    ("summarize", {"paths": ["docs/design.md"], "max_words": 80}),
    ("chat", {"prompt": "Say in one sentence what a log file is good for."}),
]


async def main() -> None:
    # The script beside this Python: the environment of `make` is not on the PATH.
    script = str(Path(sys.executable).with_name("local-llm-agent"))
    server = StdioServerParameters(command=script, args=["stdio"], env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        for tool, arguments in CALLS:
            _show(tool, arguments, await client.call_tool(tool, arguments))


def _show(tool: str, arguments: JsonObject, result: CallToolResult) -> None:
    print(f"\n== {tool} {arguments.get('paths', '')}")
    for block in result.content:
        if isinstance(block, TextContent):
            print(block.text)
    if result.is_error:
        raise SystemExit(1)
    receipt = (result.meta or {})["receipt"]
    print(f"-- receipt: {receipt}")
    print(f"-- tokens saved for the calling agent: {receipt['saved']}")


if __name__ == "__main__":
    anyio.run(main)
