"""Serves a fake engine with constant latency, so that only the gateways under test differ.

    python -P -m benchmarks.upstream PORT

It implements the part of vLLM's protocol that a gateway uses. A plain answer comes ``DELAY_S`` after its
request. So does a whole stream for ``MODEL``; for ``SLOW`` the first chunk does and the others follow one
by one. Each chunk of text is the time it was sent, so that a reader can compute its transit time.
"""

import asyncio
import json
import selectors
import sys
import time
from typing import cast

import httptools

DELAY_S = 0.005
MODEL = "constant"
SLOW = "constant-slow"
CHUNKS = 16
"""Chunks of a stream, and words of a plain answer."""
INTERVAL_S = 0.002
"""Delay between the chunks of ``SLOW``."""
WORDS = " ".join(["delegated"] * CHUNKS)
OPENING = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 200, "completion_tokens": CHUNKS, "total_tokens": 200 + CHUNKS}


def plain(model: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"}
    return json.dumps(
        {"id": "chatcmpl-0", "object": "chat.completion", "created": 1, "model": model,
         "choices": [choice], "usage": USAGE}
    ).encode()  # fmt: skip


def chunk_event(model: str, delta: object, finish: str | None = None) -> bytes:
    """Returns one event of a stream."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    return _event(model, choices=choices)


def end(model: str) -> bytes:
    return _event(model, choices=[], usage=USAGE) + b"data: [DONE]\n\n"


def _event(model: str, **fields: object) -> bytes:
    body = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": model, **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def models() -> bytes:
    listed = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": 32768, "parent": None}
              for name in (MODEL, SLOW)]  # fmt: skip
    return json.dumps({"object": "list", "data": listed}).encode()


class Upstream(asyncio.Protocol):
    """One connection, which answers requests one after another."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._body:
            self._whole(models())
            return
        asked = json.loads(self._body)
        loop = asyncio.get_running_loop()
        if asked.get("stream"):
            answer = self._slowly if asked["model"] == SLOW else self._at_once
            loop.call_later(DELAY_S, answer, asked["model"])
        else:
            loop.call_later(DELAY_S, self._whole, plain(asked["model"]))

    def _whole(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._write(head.encode() + body)

    def _at_once(self, model: str) -> None:
        chunks = [self._text_chunk(model, number) for number in range(CHUNKS)]
        self._write(b"".join((OPENING, *chunks, self._closing(model))))

    def _slowly(self, model: str, number: int = 0, due: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        if number == 0:
            self._write(OPENING)
            due = loop.time()
        if number == CHUNKS:
            self._write(self._closing(model))
            return
        self._write(self._text_chunk(model, number))
        due += INTERVAL_S
        loop.call_at(due, self._slowly, model, number + 1, due)

    def _text_chunk(self, model: str, number: int) -> bytes:
        delta = {"content": f"{time.perf_counter():.6f} "}
        return _chunk(chunk_event(model, {"role": "assistant", **delta} if number == 0 else delta))

    def _closing(self, model: str) -> bytes:
        return _chunk(chunk_event(model, {}, "stop") + end(model)) + b"0\r\n\r\n"

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def listen(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=256)
    await server.serve_forever()


def main() -> None:
    # select, unlike epoll, waits with microsecond resolution, which a constant latency needs.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(listen(int(sys.argv[1])))


if __name__ == "__main__":
    main()
