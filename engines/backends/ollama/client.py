"""The PyPI client, and the parts of Ollama's API it has no words for.

``AsyncClient.chat()`` knows neither ``truncate`` nor ``shift``, and drops the ids of tool calls and
whatever stands below the first level of a tool's parameters; ``list()`` drops the capabilities,
``show()`` the tensors, and the version is missing. So those bodies and answers are ours, sent
through the client's own request method.

Importing this costs 0.2 s of CPU and 15 MB (httpx, pydantic models): do it once a server listens.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

import httpx
import ollama
from pydantic import JsonValue

from engines.backends.ollama.answers import Line, Shown, Tags, Version
from engines.backends.ollama.wire import unreachable
from engines.base import JsonObject
from engines.errors import (
    AgentError,
    ContextTooLongError,
    EngineBusyError,
    EngineInterruptedError,
    EngineProtocolError,
    EngineUnavailableError,
    RequestRefusedError,
    UnknownModelError,
    UnsupportedFeatureError,
)

T = TypeVar("T")


class Client(ollama.AsyncClient):
    """``AsyncClient`` for one server. Deadlines are the caller's; connecting has ``connect_s`` seconds."""

    def __init__(self, url: str, *, connect_s: float) -> None:
        timeout = httpx.Timeout(None, connect=connect_s)
        # A connection used again would take what came unasked after the last answer for the next one.
        once = httpx.Limits(max_keepalive_connections=0)
        # Like the other engines' aiohttp: a proxy from the environment is no way to one's own machine.
        super().__init__(url, timeout=timeout, limits=once, trust_env=False)  # pyright: ignore[reportUnknownMemberType]

    async def chat_lines(self, body: JsonObject) -> AsyncGenerator[Line]:
        return cast("AsyncGenerator[Line]", await self._ask(Line, "/api/chat", body, stream=True))

    async def show_all(self, model: str) -> Shown:
        return await self._ask(Shown, "/api/show", {"model": model})

    async def show_raw(self, model: str) -> JsonObject:
        return await self._ask(JsonObject, "/api/show", {"model": model})

    async def tags(self) -> Tags:
        return await self._ask(Tags, "/api/tags")

    async def version(self) -> str:
        return (await self._ask(Version, "/api/version")).version

    async def unload(self, model: str) -> None:
        await self._ask(Line, "/api/chat", {"model": model, "messages": [], "keep_alive": 0, "stream": False})

    async def _ask(
        self, kind: type[T], path: str, body: JsonObject | None = None, *, stream: bool = False
    ) -> T:
        # The client leaves the types of its own arguments open.
        request = cast("Callable[..., Awaitable[T]]", self._request)  # pyright: ignore[reportUnknownMemberType]
        return await request(kind, "POST" if body else "GET", path, json=body, stream=stream)


@contextmanager
def translated(model: str) -> Generator[None]:
    """Run the body with the errors of the client and of what lies below it turned into ours."""
    try:
        yield
    except ollama.ResponseError as error:
        raise _refusal(error, model) from error
    except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise unreachable(str(error)) from error
    except httpx.RequestError as error:
        raise EngineInterruptedError(
            f"the connection to Ollama broke: {error or type(error).__name__}", hint="ask again"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        # What the client raises when a line is no JSON, no object, or not the object it should be.
        raise EngineProtocolError(f"Ollama's answer cannot be read: {error}") from error


def _refusal(error: ollama.ResponseError, model: str) -> AgentError:
    """Ours for a status and its text; the texts are those of Ollama 0.32 (see tests/fixtures/ollama)."""
    detail = _innermost(error.error)
    said = str(detail["message"])
    match error.status_code:
        case -1:
            return EngineInterruptedError(f"Ollama broke off its answer: {said}", hint="ask again")
        case 404 if "model" in said:
            return UnknownModelError(f"Ollama has no model {model!r}", hint=f"ollama pull {model}")
        case 404 | 405:
            return unreachable("what listens there is not Ollama, or too old")
        case 429 | 503:
            wait = _retry_after(error)
            return EngineBusyError(f"Ollama is busy: {said}", hint="try again in a moment", retry_after=wait)
        case 400 if "context" in said:
            return _too_long(detail)
        case 400 if "schema" in said.lower():
            return UnsupportedFeatureError(
                f"Ollama cannot hold a model to this schema: {said}", hint="leave that keyword out"
            )
        case 400 | 501 if "support" in said:
            return UnsupportedFeatureError(f"{model} on Ollama: {said}", hint="choose another model")
        case status if status >= 500:
            return EngineUnavailableError(f"Ollama failed: {said}", hint="its own log says more")
        case _:
            return RequestRefusedError(f"Ollama refused the request: {said}")


def _retry_after(error: ollama.ResponseError) -> float | None:
    """The header, in seconds: the client hides the response, which is there as the error's context."""
    match error.__context__:
        case httpx.HTTPStatusError(response=response):
            told: str = response.headers.get("Retry-After", "")
            return float(told) if told.isdecimal() else None
        case _:
            return None


def _too_long(detail: JsonObject) -> ContextTooLongError:
    match detail:
        case {"n_prompt_tokens": int(tokens), "n_ctx": int(context)}:
            message = f"the prompt has {tokens} tokens, the context of the model {context}"
        case _:
            message = "the text is longer than the context of the model"
    return ContextTooLongError(message, hint="shorten or split the text, or raise the tier's `context`")


def _innermost(error: JsonValue) -> JsonObject:
    """The error object: llama.cpp's server, inside Ollama, writes its own as JSON into Ollama's text."""
    inner = error
    if isinstance(error, str):
        with suppress(ValueError):
            inner = json.loads(error)
    match inner:
        case {"error": {"message": str()} as found} | ({"message": str()} as found):
            return cast("JsonObject", found)
        case _:
            return {"message": str(error)}
