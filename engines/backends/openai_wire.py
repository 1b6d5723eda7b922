"""The connection to a server that speaks OpenAI's chat completions: vLLM and llama.cpp.

Foreign errors become ours here and nowhere else. What an engine words in its own way it tells
through ``refine``; what it asks for in its own way it puts into the body.
"""

import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engines.backends.deadline import before
from engines.backends.openai_json import FINISH, Told, read_chunk, read_error, read_object, written
from engines.base import Done, Event, JsonObject
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
)

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 10.0
KEEPALIVE_S = 4.0
"""Both servers close a connection that was idle for five seconds."""
TOO_LONG = re.compile(r"context (length|size|window)|maximum model length", re.IGNORECASE)

Refine = Callable[[int, str], AgentError | None]
"""An engine's own reading of an error, from status and message; ``None`` leaves it to the table."""


def _unrefined(status: int, message: str) -> AgentError | None:
    return None


class Wire:
    """The connections to one engine. ``hint`` is what to do when it does not answer."""

    def __init__(self, name: str, *, hint: str, refine: Refine = _unrefined) -> None:
        self._name = name
        self._hint = hint
        self._refine = refine

    async def __aenter__(self) -> Self:
        import aiohttp

        from engines.backends.connector import QuietConnector

        self._session = aiohttp.ClientSession(
            connector=QuietConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def ask(
        self, url: str, body: JsonObject | None = None, *, key: str = "", deadline: float = math.inf
    ) -> JsonObject:
        """The JSON object that ``url`` answers to a POST of ``body``, or to a GET without one.

        Raises:
            AgentError: nothing answers, not in time, with an error, or with something else.
        """
        with before(deadline, self._name):
            async with await self._open(url, body, key) as response:
                with self._translated(EngineInterruptedError):
                    return read_object(await response.read())

    async def tell(self, url: str, body: JsonObject, *, key: str = "", deadline: float = math.inf) -> None:
        """POST ``body`` where the answer says nothing beyond having worked; errors as in ``ask``."""
        with before(deadline, self._name):
            async with await self._open(url, body, key):
                pass

    @asynccontextmanager
    async def stream(
        self, url: str, body: JsonObject, *, done: Done, key: str = "", deadline: float = math.inf
    ) -> AsyncGenerator[AsyncIterator[Event], None]:
        """The events of a streamed chat completion. ``done`` is its last, but for reason and usage.

        Entering waits for the first event. What goes wrong until then is never raised as
        ``EngineInterruptedError``: such a request may be sent again, here or elsewhere.
        """
        with before(deadline, self._name):
            response = await self._open(url, body, key)
        try:
            async with aclosing(self._events(response, done, deadline)) as events:
                try:
                    first = await anext(events)
                except EngineInterruptedError as error:
                    raise EngineUnavailableError(error.message, hint=error.hint) from error
                async with aclosing(_resumed(first, events)) as resumed:
                    yield resumed
        finally:
            # Closed, not given back to the pool: that is what stops the generation.
            response.close()

    async def _open(self, url: str, body: JsonObject | None, key: str) -> "aiohttp.ClientResponse":
        with self._translated(EngineUnavailableError):
            response = await self._send(url, body, key)
            if response.status < 400:
                return response
            async with response:
                text = await response.text(errors="replace")
        raise self._error(response.status, text, response.headers.get("Retry-After", ""))

    async def _send(self, url: str, body: JsonObject | None, key: str) -> "aiohttp.ClientResponse":
        import aiohttp

        method, data = ("GET", None) if body is None else ("POST", written(body))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if data:
            headers["Content-Type"] = "application/json"
        try:
            return await self._session.request(method, url, data=data, headers=headers)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # Most likely a pooled connection that the server was just closing.
            return await self._session.request(method, url, data=data, headers=headers)

    async def _events(
        self, response: "aiohttp.ClientResponse", done: Done, deadline: float
    ) -> AsyncGenerator[Event, None]:
        told, rest = Told(), b""
        while data := await self._read(response, deadline):
            *lines, rest = (rest + data).split(b"\n")
            events: list[Event] = []
            failure: AgentError | None = None
            try:
                self._take(lines, events, told)
            except AgentError as error:
                failure = error
            for event in events:
                yield event
            if failure:
                raise failure
        if not told.reason:
            raise EngineInterruptedError(f"{self._name} stopped in the middle", hint=self._hint)
        yield replace(done, finish_reason=FINISH.get(told.reason, "stop"), usage=told.usage)

    async def _read(self, response: "aiohttp.ClientResponse", deadline: float) -> bytes:
        """As much of the body as has arrived; empty at its end."""
        if response.content.at_eof() and not response.content.exception():
            return b""
        with before(deadline, self._name), self._translated(EngineInterruptedError):
            return await response.content.readany()

    def _take(self, lines: Iterable[bytes], events: list[Event], told: Told) -> None:
        """Add to ``events`` what ``lines`` say, each of any length; those before an error are there."""
        for line in lines:
            line = line.rstrip()
            if not line.startswith(b"data:") or line.endswith(b"[DONE]"):
                continue
            if error := read_chunk(line[5:], events, told):
                status = error.get("code") if isinstance(error, dict) else None
                raise self._error(status if isinstance(status, int) else 500, line[5:].decode(), "")

    @contextmanager
    def _translated(self, broken: type[EngineUnavailableError]) -> Generator[None, None, None]:
        """A connection that breaks is ``broken``: unavailable before the answer, interrupted within."""
        import aiohttp

        try:
            yield
        except aiohttp.ClientConnectorError as error:
            raise EngineUnavailableError(f"{self._name} does not answer: {error}", hint=self._hint) from error
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise broken(f"{self._name} broke the connection: {said}", hint=self._hint) from error

    def _error(self, status: int, text: str, retry_after: str) -> AgentError:
        message = read_error(text)
        if error := self._refine(status, message):
            return error
        said = f"{self._name} answered {status}: {message}"
        wait = float(retry_after) if retry_after.isdecimal() else None
        match status:
            case 400 | 413 | 422 if TOO_LONG.search(message):
                return ContextTooLongError(said, hint="send less text or ask for fewer max_tokens")
            case 401 | 403:
                return EngineUnavailableError(said, hint="check the API key in the settings")
            case 404:
                return UnknownModelError(said, hint="`local-llm-agent models list` shows what there is")
            case 429:
                return EngineBusyError(said, hint="ask again later", retry_after=wait)
            case _ if status >= 500:
                return EngineUnavailableError(said, hint=self._hint, retry_after=wait)
            case _:
                return RequestRefusedError(said, hint="change the request")


async def _resumed(first: Event, rest: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    yield first
    async for event in rest:
        yield event
