"""The ``ollama`` client from PyPI, extended by the parts of the API it does not support.

``AsyncClient.chat()`` lacks ``truncate`` and ``shift``, and drops the ids of tool calls and nested
levels of a tool's parameters; ``list()`` drops the capabilities, ``show()`` leaves every field optional,
and the version is missing. Those requests use our bodies and models with the client's request method.

Importing this is slow (httpx, pydantic models): import it after a server was found.
"""

import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

import httpx
import ollama
from pydantic import JsonValue

from engines.backends.ollama.answers import Line, Running, ShowResponse, Tags, Version
from engines.backends.ollama.wire import unreachable
from engines.base import JsonObject
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineUnavailableError,
    ModelNotLoadedError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)

T = TypeVar("T")

NOT_LOADED = re.compile(
    r"out of memory|requires more system memory|unable to (load|allocate)|(error|failed to|failure) load"
    r"|runner process has terminated|unknown model architecture|cudamalloc",
    re.IGNORECASE,
)
"""Matches Ollama's errors when a model does not load (llm/server.go, server/sched.go)."""


class Client(ollama.AsyncClient):
    """``AsyncClient`` for one server, with a connect timeout only; callers enforce deadlines."""

    def __init__(self, url: str, *, connect_s: float) -> None:
        timeout = httpx.Timeout(None, connect=connect_s)
        # A reused connection would read unexpected data as the next answer.
        once = httpx.Limits(max_keepalive_connections=0)
        # Like the other engines' aiohttp: ignore proxies from the environment for local servers.
        super().__init__(url, timeout=timeout, limits=once, trust_env=False)  # pyright: ignore[reportUnknownMemberType]

    async def chat_lines(self, body: JsonObject) -> AsyncGenerator[Line]:
        return cast("AsyncGenerator[Line]", await self._ask(Line, "/api/chat", body, stream=True))

    async def show_all(self, model: str) -> ShowResponse:
        return await self._ask(ShowResponse, "/api/show", {"model": model})

    async def tags(self) -> Tags:
        return await self._ask(Tags, "/api/tags")

    async def running(self) -> Running:
        return await self._ask(Running, "/api/ps")

    async def version(self) -> str:
        return (await self._ask(Version, "/api/version")).version

    async def _ask(
        self, kind: type[T], path: str, body: JsonObject | None = None, *, stream: bool = False
    ) -> T:
        # The client does not type its arguments.
        request = cast("Callable[..., Awaitable[T]]", self._request)  # pyright: ignore[reportUnknownMemberType]
        return await request(kind, "POST" if body else "GET", path, json=body, stream=stream)


@contextmanager
def translated(model: str) -> Generator[None]:
    """Translates errors of the client and of httpx in the body into ``AgentError``s."""
    try:
        yield
    except ollama.ResponseError as error:
        raise _refusal(error, model) from error
    except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise unreachable(str(error)) from error
    except httpx.RequestError as error:
        raise EngineInterruptedError(
            f"the connection to Ollama was lost: {error or type(error).__name__}", hint="ask again"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        # Raised by the client when a line is not JSON, or not the expected object.
        raise EngineProtocolError(f"Ollama's answer cannot be read: {error}") from error


def _refusal(error: ollama.ResponseError, model: str) -> AgentError:
    """Maps status and message to an error; messages are those of Ollama 0.32 (tests/fixtures/ollama)."""
    detail = _error_object(error.error)
    message = str(detail["message"])
    match error.status_code:
        case -1:
            return EngineInterruptedError(
                f"Ollama stopped in the middle of its answer: {message}", hint="ask again"
            )
        case 404 if "model" in message:
            return UnknownModelError(f"Ollama has no model {model!r}", hint=f"ollama pull {model}")
        case 404 | 405:
            return unreachable("the server there is not Ollama, or too old")
        case 429 | 503:
            wait = _retry_after(error)
            return EngineBusyError(
                f"Ollama is busy: {message}", hint="try again in a moment", retry_after=wait
            )
        case 400 if "context" in message:
            return _too_long(detail)
        case 400 if "schema" in message.lower():
            return UnsupportedFeatureError(
                f"Ollama cannot enforce this schema: {message}", hint="leave that keyword out"
            )
        case 400 | 501 if "support" in message:
            return UnsupportedFeatureError(f"{model} on Ollama: {message}", hint="choose another model")
        case status if status >= 500 and NOT_LOADED.search(message):
            return ModelNotLoadedError(
                f"Ollama cannot load {model}: {message}", hint="choose a smaller model, or free memory"
            )
        case status if status >= 500:
            return EngineUnavailableError(f"Ollama failed: {message}", hint="see Ollama's log")
        case _:
            return RequestRefusedError(f"Ollama refused the request: {message}")


def _retry_after(error: ollama.ResponseError) -> float | None:
    """Reads the ``Retry-After`` seconds from the response, which is only in the error's context."""
    match error.__context__:
        case httpx.HTTPStatusError(response=response):
            header: str = response.headers.get("Retry-After", "")
            return float(header) if header.isdecimal() else None
        case _:
            return None


def _too_long(detail: JsonObject) -> ContextTooLongError:
    match detail:
        case {"n_prompt_tokens": int(tokens), "n_ctx": int(context)}:
            message = f"the prompt has {tokens} tokens, the context of the model {context}"
        case _:
            message = "the text is longer than the context of the model"
    return ContextTooLongError(message, hint="shorten or split the text, or raise the tier's `context`")


def _error_object(error: JsonValue) -> JsonObject:
    """Returns the error object; llama.cpp's server, inside Ollama, puts JSON into Ollama's message."""
    inner = error
    if isinstance(error, str):
        with suppress(ValueError):
            inner = json.loads(error)
    match inner:
        case {"error": {"message": str()} as found} | ({"message": str()} as found):
            return cast("JsonObject", found)
        case _:
            return {"message": str(error)}
