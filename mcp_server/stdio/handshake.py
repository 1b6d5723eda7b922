"""The first answers of the stdio server, given before the MCP SDK is imported.

Importing the SDK costs half a second of CPU, and hosts send their first turn without waiting for slow
servers. So the handshake and ``tools/list`` are answered from a manifest generated from the real
server (a test keeps them equal). Everything read is then replayed to the real server, which comes
to the same state and takes over; what it says again to requests already answered is dropped.

Only the standard library is imported here.
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
"""The key by which a request of revision 2026-07-28 or later says its version."""


@dataclass(slots=True)
class Backlog:
    """What the real server has to catch up with."""

    read: bytes = b""
    """Everything read from standard input so far."""
    answered: set[str | int] = field(default_factory=set[str | int])
    """Ids of requests that must not be answered again."""
    ended: bool = False
    """Input ended before the real server was needed."""


def pollable(descriptor: int) -> bool:
    """Whether it is a pipe or a socket, as between a host and its servers."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def stand_in(descriptor: int = 0, out: int = 1) -> Backlog:
    """Answer what the manifest can until ``tools/list`` was, or something else is asked."""
    if not (pollable(descriptor) and pollable(out)):
        return Backlog()
    _exit_on_termination()
    front = _Front(json.loads(MANIFEST.read_bytes()))
    backlog = Backlog()
    pending = b""
    while not front.finished:
        data = os.read(descriptor, 65536)
        if not data:
            backlog.ended = True
            break
        backlog.read += data
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            answer = front.answer(line)
            if front.finished and answer is None:
                break
            if answer is not None:
                backlog.answered.add(answer["id"])
                _write(out, answer)
    return backlog


def _exit_on_termination() -> None:
    """Nothing is open yet, so stopping is leaving."""

    def leave(number: int, frame: object) -> None:
        sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _write(out: int, answer: Mapping[str, Any]) -> None:
    rest = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    while rest:
        rest = rest[os.write(out, rest) :]


class _Front:
    """Decides what can be answered now. ``finished`` says that the real server must go on."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._era = ""
        """Which answers the connection gets: empty until its first request decided."""
        self.finished = False

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """The answer to one line, or ``None`` where none is due or it is not ours to give."""
        if not line.strip():
            return None
        try:
            message: dict[str, Any] = json.loads(line)
            method, identity = message["method"], message.get("id")
            params: dict[str, Any] = message.get("params") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
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
        if not self._era:
            self._era = self._opened_by(method, params)
        elif method in ("initialize", "server/discover") or self._era != self._claimed(params):
            return None
        if params.get("cursor") is not None:
            return None
        # Before any handshake, what an older connection says to questions of newer ones.
        return self._manifest.get(self._era or "unopened", {}).get(method)

    def _opened_by(self, method: str, params: Mapping[str, Any]) -> str:
        """The era a first request opens: a handshake's version, or the one in its envelope."""
        if method != "initialize":
            return self._claimed(params)
        return str(params.get("protocolVersion"))

    def _claimed(self, params: Mapping[str, Any]) -> str:
        """The version a request states, else the one of the handshake before it."""
        meta: dict[str, Any] = params.get("_meta") or {}
        stated = meta.get(MODERN)
        return self._era if stated is None else str(stated)
