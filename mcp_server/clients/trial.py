"""Tests registrations: starts or calls the server as the client would, up to an answer.

A project's settings files come with its repository and are not trusted. A command is run only if it is
this installation, and a URL is called only if it is on this machine.
"""

import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryFile
from typing import IO, cast
from urllib.parse import urlsplit

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from engines.base import JsonObject, JsonValue
from mcp_server.clients import wsl
from mcp_server.clients.catalogue import (
    CLIENTS,
    CannotRegisterError,
    Client,
    Environment,
    own_script,
    seen_path,
)
from mcp_server.clients.registration import Registration, registration
from mcp_server.settings import LOOPBACK

DEADLINE_S = 30.0
"""Limit of one trial, with the server's exit; Codex waits 10 s for the list alone."""

MAX_LINE = 2**20

MAX_LOG = 600
"""Characters shown of a failed server's standard error."""

_MESSAGES: Sequence[JsonObject] = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "local-llm-agent doctor", "version": "0"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    # The handshake manifest has no answer to this, so the MCP server itself must be running.
    {"jsonrpc": "2.0", "id": 3, "method": "prompts/list"},
)


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of testing one registration."""

    ok: bool
    where: Registration
    found: str
    hint: str = ""


class _FailedError(Exception):
    """Why a registration failed or was not tested; the default hint is to register again."""

    def __init__(self, found: str, hint: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.hint = hint


async def trials(root: Path | None, environ: Environment) -> AsyncIterator[Trial]:
    """Tests each existing registration of the project at ``root`` and of the user."""
    for name, client in CLIENTS.items():
        again = f"local-llm-agent register {name}"
        for scope in ("project", "user"):
            if scope == "project" and root is None:
                continue
            place = registration(client, scope, root, environ)
            hint = again if scope == "project" else f"{again} --scope user"
            try:
                entry = place.entry()
                if entry is not None:
                    yield Trial(True, place, await _tried(place, entry, environ, root or Path.home()))
            except CannotRegisterError as error:
                yield Trial(False, place, error.message, error.hint)
            except _FailedError as error:
                yield Trial(False, place, error.found, error.hint or hint)


async def _tried(place: Registration, entry: JsonObject, environ: Environment, folder: Path) -> str:
    began = anyio.current_time()
    try:
        with anyio.fail_after(DEADLINE_S):
            if "url" in entry:
                count, answered = await _called(place, entry, environ)
            else:
                count, answered = await _started(place.client, entry, environ, folder)
    except TimeoutError:
        raise _FailedError(f"no answer within {DEADLINE_S:.0f} s") from None
    return f"{count} tools after {(answered - began) * 1000:.0f} ms"


async def _started(
    client: Client, entry: JsonObject, environ: Environment, folder: Path
) -> tuple[int, float]:
    """Starts the server as the client does; returns the number of tools and the time of the list."""
    command = [_checked_command(entry, environ), *cast("list[str]", entry.get("args", []))]
    environment = _environment(client, entry, environ)
    async with _running(command, environment, folder) as server:
        for message in _MESSAGES:
            await server.send(message)
        listed = await server.answer(2)
        answered = anyio.current_time()
        await server.answer(3)
    return len(cast("dict[str, list[JsonValue]]", listed)["tools"]), answered


def _checked_command(entry: JsonObject, environ: Environment) -> str:
    command, args = str(entry.get("command")), cast("list[str]", entry.get("args", []))
    if command == wsl.COMMAND:
        raise _FailedError(
            "not tested: a client on Windows starts it", "look at that client's own list of servers"
        )
    found = shutil.which(command, path=seen_path(environ))
    if found is None:
        raise _FailedError(f"the client cannot find {command}")
    if not os.path.samefile(found, own_script()):
        raise _FailedError(f"not tested: {found} is another installation")
    ours = all(name.startswith("LOCAL_LLM_") for name in cast("JsonObject", entry.get("env") or {}))
    if args[:1] != ["stdio"] or not ours:
        raise _FailedError("not tested: the entry has arguments or variables other than ours")
    return found


def _environment(client: Client, entry: JsonObject, environ: Environment) -> dict[str, str]:
    """Returns the server's environment: what the client passes on, plus ``env_vars`` and ``env``."""
    passed = cast("list[str]", entry.get("env_vars", []))
    handed = {name: environ[name] for name in passed if name in environ}
    set_there = cast("dict[str, str]", entry.get("env") or {})
    expanded = {name: client.expand(str(value), environ) for name, value in set_there.items()}
    return {**client.inherits(environ), "PATH": seen_path(environ), **handed, **expanded}


class _Server:
    """A stdio server process and its pipes."""

    def __init__(self, process: Process, log: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._log = log
        self._in = process.stdin
        self._out = BufferedByteReceiveStream(process.stdout)

    async def send(self, message: JsonObject) -> None:
        with suppress(anyio.BrokenResourceError):  # it has ended; reading reports why
            await self._in.send(json.dumps(message).encode() + b"\n")

    async def answer(self, identity: int) -> JsonValue:
        """Returns the result of the request with this id; ``None`` for an error."""
        while True:
            try:
                message: JsonObject = json.loads(await self._out.receive_until(b"\n", MAX_LINE))
            except (anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError):
                raise _FailedError(
                    f"the server exited with code {await self._process.wait()}: {self._log_text()}"
                ) from None
            if message.get("id") == identity:
                return message.get("result")

    def _log_text(self) -> str:
        self._log.seek(0)
        return " ".join(self._log.read(MAX_LOG).decode(errors="replace").split()) or "and said nothing"

    async def close(self) -> None:
        await self._in.aclose()
        await self._process.wait()


@asynccontextmanager
async def _running(command: Sequence[str], environment: Environment, folder: Path) -> AsyncGenerator[_Server]:
    with TemporaryFile() as log:
        process = await anyio.open_process(
            command, cwd=folder, env=environment, stdin=PIPE, stdout=PIPE, stderr=log
        )
        try:
            server = _Server(process, log)
            yield server
            await server.close()
        finally:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


async def _called(place: Registration, entry: JsonObject, environ: Environment) -> tuple[int, float]:
    """Calls the server at the entry's URL; returns the number of tools and the time of the list."""
    import httpx2
    from mcp import Client as McpClient
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    url = str(entry["url"])
    if place.scope == "project" and urlsplit(url).hostname not in LOOPBACK:
        raise _FailedError(f"not tested: {url} is in the project's file and not on this machine")
    given = _headers(place.client, entry, environ)
    refused: list[int] = []

    async def note(response: httpx2.Response) -> None:
        if response.is_error:
            refused.append(response.status_code)

    def http(
        headers: dict[str, str] | None = None, timeout: object = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=given, timeout=DEADLINE_S, event_hooks={"response": [note]})

    try:
        async with http() as caller:
            sse = urlsplit(url).path.endswith("/sse")
            wire = (
                sse_client(url, httpx_client_factory=http)
                if sse
                else streamable_http_client(url, http_client=caller)
            )
            async with McpClient(wire) as client:
                return len((await client.list_tools()).tools), anyio.current_time()
    except Exception as error:
        if refused:
            raise _FailedError(f"{url} answers {refused[0]}", "check the token") from None
        raise _FailedError(
            f"{url} does not answer: {_first(error)}", "start it: local-llm-agent serve"
        ) from None


def _headers(client: Client, entry: JsonObject, environ: Environment) -> dict[str, str]:
    given = cast("dict[str, str]", entry.get("headers") or entry.get("http_headers") or {})
    headers = {name: client.expand(str(value), environ) for name, value in given.items()}
    if variable := entry.get("bearer_token_env_var"):
        headers["Authorization"] = f"Bearer {environ.get(str(variable), f'${{{variable}}}')}"
    for value in headers.values():
        if missing := re.search(r"\$\{(?:env:)?(\w+)\}", value):
            raise _FailedError(
                f"{missing[1]} is not set here, so there is no token to send", f"export {missing[1]}=..."
            )
    return headers


def _first(error: BaseException) -> str:
    """Returns the message of the first error inside exception groups."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return _first(inner[0]) if inner else str(error) or type(error).__name__
