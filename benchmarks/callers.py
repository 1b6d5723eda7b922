"""Low-overhead callers of an OpenAI endpoint, with one persistent connection each."""

import asyncio
import json
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import cast

import httptools

from benchmarks.upstream import SLOW

SENT = re.compile(rb'"content": ?"(\d+\.\d{6}) "')
"""Matches the time when the upstream sent a chunk."""
SYSTEM = "You are a careful assistant that answers briefly. " * 8
PROMPT = "Summarize the following paragraph for a colleague who has no time to read it. " * 6

_numbers = count(1)


@dataclass(slots=True)
class Streamed:
    """Seconds until the first chunk of text arrived, and the transit time of each chunk."""

    first_s: float
    delays_s: list[float]


@dataclass(frozen=True, slots=True)
class Target:
    """Port of a `/v1` endpoint and what its requests must contain."""

    port: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Caller(asyncio.Protocol):
    """One connection; sends one request at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._chunks: list[tuple[float, bytes]] = []

    @classmethod
    async def open(cls, target: Target) -> "Caller":
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: cls(target), "127.0.0.1", target.port)
        return caller

    def close(self) -> None:
        self._transport.close()

    async def ask(self, model: str = "constant", *, stream: bool = False) -> float:
        """Returns the seconds until the whole answer arrived. Requests differ, to miss every cache."""
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._chunks.clear()
        request = self._request(model, stream)
        begun = time.perf_counter()
        self._transport.write(request)
        await self._answered
        if self._parser.get_status_code() != 200:
            raise RuntimeError(b"".join(body for _, body in self._chunks).decode())
        return time.perf_counter() - begun

    async def stream(self) -> Streamed:
        """Returns the times of a slow stream."""
        begun = time.perf_counter()
        await self.ask(SLOW, stream=True)
        delays: list[float] = []
        first = 0.0
        for arrived, body in self._chunks:
            for sent in SENT.findall(body):
                first = first or arrived - begun
                delays.append(arrived - float(sent))
        return Streamed(first, delays)

    def _request(self, model: str, stream: bool) -> bytes:
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"{next(_numbers)}-{time.time_ns()}: {PROMPT}"},
        ]
        body = json.dumps({"model": model, "messages": messages, "max_tokens": 64, "stream": stream}).encode()
        headers = {
            "host": f"127.0.0.1:{self._target.port}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self._target.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._chunks.append((time.perf_counter(), body))

    def on_message_complete(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_answered") and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("closed in the middle"))


async def latencies(target: Target, callers: int, each: int) -> list[float]:
    """Returns the seconds of ``each`` requests per caller, with ``callers`` at once."""

    async def ask(caller: Caller) -> list[float]:
        return [await caller.ask() for _ in range(each)]

    opened = [await Caller.open(target) for _ in range(callers)]
    try:
        return [s for several in await asyncio.gather(*map(ask, opened)) for s in several]
    finally:
        for caller in opened:
            caller.close()


def quantile(values: Sequence[float], share: float) -> float:
    """Returns the nearest-rank quantile."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
