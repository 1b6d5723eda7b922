"""How the five kinds of error leave over HTTP: one table, two bodies.

``openai_body`` is what OpenAI's clients read on ``/v1``; ``rest_body`` is ours, everywhere else.
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
"""Where HTTP has a better word than the kind's."""

OPENAI_TYPE: dict[Kind, str] = {
    "caller": "invalid_request_error",
    "busy": "rate_limit_error",
    "unavailable": "server_error",
    "timeout": "timeout",
    "internal": "server_error",
}
# The codes agents look for; https://platform.openai.com/docs/guides/error-codes
OPENAI_CODE = {
    "context_too_long": "context_length_exceeded",
    "engine_busy": "rate_limit_exceeded",
    "unknown_model": "model_not_found",
}


class WrongFieldError(InvalidArgumentsError):
    """A field of the request cannot be used; ``param`` is its path, as in ``messages[0].content``."""

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


def status_of(error: AgentError) -> int:
    return STATUS_OF_CODE.get(error.code) or STATUS[error.kind]


def headers_of(error: AgentError) -> RawHeaders:
    """When to come back, in whole seconds, and whether to come back at all.

    ``x-should-retry`` is what OpenAI's clients obey; without it they send every 5xx three times.
    """
    headers = [(b"x-should-retry", b"true" if error.retryable else b"false")]
    wait = error.retry_after
    if wait is None and error.kind == "busy":
        wait = 1
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    return tuple(headers)


def openai_body(error: AgentError) -> JsonObject:
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
