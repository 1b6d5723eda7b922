"""HTTP client for servers with OpenAI's chat completions API: vLLM, llama.cpp and others.

All errors of HTTP are translated here. Engine-specific error messages are handled by
``refine``, engine-specific request fields by the caller's body.
"""

import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from anyio import AsyncContextManagerMixin

from engines.backends.deadline import before
from engines.backends.openai_json import (
    FINISH,
    STREAMED,
    StreamState,
    read_chunks,
    read_error,
    read_object,
    written,
)
from engines.base import Done, Event, EventStream, JsonObject
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
)
from engines.http_client import HttpClient
from engines.http_connection import (
    CannotConnectError,
    ConnectionBrokenError,
    InvalidRequestError,
    Response,
)

TOO_LONG = re.compile(r"context (length|size|window)|maximum model length", re.IGNORECASE)

Refine = Callable[[int, str], AgentError | None]
"""Engine-specific error from status and message; ``None`` for the default mapping."""
Opening = Callable[[], Awaitable[Response]]


class Wire(AsyncContextManagerMixin):
    """The HTTP connections to one engine. ``hint`` is used in errors when it does not answer.

    ``secret`` is removed from errors: some servers repeat a wrong key.
    """

    def __init__(self, name: str, *, hint: str, refine: Refine, secret: str = "") -> None:
        self.name = name
        self.hint = hint
        self._refine = refine
        self._secret = secret

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with HttpClient() as self._client:
            yield self

    async def ask(
        self, url: str, body: JsonObject | None = None, *, key: str = "", deadline: float = math.inf
    ) -> JsonObject:
        """Returns the JSON object answered to a POST of ``body``, or to a GET without one.

        Raises:
            AgentError: no answer, a timeout, an error status, or an unreadable answer.
        """
        with (
            before(deadline, self.name),
            closing(await self.open(url, body, key)) as response,
            self.translated(EngineInterruptedError),
        ):
            data = await response.read()
        try:
            answer = read_object(data)
        except EngineProtocolError as error:
            raise self.cleared(error) from None
        if answer.get("error"):
            raise self.error_in(answer)
        return answer

    async def post(self, url: str, body: JsonObject, *, key: str = "", deadline: float = math.inf) -> None:
        """POSTs ``body`` and ignores the answer's content; errors as in ``ask``."""
        with before(deadline, self.name):
            (await self.open(url, body, key)).close()

    def stream(
        self, url: str, body: JsonObject, *, done: Done, key: str = "", deadline: float = math.inf
    ) -> EventStream:
        """Streams a chat completion. ``done`` is the last event, without reason and usage.

        Entering waits for the first event. Errors until then are never an ``EngineInterruptedError``:
        such a request may be sent again, to this or another engine.
        """
        return _Answer(self, partial(self.open, url, body | STREAMED, key), done, deadline)

    async def whole(
        self, url: str, body: JsonObject, *, done: Done, key: str = "", deadline: float = math.inf
    ) -> list[Event]:
        """Returns the events of a chat completion that is asked for as a whole.

        Raises:
            EngineInterruptedError: the answer stopped before its end.
            AgentError: any other failure, as in ``ask``.
        """
        with before(deadline, self.name):
            response = await self.open(url, body, key)
            try:
                with self.translated(EngineInterruptedError):
                    data = await response.read()
            finally:
                response.close()
        parser = _Parser(self, done)
        try:
            parser.take(data)
            parser.take(b"")
        except AgentError as error:
            raise self.cleared(error) from None
        if not parser.ended:
            raise parser.interrupted()
        return parser.events

    async def open(self, url: str, body: JsonObject | None, key: str) -> Response:
        with self.translated(EngineUnavailableError):
            response = await self._send(url, body, key)
            if response.status < 300:
                return response
            with closing(response):
                text = (await response.read()).decode(errors="replace")
        if response.status < 400:
            # Not followed, because the key is meant for this server.
            target = response.header("Location") or "another address"
            raise EngineUnavailableError(
                f"{self.name} answered {response.status}: it redirects to {target}",
                hint="correct `url` in its settings",
            )
        raise self.error(response.status, text, response.header("Retry-After"))

    async def _send(self, url: str, body: JsonObject | None, key: str) -> Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is None:
            return await self._client.request("GET", url, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self._client.request("POST", url, headers=headers, body=written(body))

    @contextmanager
    def translated(self, broken: type[EngineUnavailableError]) -> Generator[None, None, None]:
        """Translates errors of the connection; a broken one raises ``broken``."""
        try:
            yield
        except InvalidRequestError as error:
            raise EngineUnavailableError(
                f"{self.name} cannot be asked: {error}", hint="correct `url` and `api_key` in its settings"
            ) from error
        except CannotConnectError as error:
            raise EngineUnavailableError(f"{self.name} does not answer: {error}", hint=self.hint) from error
        except ConnectionBrokenError as error:
            raise broken(f"the connection to {self.name} was lost: {error}", hint=self.hint) from error

    def cleared(self, error: AgentError) -> AgentError:
        """Returns ``error`` without the secret in its message."""
        if self._secret and self._secret in error.message:
            error.message = error.message.replace(self._secret, "***")
            error.args = (error.message,)
        return error

    def error_in(self, answer: JsonObject) -> AgentError:
        """Returns the error in an answer with status 200."""
        error = answer["error"]
        status = error.get("code") if isinstance(error, dict) else None
        return self.error(status if isinstance(status, int) else 500, json.dumps(answer), "")

    def error(self, status: int, text: str, retry_after: str) -> AgentError:
        return self.cleared(self._error(status, read_error(text), retry_after))

    def _error(self, status: int, message: str, retry_after: str) -> AgentError:
        if error := self._refine(status, message):
            return error
        description = f"{self.name} answered {status}: {message}"
        wait = float(retry_after) if retry_after.isdecimal() else None
        match status:
            case 400 | 413 | 422 if TOO_LONG.search(message):
                return ContextTooLongError(description, hint="send less text or ask for fewer max_tokens")
            case 401 | 403:
                return EngineUnavailableError(
                    description, hint="the server wants another API key: set `api_key` in its settings"
                )
            case 404:
                return UnknownModelError(
                    description, hint="`local-llm-agent models list` shows the available models"
                )
            case 429:
                return EngineBusyError(description, hint="ask again later", retry_after=wait)
            case _ if status >= 500:
                return EngineUnavailableError(description, hint=self.hint, retry_after=wait)
            case _:
                return RequestRefusedError(description, hint="change the request")


class _Parser:
    """Parses the data of one completion, streamed or not, to ``events``."""

    def __init__(self, wire: Wire, done: Done) -> None:
        self._wire = wire
        self._done = done
        self._rest = b""
        self._state = StreamState()
        self._finished = False
        """The server sent ``[DONE]``."""
        self.events: list[Event] = []
        self.ended = False

    def take(self, data: bytes) -> None:
        """Takes the next data; empty at the end.

        Raises:
            AgentError: it has an error, cannot be read, or ends too early.
        """
        if data and (self._rest or data)[:1] == b"{":
            self._rest += data  # not a stream: an error, or a whole answer
            return
        if data:
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._take_lines(lines)
            return
        self._take_rest()
        if self._state.reason or self._finished:
            self.ended = True
            reason = FINISH.get(self._state.reason, "stop")
            self.events.append(replace(self._done, finish_reason=reason, usage=self._state.usage))
        elif not self.events:
            raise self.interrupted()

    def interrupted(self) -> EngineInterruptedError:
        return EngineInterruptedError(
            f"{self._wire.name} stopped in the middle of its answer", hint=self._wire.hint
        )

    def _take_lines(self, lines: Iterable[bytes]) -> None:
        stripped = [line.rstrip() for line in lines]
        payloads = [
            line[5:] for line in stripped if line.startswith(b"data:") and not line.endswith(b"[DONE]")
        ]
        self._finished = self._finished or b"data: [DONE]" in stripped
        if failed := read_chunks(payloads, self.events, self._state):
            raise self._wire.error_in(failed)

    def _take_rest(self) -> None:
        """Takes what is left at the end: an event without a line break, or a body that is no stream."""
        rest, self._rest = self._rest.removeprefix(b"data:").strip(), b""
        if not rest.startswith(b"{"):
            return
        with suppress(EngineProtocolError):  # it is incomplete
            if failed := read_chunks([rest], self.events, self._state):
                raise self._wire.error_in(failed)


class _Answer:
    """One streamed completion, always closed at the end.

    A plain object, which is faster than nested generators.
    """

    def __init__(self, wire: Wire, opening: Opening, done: Done, deadline: float) -> None:
        self._wire = wire
        self._opening = opening
        self._deadline = deadline
        self._response: Response
        self._parser = _Parser(wire, done)
        self._failure: AgentError | None = None

    async def __aenter__(self) -> AsyncIterator[Event]:
        with before(self._deadline, self._wire.name):
            self._response = await self._opening()
            try:
                await self._read_events()
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
        # Closed, not returned to the pool: that stops the generation.
        self._response.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if not self._parser.events:
            if self._parser.ended:
                raise StopAsyncIteration
            with before(self._deadline, self._wire.name):
                await self._read_events()
        return self._parser.events.pop(0)

    async def _read_events(self) -> None:
        """Reads until there is an event; raises a failure after the events before it are consumed."""
        while not self._parser.events:
            if self._failure:
                raise self._failure
            try:
                self._parser.take(await self._read())
            except AgentError as error:
                self._failure = self._wire.cleared(error)

    async def _read(self) -> bytes:
        """Returns the data received so far; empty at the end."""
        with self._wire.translated(EngineInterruptedError):
            return await self._response.read_some()
