"""Fake Ollama, vLLM and llama.cpp servers that fail in the way the prompt names.

A prompt is ``FAULT | WORD`` and its answer is the word, so that an answer to another request is noticed.
"""

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
from aiohttp import web

from engines import system
from engines.backends.llamacpp.server import configuration
from engines.base import JsonObject, JsonValue
from engines.settings import LlamaCppSettings
from tests.engines import embedded
from tests.engines.ollama_replay import Replay
from tests.vllm.double import Double, chunk, usage

NONE = "nothing"
REFUSES = "refuses the connection"
HANGS = "hangs before the first byte"
HANGS_MIDWAY = "hangs in the middle"
RESETS = "resets before the answer"
RESETS_MIDWAY = "resets in the middle"
HALF_A_LINE = "sends half a JSON line"
STOPS = "ends before the answer does"
GARBAGE = "sends garbage"
BUSY = "429 with Retry-After"
AWAY = "503 with Retry-After"
ANOTHERS = "answers another request too"

RETRY_AFTER_S = 7
BETWEEN_S = 0.03
"""Delay between the first chunk and the fault, so that the client has read the chunk."""

SETTINGS = LlamaCppSettings(model=embedded.MODELS[0])


def prompt_of(fault: str, word: str) -> str:
    return f"{fault} | {word}"


def asked(body: JsonObject) -> tuple[str, str]:
    """Returns the fault and the word of the last message."""
    messages = cast("Sequence[JsonObject]", body["messages"])
    fault, _, word = str(messages[-1]["content"]).partition(" | ")
    return fault, word.strip()


async def play(request: web.Request, fault: str, pieces: Sequence[bytes], kind: str) -> web.StreamResponse:
    """Answers with ``pieces``, the first of which has content, as the fault changes them."""
    if fault == HANGS:
        await anyio.sleep_forever()
    if fault == RESETS:
        return reset(request)
    if fault in (BUSY, AWAY):
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return web.json_response({"error": "come back later"}, status=int(fault[:3]), headers=headers)
    response = web.StreamResponse(headers={"content-type": kind})
    await response.prepare(request)
    if fault == GARBAGE:
        pieces = [b"data: \x00\xff{]}\n\n\x1b[2J<html>" * 20 + b"\n"]
    await response.write(pieces[0])
    await anyio.sleep(0 if fault == NONE else BETWEEN_S)
    if fault == HANGS_MIDWAY:
        await anyio.sleep_forever()
    if fault == RESETS_MIDWAY:
        return reset(request)
    if fault == HALF_A_LINE:
        pieces = [b"", pieces[1][: len(pieces[1]) // 2]]
    for piece in pieces[1:] if fault != STOPS else ():
        await response.write(piece)
    await response.write_eof()
    if fault == ANOTHERS and request.transport:
        cast("Any", request.transport).write(unasked(kind))
    return response


def reset(request: web.Request) -> web.Response:
    """Resets the connection as a killed process does."""
    assert request.transport is not None
    connection: socket.socket = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    cast("Any", request.transport).abort()
    return web.Response()


def unasked(kind: str) -> bytes:
    """Returns a complete HTTP response that no request asked for."""
    body = b"".join(ollama("another's") if "ndjson" in kind else openai("another's"))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def openai(word: str) -> list[bytes]:
    chunks: list[JsonValue] = [chunk({"content": word}), chunk({}, "stop"), usage()]
    lines = [f"data: {json.dumps(each)}\n\n".encode() for each in chunks]
    return [*lines, b"data: [DONE]\n\n"]


def ollama(word: str) -> list[bytes]:
    first: JsonObject = {"message": {"role": "assistant", "content": word}, "done": False}
    last: JsonObject = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    counts: JsonObject = {"prompt_eval_count": 5, "eval_count": 1}
    return [json.dumps(line).encode() + b"\n" for line in (first, last | counts)]


class OpenAi(Double):
    """Fake vLLM or llama.cpp server."""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        fault, word = asked(await request.json())
        return await play(request, fault, openai(word), "text/event-stream")

    async def health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/health", self.health)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/tokenize", self.tokenize)


class Ollama(Replay):
    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/api/chat":
            return await super().answer(request)
        fault, word = asked(await request.json())
        return await play(request, fault, ollama(word), "application/x-ndjson")

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/{path:.*}", self.answer)


class Upstream:
    """One fake server on a free port, which it keeps when it closes and opens again."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._site: web.TCPSite | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def leave(self) -> None:
        """Stops listening and drops all connections."""
        assert self._site is not None
        await self._site.stop()
        for connection in tuple(cast("Any", self._runner.server).connections):
            connection.force_close()
            if connection.transport:
                connection.transport.abort()


@asynccontextmanager
async def upstream(engine: str) -> AsyncGenerator[Upstream]:
    app = web.Application()
    if engine == "ollama":
        double = Ollama()
        double.install("gpt-oss:20b")
        double.routes(app)
    else:
        OpenAi(base="model").routes(app)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    served = Upstream(runner)
    await served.listen()
    try:
        yield served
    finally:
        await runner.cleanup()


@contextmanager
def playing_the_child(url: str, runtime: Path, models: Path):
    """Poses as the embedded engine's process: holds its lock file and writes its state file."""
    config = configuration(SETTINGS, model=SETTINGS.model, models_folder=models)
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = runtime / f"llamacpp-{config['fingerprint']}"
    state = {"url": url, "embedding_url": url, "key": "key", "fingerprint": config["fingerprint"], "pid": 0}
    with stem.with_suffix(".lock").open("wb") as lock:
        assert system.try_lock(lock.fileno())
        stem.with_suffix(".json").write_text(json.dumps(state))
        os.chmod(stem.with_suffix(".json"), 0o600)
        yield
