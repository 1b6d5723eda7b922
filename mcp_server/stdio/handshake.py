"""Answers ``initialize`` and ``tools/list`` from a manifest before the MCP SDK is imported.

Importing the SDK takes half a second of CPU, and hosts send their first turn without waiting for slow
servers. The manifest is generated from the MCP server (a test keeps them equal). All input read here is
replayed to the MCP server, which reaches the same state and takes over; its answers to requests already
answered are dropped.

This module imports only the standard library.
"""

import json
import os
import signal
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).with_name("manifest.json")

MODERN = "io.modelcontextprotocol/protocolVersion"
"""The ``_meta`` key with the protocol version in requests of revision 2026-07-28 or later."""


@dataclass(slots=True)
class Backlog:
    """Input and answers that the MCP server has to catch up with."""

    read: bytes = b""
    """All input read so far."""
    answered: set[str | int] = field(default_factory=set[str | int])
    """Ids of the requests answered."""
    ended: bool = False
    """Input ended before the MCP server was needed."""


def pollable(descriptor: int) -> bool:
    """Whether the descriptor is a pipe or a socket, as between a host and its servers."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def answer_handshake(descriptor: int = 0, out: int = 1) -> Backlog:
    """Answers requests from the manifest up to ``tools/list`` or the first one it does not contain."""
    if not (pollable(descriptor) and pollable(out)):
        return Backlog()
    _exit_on_termination()
    handshake = _Handshake(json.loads(MANIFEST.read_bytes()))
    backlog = Backlog()
    pending = b""
    while not handshake.finished:
        data = os.read(descriptor, 65536)
        if not data:
            backlog.ended = True
            break
        backlog.read += data
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            answer = handshake.answer(line)
            if handshake.finished and answer is None:
                break
            if answer is not None:
                backlog.answered.add(answer["id"])
                _write(out, answer)
    return backlog


def _exit_on_termination() -> None:
    """Exits on SIGINT and SIGTERM; there is nothing to close yet."""

    def leave(number: int, frame: object) -> None:
        sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _write(out: int, answer: Mapping[str, Any]) -> None:
    rest = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    while rest:
        rest = rest[os.write(out, rest) :]


class _Handshake:
    """Answers lines from the manifest; ``finished`` once the MCP server must take over."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._version = ""
        """Protocol version of the connection, the manifest's key; empty until its first request."""
        self.finished = False

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """Returns the answer to one line; ``None`` if none is due or the manifest has none."""
        if not line.strip():
            return None
        try:
            message: dict[str, Any] = json.loads(line)
            method, identity = message["method"], message.get("id")
            params: dict[str, Any] = message.get("params") or {}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.finished = True
            return None
        if identity is None:
            return None
        outcome = self._outcome(method, params)
        if outcome is None:
            self.finished = True
            return None
        self.finished = method == "tools/list"
        return {"jsonrpc": "2.0", "id": identity, **outcome}

    def _outcome(self, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        if not self._version:
            self._version = self._first_version(method, params)
        elif method in ("initialize", "server/discover") or self._version != self._stated_version(params):
            return None
        if params.get("cursor") is not None:
            return None
        # Without a version: the answers of an older connection to newer requests.
        return self._manifest.get(self._version or "unopened", {}).get(method)

    def _first_version(self, method: str, params: Mapping[str, Any]) -> str:
        """Returns the version of a first request: that of the handshake, or of its envelope."""
        if method != "initialize":
            return self._stated_version(params)
        return str(params.get("protocolVersion"))

    def _stated_version(self, params: Mapping[str, Any]) -> str:
        """Returns the version a request states, else that of the handshake."""
        meta: dict[str, Any] = params.get("_meta") or {}
        stated = meta.get(MODERN)
        return self._version if stated is None else str(stated)
