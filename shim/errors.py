"""Maps errors to HTTP status, headers and bodies.

``openai_body`` is OpenAI's error format, used on ``/v1``; ``rest_body`` is used on all other routes.
"""

import math
from collections.abc import Callable

from engines.base import JsonObject
from engines.errors import AgentError, InvalidArgumentsError, Kind, UnknownModelError

RawHeaders = tuple[tuple[bytes, bytes], ...]
ErrorBody = Callable[[AgentError], JsonObject]

STATUS: dict[Kind, int] = {
    "caller": 400,
    "busy": 429,
    "unavailable": 503,
    "timeout": 504,
    "internal": 500,
}
STATUS_OF_CODE = {"unknown_model": 404, "unknown_tool": 404, "body_too_large": 413}
"""Error codes with a more specific status than that of their kind."""

OPENAI_TYPE: dict[Kind, str] = {
    "caller": "invalid_request_error",
    "busy": "rate_limit_error",
    "unavailable": "server_error",
    "timeout": "timeout",
    "internal": "server_error",
}
# Codes that clients check; https://platform.openai.com/docs/guides/error-codes
OPENAI_CODE = {
    "context_too_long": "context_length_exceeded",
    "engine_busy": "rate_limit_exceeded",
    "unknown_model": "model_not_found",
}


class WrongFieldError(InvalidArgumentsError):
    """A field of the request is invalid; ``param`` is its path, as in ``messages[0].content``."""

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


def status_of(error: AgentError) -> int:
    """Returns the HTTP status of the error."""
    return STATUS_OF_CODE.get(error.code) or STATUS[error.kind]


def headers_of(error: AgentError) -> RawHeaders:
    """Returns ``retry-after`` in whole seconds and ``x-should-retry``.

    OpenAI's clients obey ``x-should-retry``; without it they retry every 5xx twice.
    """
    headers = [(b"x-should-retry", b"true" if error.retryable else b"false")]
    wait = error.retry_after
    if wait is None and error.kind == "busy":
        wait = 1
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    return tuple(headers)


def openai_body(error: AgentError) -> JsonObject:
    """Returns the error in OpenAI's format."""
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return {
        "error": {
            "message": message,
            "type": OPENAI_TYPE[error.kind],
            "param": _param(error),
            "code": OPENAI_CODE.get(error.code, error.code),
        }
    }


def rest_body(error: AgentError) -> JsonObject:
    """Returns the error in this project's format."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "kind": error.kind,
            "retryable": error.retryable,
        }
    }


def _param(error: AgentError) -> str | None:
    if isinstance(error, WrongFieldError):
        return error.param
    return "model" if isinstance(error, UnknownModelError) else None
