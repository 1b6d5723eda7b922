"""Makes each call twice and prints the modules that the second one imported, as JSON by name.

    python -P -m tests.late_imports FOLDER

FOLDER takes the files of the app. Runs in a process of its own: in one with tests, everything is imported.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import anyio
from starlette.types import ASGIApp, Message, Scope

from engines.base import JsonObject
from mcp_server.app import build
from mcp_server.folders import Folders
from mcp_server.http.app import build_http
from mcp_server.settings import read
from tools.base import Call, Project

TOOLS: Mapping[str, JsonObject] = {
    "chat": {"prompt": "{}?"},
    "classify": {"items": ["{} of the disk", "{} of a user"], "labels": ["disk", "user"]},
    "extract": {"text": "{} user 12 signed in", "fields": {"user": "number of the user"}},
    "summarize": {"text": "{} The disk is full. A user signed in."},
}
CHAT: JsonObject = {"messages": [{"role": "user", "content": "{}"}]}
ROUTES: Mapping[str, tuple[str, JsonObject]] = {
    "/v1, whole": ("/v1/chat/completions", CHAT),
    "/v1, streamed": ("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 99}),
}


async def late(folder: Path) -> dict[str, list[str]]:
    """Returns what second calls import: of every tool with the scripted engine, else of chat."""
    folders = Folders(*(folder / name for name in ("cache", "run", "config", "data")))
    settings = read()
    async with build(settings, folders) as app:
        asgi = build_http(app)

        async def run(tool: str, arguments: JsonObject) -> None:
            await app.dispatcher.run(Call(tool=tool, arguments=arguments, project=Project()))

        tools = TOOLS if settings.engine == "scripted" else {"chat": TOOLS["chat"]}
        found = {tool: await _twice(partial(run, tool), arguments) for tool, arguments in tools.items()}
        for name, (path, body) in ROUTES.items():
            found[name] = await _twice(partial(_post, asgi, path), body)
        return found


async def _twice(call: Callable[[JsonObject], Awaitable[None]], body: JsonObject) -> list[str]:
    """Returns the modules that the second of two different calls imports."""
    await call(_about("First", body))
    before = set(sys.modules)
    await call(_about("Second", body))
    return sorted(set(sys.modules) - before)


def _about(word: str, body: JsonObject) -> JsonObject:
    return json.loads(json.dumps(body).replace("{}", word))


async def _post(app: ASGIApp, path: str, body: JsonObject) -> None:
    """Posts in process."""
    scope: Scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }  # fmt: skip
    asked: list[Message] = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> Message:
        if not asked:
            await anyio.sleep_forever()
        return asked.pop()

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200, message

    await app(scope, receive, send)


if __name__ == "__main__":
    print(json.dumps(anyio.run(late, Path(sys.argv[1]))))
