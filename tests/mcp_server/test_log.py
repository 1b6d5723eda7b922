"""The log: a client's fault is one line at debug level, and our own keep their traceback."""

import asyncio
import logging

import anyio
import pytest
from starlette.requests import ClientDisconnect

from mcp_server import log

LEFT = [
    ClientDisconnect(), ConnectionResetError(), BrokenPipeError(), anyio.ClosedResourceError(),
    ExceptionGroup("of a group", [ExceptionGroup("of another", [anyio.BrokenResourceError()])]),
]  # fmt: skip


def logged(name: str, error: Exception, *, verbose: bool, message: str = "it failed") -> None:
    """Logs ``error`` as configured, without the handlers of pytest, which are put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        log.configure(verbose=verbose)
        try:
            raise error
        except Exception:
            logging.getLogger(name).exception(message)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.mark.parametrize("error", LEFT, ids=repr)
@pytest.mark.parametrize("name", ["mcp.server.sse", "uvicorn.error"])
def test_a_client_that_left_is_one_line_at_debug(
    name: str, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    logged(name, error, verbose=True)
    assert capsys.readouterr().err == f"DEBUG {name}: it failed: {type(error).__name__}\n"


@pytest.mark.parametrize("error", LEFT, ids=repr)
def test_otherwise_it_is_not_logged(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    logged("mcp.server.sse", error, verbose=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("shim.exchange", ConnectionResetError()),
        ("mcp.server.sse", ValueError("x")),
        ("uvicorn.error", ExceptionGroup("both", [ConnectionResetError(), KeyError("x")])),
    ],
)
def test_a_fault_of_ours_keeps_its_traceback(
    name: str, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    logged(name, error, verbose=False)
    said = capsys.readouterr().err
    assert said.startswith(f"ERROR {name}: it failed\n")
    assert "Traceback" in said


def test_a_socket_that_wakes_twice_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    twice, message = (
        asyncio.InvalidStateError("invalid state"),
        "Exception in callback <built-in {} of _asyncio>",
    )
    logged("asyncio", twice, verbose=False, message=message.format("method set_result"))
    assert capsys.readouterr().err == ""
    logged("asyncio", twice, verbose=False, message=message.format("method cancel"))
    assert "Traceback" in capsys.readouterr().err
