"""Configures logging: to standard error, and without a traceback for what a client did."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import cast

import anyio

PROTOCOLS = ("mcp.", "uvicorn.")
"""Loggers of the code that talks to clients; a client that leaves makes it fail in many places."""


def configure(*, verbose: bool) -> None:
    """Logs warnings to standard error, or everything if ``verbose``."""
    level = logging.DEBUG if verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ClientFaults(level))
    logging.basicConfig(handlers=[handler], level=level, format="%(levelname)s %(name)s: %(message)s")


class _ClientFaults(logging.Filter):
    """Turns a record about a client's fault, or a second wake, into one line at debug level."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not (_is_of_clients(record, error) or _is_second_wake(record, error)):
            return True
        record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}", ()
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return self._level <= logging.DEBUG


def _is_of_clients(record: logging.LogRecord, error: BaseException) -> bool:
    return record.name.startswith(PROTOCOLS) and all(map(_is_of_client, _leaves(error)))


def _is_second_wake(record: logging.LogRecord, error: BaseException) -> bool:
    """Returns whether uvloop told anyio a second time that a socket can be read; nothing is lost then."""
    is_wake = record.name == "asyncio" and "method set_result of" in record.getMessage()
    return is_wake and isinstance(error, asyncio.InvalidStateError)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yields the errors inside groups."""
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(each)
    else:
        yield error


def _is_of_client(error: BaseException) -> bool:
    """Returns whether a client left, or sent what is no message."""
    from pydantic import ValidationError
    from starlette.requests import ClientDisconnect

    left = (ClientDisconnect, ConnectionError, anyio.ClosedResourceError, anyio.BrokenResourceError)
    return isinstance(error, (*left, ValidationError))
