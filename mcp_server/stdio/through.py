"""Forwards a host's messages to a running ``serve`` over Streamable HTTP: ``stdio --through URL``.

The handshake was answered from the manifest; its messages are sent to the server too, so that it knows the
host. A session that the server has forgotten, because it was started again, is opened again. Neither the
MCP SDK nor the settings are imported: the process takes half of the memory of one that serves.
"""

import asyncio
import json
import os
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from engines import system
from engines.errors import AgentError
from engines.http_client import HttpClient
from engines.http_connection import (
    CannotConnectError,
    ConnectionBrokenError,
    InvalidRequestError,
    Response,
)
from engines.middleware.background import background
from mcp_server.local_key import FOLDER, KEY, PROJECT_FOLDER, read_key
from mcp_server.stdio.handshake import MODERN, Backlog, pollable
from mcp_server.stdio.pipes import Writer, connected
from mcp_server.stdio.target import Target

MAX_LINE = 32 * 2**20
"""Largest message in bytes, as of a serving process; the server has a limit of its own."""
SILENCE_S = 60.0
"""Longest time without a byte of an answer; the server sends one every 15 seconds while it works."""
GOODBYE_S = 1.0
"""Time to end the session at the server."""

FAILED = -32000
INVALID_REQUEST = -32600
PARSE_ERROR = -32700

UNAUTHORIZED = 401
UNKNOWN_SESSION = 404

INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that is repeated in the header ``Mcp-Name``, by method."""

_PLAIN = re.compile(r"(?!=\?base64\?)[!-~](?:[ -~]*[!-~])?")
_NOT_IN_NAMES = re.compile(r"[^\w.@-]+", re.ASCII)

Message = dict[str, Any]


class ServerUnavailableError(AgentError):
    """No server answers at the URL."""

    kind = "unavailable"
    code = "server_unavailable"


class ServerInterruptedError(AgentError):
    """The server ended, or fell silent, before its answer was complete."""

    kind = "unavailable"
    code = "server_interrupted"


class ServerRefusedError(AgentError):
    """The server refuses requests: a wrong URL or token, or a body that is too large."""

    kind = "caller"
    code = "server_refused"


class Session(NamedTuple):
    """A session at the server."""

    id: str
    version: str
    welcome: bytes
    """The server's answer to ``initialize``."""


async def forward(target: Target, project: str, backlog: Backlog) -> None:
    """Forwards until the host closes a pipe, SIGINT or SIGTERM; first sends the messages of the handshake.

    Raises:
        ServerRefusedError: the URL is malformed, or standard input and output are no pipes.
    """
    if not (pollable(0) and pollable(1)):
        raise ServerRefusedError("stdio --through needs pipes", hint="an MCP client starts it with pipes")
    caller = Caller(target, project)
    reader = asyncio.StreamReader(limit=MAX_LINE)
    reader.feed_data(backlog.read)
    async with HttpClient() as client, connected(reader) as writer:
        forwarder = Forwarder(client, caller, writer, backlog.answered)
        with anyio.CancelScope() as serving:
            async with background(partial(system.cancel_on_signal, serving)):
                await forwarder.run(reader)
        with anyio.move_on_after(GOODBYE_S):
            await forwarder.end()


class Caller:
    """What the server is told about this process."""

    def __init__(self, target: Target, project: str) -> None:
        """``project``: a name; empty for the project of the working folder.

        Raises:
            ServerRefusedError: the URL is malformed.
        """
        self.target = target
        try:
            self._port = target.local_port
        except ValueError:
            raise ServerRefusedError(
                f"{target.url!r} is no URL of a server", hint="name it as http://127.0.0.1:3160"
            ) from None
        self._project = project
        self._folder = os.getcwd()
        given = os.environ.get("CLAUDE_PROJECT_DIR", "")
        self._project_folder = os.path.abspath(given) if os.path.isdir(given) else ""

    async def headers(self) -> dict[str, str]:
        """Returns the headers of a request; the folder is named only to a server of this user."""
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self.target.token:
            headers["Authorization"] = f"Bearer {self.target.token}"
        key = await anyio.to_thread.run_sync(read_key, self._port) if self._port else ""
        project = self._project
        if key:
            headers |= {KEY: key, FOLDER: quote(self._folder), PROJECT_FOLDER: quote(self._project_folder)}
        elif not project:
            project = _NOT_IN_NAMES.sub("-", os.path.basename(self._project_folder or self._folder))
        return {**headers, "X-Project": project} if project else headers


class Forwarder:
    """Forwards the messages of one host."""

    def __init__(self, client: HttpClient, caller: Caller, writer: Writer, answered: set[str | int]) -> None:
        """``answered``: ids of the requests whose answers the host has."""
        self._client = client
        self._caller = caller
        self._writer = writer
        self._writing = anyio.Lock()
        self._answered = answered
        self._initialize = b""
        """The host's ``initialize``; hosts of revision 2026-07-28 send none and have no session."""
        self._session: Session | None = None
        self._opening = anyio.Lock()
        self._running: dict[str | int, anyio.CancelScope] = {}

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Forwards until input ends or the host does not read any more; cancels what is running then."""
        try:
            async with anyio.create_task_group() as group:
                with suppress(ValueError):  # a line over MAX_LINE: framing is lost
                    while line := await reader.readline():
                        await self._accept(line, group)
                group.cancel_scope.cancel()
        except* ConnectionError:
            pass

    async def end(self) -> None:
        """Ends the session at the server."""
        if session := self._session:
            headers = {**await self._caller.headers(), **_of_session(session)}
            with suppress(AgentError):
                async with self._exchange("DELETE", headers):
                    pass

    async def _accept(self, line: bytes, group: TaskGroup) -> None:
        """Starts what a line asks for."""
        if not line.strip():
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._refuse(PARSE_ERROR, "Parse error")
            return
        method, identity = _member(message, "method"), _member(message, "id")
        if method == "initialize":
            self._initialize, self._session = line, None
        if not isinstance(method, str) and (identity is None or method is not None):
            await self._refuse(INVALID_REQUEST, "Invalid Request")
        elif isinstance(method, str) and isinstance(identity, str | int):
            group.start_soon(self._request, line, message, identity, identity in self._answered)
            self._answered.discard(identity)
        elif method != "notifications/initialized":  # which is sent whenever the session is opened
            group.start_soon(self._notify, line, message)

    async def _request(self, line: bytes, message: Message, identity: str | int, quiet: bool) -> None:
        """Has a request answered; ``quiet`` if the host has an answer."""
        with anyio.CancelScope() as scope:
            self._running[identity] = scope
            try:
                async with aclosing(self._answers(line, message)) as answers:
                    async for answer in answers:
                        if not quiet:
                            await self._write(answer)
            except AgentError as error:
                if not quiet:
                    await self._write(_failure(identity, _as_jsonrpc(error)))
            finally:
                if self._running.get(identity) is scope:
                    del self._running[identity]

    async def _notify(self, line: bytes, message: Message) -> None:
        """Sends a notification, or the host's answer to a request of the server.

        A cancelled request is given up here too: without a session, closing its answer is what cancels it.
        """
        with suppress(AgentError):
            if session := await self._opened():
                headers = {**await self._caller.headers(), **_of_session(session)}
                async with self._exchange("POST", headers, line):
                    pass
        if message.get("method") == "notifications/cancelled":
            identity = _params(message).get("requestId")
            if isinstance(identity, str | int) and (scope := self._running.get(identity)):
                scope.cancel()

    async def _answers(self, line: bytes, message: Message) -> AsyncGenerator[bytes]:
        """Yields the messages that answer a request, the last of which is its result.

        Raises:
            AgentError: there is no result.
        """
        modern = _of_envelope(message)
        for last in (False, True):
            session = None if modern else await self._opened()
            if session and message["method"] == "initialize":
                yield session.welcome
                return
            headers = {**await self._caller.headers(), **(_of_session(session) if session else modern)}
            async with self._exchange("POST", headers, line) as answer:
                if answer.status == UNKNOWN_SESSION and session and not last:
                    self._forget(session)
                    continue
                if answer.status >= 400:
                    yield _failure(message["id"], await _refusal(answer))
                    return
                async with aclosing(_messages(answer)) as messages:
                    async for each in messages:
                        yield each
                        if "method" not in json.loads(each):
                            return
            raise _interrupted()

    async def _opened(self) -> Session | None:
        """Returns the session, which it opens if there is none; ``None`` if the host wants none."""
        async with self._opening:
            if self._initialize and not self._session:
                self._session = await self._open(self._initialize)
            return self._session

    async def _open(self, initialize: bytes) -> Session:
        headers = await self._caller.headers()
        async with self._exchange("POST", headers, initialize) as answer:
            if answer.status >= 400:
                refusal = await _refusal(answer)
                raise ServerRefusedError(str(refusal.get("message")))
            async with aclosing(_messages(answer)) as messages:
                welcome = await anext(messages, b"")
        if not welcome:
            raise _interrupted()
        version = _member(_member(json.loads(welcome), "result"), "protocolVersion")
        session = Session(answer.header("mcp-session-id"), str(version or ""), welcome)
        async with self._exchange("POST", {**headers, **_of_session(session)}, INITIALIZED):
            return session

    def _forget(self, session: Session) -> None:
        if self._session is session:
            self._session = None

    @asynccontextmanager
    async def _exchange(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncGenerator[Response]:
        """Yields the server's answer to an HTTP request.

        Raises:
            AgentError: there is none, or it breaks off in the body of the ``async with``.
        """
        target = self._caller.target
        try:
            with anyio.fail_after(SILENCE_S):
                answer = await self._client.request(method, target.endpoint, headers=headers, body=body)
            try:
                yield answer
            finally:
                answer.close()
        except CannotConnectError:
            raise ServerUnavailableError(
                f"no server answers at {target.url}",
                hint="start it with `local-llm-agent serve`, or leave --through away",
            ) from None
        except (ConnectionBrokenError, TimeoutError):
            raise _interrupted() from None
        except InvalidRequestError as error:
            raise ServerRefusedError(str(error), hint="name the server as http://127.0.0.1:3160") from None

    async def _refuse(self, code: int, reason: str) -> None:
        await self._write(_failure(None, {"code": code, "message": reason}))

    async def _write(self, message: bytes) -> None:
        if b"\n" in message or b"\r" in message:
            message = _compact(json.loads(message))
        async with self._writing:
            self._writer.write(message + b"\n")
            await self._writer.drain()


def _interrupted() -> ServerInterruptedError:
    return ServerInterruptedError("the server ended before it answered", hint="call again")


def _compact(message: object) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _failure(identity: str | int | None, error: Message) -> bytes:
    return _compact({"jsonrpc": "2.0", "id": identity, "error": error})


def _as_jsonrpc(error: AgentError) -> Message:
    hint = f" ({error.hint})" if error.hint else ""
    return {"code": FAILED, "message": f"{error.code}: {error.message}{hint}", "data": error.as_json()}


async def _refusal(answer: Response) -> Message:
    """Returns an answer with an error status as a JSON-RPC error."""
    try:
        found = _member(json.loads(await answer.read()), "error")
    except (ValueError, RecursionError):
        found = None
    if isinstance(_member(found, "code"), int):
        return cast("Message", found)
    hint = "set LOCAL_LLM_HTTP__TOKEN to the server's token" if answer.status == UNAUTHORIZED else ""
    reason = _member(found, "message") or f"the server answered with status {answer.status}"
    return _as_jsonrpc(ServerRefusedError(str(reason), hint=hint))


async def _messages(answer: Response) -> AsyncGenerator[bytes]:
    """Yields the JSON-RPC messages of an answer: of a stream of events, or the only one."""
    if not answer.header("content-type").startswith("text/event-stream"):
        if body := await _some(answer, whole=True):
            yield body
        return
    data: list[bytes] = []
    async with aclosing(_lines(answer)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and data:
                if message := b"\n".join(data):
                    yield message
                data = []


async def _lines(answer: Response) -> AsyncGenerator[bytes]:
    """Yields the lines of an answer as they arrive."""
    begun: list[bytes] = []
    while piece := await _some(answer):
        first, *others = piece.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun).removesuffix(b"\r")
            begun = [other]


async def _some(answer: Response, *, whole: bool = False) -> bytes:
    """Raises TimeoutError: nothing arrives for too long."""
    with anyio.fail_after(SILENCE_S):
        return await (answer.read() if whole else answer.read_some())


def _of_session(session: Session) -> dict[str, str]:
    """Returns the headers of a request in a session."""
    headers = {"Mcp-Session-Id": session.id, "Mcp-Protocol-Version": session.version}
    return {name: value for name, value in headers.items() if value}


def _of_envelope(message: Message) -> dict[str, str]:
    """Returns the headers that repeat a request of revision 2026-07-28; empty for older ones."""
    params, method = _params(message), str(message["method"])
    version = _member(params.get("_meta"), MODERN)
    if version is None:
        return {}
    headers = {"Mcp-Protocol-Version": str(version), "Mcp-Method": method}
    if isinstance(name := params.get(NAMES.get(method, "")), str):
        headers["Mcp-Name"] = name
    return {name: _encoded(value) for name, value in headers.items()}


def _encoded(value: str) -> str:
    """Returns the value of a header, in base64 if it is not plain ASCII (as the MCP revision says)."""
    if _PLAIN.fullmatch(value):
        return value
    return f"=?base64?{b64encode(value.encode(errors='replace')).decode()}?="


def _params(message: Message) -> Message:
    params = message.get("params")
    return cast("Message", params) if isinstance(params, dict) else {}


def _member(value: object, name: str) -> object:
    """Returns a member of a JSON object; ``None`` if it has none, or is no object."""
    return cast("Message", value).get(name) if isinstance(value, dict) else None
