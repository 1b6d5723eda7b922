"""The connection to a server that speaks OpenAI's chat completions: vLLM and llama.cpp.

Foreign errors become ours here and nowhere else. What an engine words in its own way it tells
through ``refine``; what it asks for in its own way it puts into the body.
"""

import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engines.backends.deadline import before
from engines.backends.openai_json import FINISH, Told, read_chunks, read_error, read_object, written
from engines.base import Done, Event, EventStream, JsonObject
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
Opening = Callable[[], "Awaitable[aiohttp.ClientResponse]"]


def _unrefined(status: int, message: str) -> AgentError | None:
    return None


class Wire:
    """The connections to one engine. ``hint`` is what to do when it does not answer."""

    def __init__(self, name: str, *, hint: str, refine: Refine = _unrefined) -> None:
        self.name = name
        self.hint = hint
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
        with before(deadline, self.name):
            async with await self.open(url, body, key) as response:
                with self.translated(EngineInterruptedError):
                    return read_object(await response.read())

    async def tell(self, url: str, body: JsonObject, *, key: str = "", deadline: float = math.inf) -> None:
        """POST ``body`` where the answer says nothing beyond having worked; errors as in ``ask``."""
        with before(deadline, self.name):
            async with await self.open(url, body, key):
                pass

    def stream(
        self, url: str, body: JsonObject, *, done: Done, key: str = "", deadline: float = math.inf
    ) -> EventStream:
        """The events of a streamed chat completion. ``done`` is its last, but for reason and usage.

        Entering waits for the first event. What goes wrong until then is never raised as
        ``EngineInterruptedError``: such a request may be sent again, here or elsewhere.
        """
        return _Answer(self, partial(self.open, url, body, key), done, deadline)

    async def open(self, url: str, body: JsonObject | None, key: str) -> "aiohttp.ClientResponse":
        with self.translated(EngineUnavailableError):
            response = await self._send(url, body, key)
            if response.status < 400:
                return response
            async with response:
                text = await response.text(errors="replace")
        raise self.error(response.status, text, response.headers.get("Retry-After", ""))

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

    @contextmanager
    def translated(self, broken: type[EngineUnavailableError]) -> Generator[None, None, None]:
        """A connection that breaks is ``broken``: unavailable before the answer, interrupted within."""
        import aiohttp

        try:
            yield
        except aiohttp.ClientConnectorError as error:
            raise EngineUnavailableError(f"{self.name} does not answer: {error}", hint=self.hint) from error
        except (aiohttp.ClientError, OSError) as error:
            said = str(error) or type(error).__name__
            raise broken(f"{self.name} broke the connection: {said}", hint=self.hint) from error

    def error(self, status: int, text: str, retry_after: str) -> AgentError:
        message = read_error(text)
        if error := self._refine(status, message):
            return error
        said = f"{self.name} answered {status}: {message}"
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
                return EngineUnavailableError(said, hint=self.hint, retry_after=wait)
            case _:
                return RequestRefusedError(said, hint="change the request")


class _Answer:
    """One streamed completion, closed however it ends.

    A plain object where two generators and what closes them would take a fifth longer.
    """

    def __init__(self, wire: Wire, opening: Opening, done: Done, deadline: float) -> None:
        self._wire = wire
        self._opening = opening
        self._done = done
        self._deadline = deadline
        self._response: aiohttp.ClientResponse
        self._rest = b""
        self._told = Told()
        self._events: list[Event] = []
        self._ended = False
        self._failure: AgentError | None = None

    async def __aenter__(self) -> AsyncIterator[Event]:
        with before(self._deadline, self._wire.name):
            self._response = await self._opening()
            try:
                await self._until_there()
            except BaseException as error:
                self._response.close()
                if isinstance(error, EngineInterruptedError):
                    raise EngineUnavailableError(error.message, hint=error.hint) from error
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closed, not given back to the pool: that is what stops the generation.
        self._response.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            if self._ended:
                raise StopAsyncIteration
            with before(self._deadline, self._wire.name):
                await self._until_there()
        return self._events.pop(0)

    async def _until_there(self) -> None:
        """Read until there is an event; a failure waits until those before it are taken."""
        while not self._events:
            if self._failure:
                raise self._failure
            try:
                self._take(await self._read())
            except AgentError as error:
                self._failure = error

    def _take(self, data: bytes) -> None:
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._take_lines(lines)
        elif self._told.reason:
            self._ended = True
            reason = FINISH.get(self._told.reason, "stop")
            self._events.append(replace(self._done, finish_reason=reason, usage=self._told.usage))
        else:
            raise EngineInterruptedError(f"{self._wire.name} stopped in the middle", hint=self._wire.hint)

    def _take_lines(self, lines: Iterable[bytes]) -> None:
        stripped = [line.rstrip() for line in lines]
        said = [line[5:] for line in stripped if line.startswith(b"data:") and not line.endswith(b"[DONE]")]
        if failed := read_chunks(said, self._events, self._told):
            error = failed["error"]
            status = error.get("code") if isinstance(error, dict) else None
            raise self._wire.error(status if isinstance(status, int) else 500, json.dumps(failed), "")

    async def _read(self) -> bytes:
        """As much of the body as has arrived; empty at its end."""
        content = self._response.content
        if content.at_eof() and not content.exception():
            return b""
        with self._wire.translated(EngineInterruptedError):
            return await content.readany()
