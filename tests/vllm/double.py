"""HTTP test double of vLLM 0.32, without a model.

It lists, loads and unloads adapters, or refuses them with vLLM's own messages. ``test_double.py`` sends the
same requests to it and to a real server and compares.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from aiohttp import web

from engines.base import JsonObject, JsonValue
from tests.loopback import on_loopback

NO_LORA = (
    "Call to add_lora method failed: Worker failed with error 'LoRA is not enabled. "
    "Use --enable-lora to enable LoRA.', please check the stack trace above for the root cause"
)


@dataclass
class Turn:
    """A scripted response to the next chat."""

    chunks: Sequence[JsonValue] = ()
    status: int = 200
    hold: bool = False
    """Keep the answer open after the last chunk."""
    cut: bool = False
    """Drop the connection after the last chunk."""


@dataclass
class Double:
    base: str = "smollm2-135m"
    lora: bool = True
    updating: bool = True
    max_model_len: int | None = 4096
    paths: Sequence[str] = ("/adapters/alpha", "/adapters/beta", "/adapters/gamma")
    """Folders with an adapter in them."""
    api_key: str = ""
    url: str = ""
    loading_breaks: bool = False
    """Die while loading an adapter."""
    hidden: set[str] = field(default_factory=set[str])
    """Loaded adapters that the list of models does not have yet."""
    adapters: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[JsonObject] = field(default_factory=list[JsonObject])
    """The bodies of chats, in order."""
    managed: list[str] = field(default_factory=list[str])
    """Loads and unloads that were tried, in order: ``load alpha``."""
    listed: int = 0
    """Number of requests for the list of models."""
    began: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)
    """Set when a client disconnects before its answer ends."""
    turns: deque[Turn] = field(default_factory=deque[Turn])

    def say(self, *chunks: JsonValue, status: int = 200, hold: bool = False, cut: bool = False) -> None:
        """Scripts the response to the next chat."""
        self.turns.append(Turn(chunks, status, hold, cut))

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    async def models(self, request: web.Request) -> web.StreamResponse:
        self.listed += 1
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        base: JsonObject = {"id": self.base, "root": f"/models/{self.base}", "parent": None}
        base["max_model_len"] = self.max_model_len
        cards: list[JsonValue] = [
            {"id": name, "root": path, "parent": self.base, "max_model_len": None}
            for name, path in self.adapters.items()
            if name not in self.hidden
        ]
        return web.json_response({"object": "list", "data": [base, *cards]})

    async def load(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        name, path = str(body["lora_name"]), str(body["lora_path"])
        self.managed.append(f"load {name}")
        if self.loading_breaks and request.transport:
            request.transport.abort()
        if not self.updating:
            return web.json_response({"detail": "Not Found"}, status=404)
        if name in self.adapters:
            loaded = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter"
            return refusal(400, f"{loaded} in place, set 'load_inplace' to True.", "InvalidUserInput")
        if not self.lora:
            return refusal(500, NO_LORA, "InternalServerError")
        if path not in self.paths:
            return refusal(404, f"Loading lora {name} failed: No adapter found for <path>", "NotFoundError")
        self.adapters[name] = path
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def unload(self, request: web.Request) -> web.StreamResponse:
        name = str((await request.json())["lora_name"])
        self.managed.append(f"unload {name}")
        if name not in self.adapters:
            return refusal(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        del self.adapters[name]
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def tokenize(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if missing := self._missing(body):
            return missing
        tokens = list(range(len(str(body["prompt"]).split())))
        return web.json_response({"count": len(tokens), "max_model_len": 4096, "tokens": tokens})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        if missing := self._missing(body):
            return missing
        turn = self.turns.popleft() if self.turns else Turn(spoken(str(body["model"])))
        if turn.status != 200:
            return web.json_response(turn.chunks[0], status=turn.status)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for chunk in turn.chunks:
                await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.began.set()
            if turn.cut and request.transport:
                request.transport.abort()
            if turn.hold:
                await anyio.sleep_forever()
            await response.write(b"data: [DONE]\n\n")
        except BaseException:
            self.left.set()
            raise
        return response

    def _missing(self, body: JsonObject) -> web.Response | None:
        name = str(body.get("model") or self.base)
        if name == self.base or name in self.adapters:
            return None
        message = f"The model `{name}` does not exist. Valid aliases: {self.base}."
        return refusal(404, message, "NotFoundError", param="model")


def refusal(code: int, message: str, kind: str, *, param: str | None = None) -> web.Response:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=code)


def chunk(delta: JsonObject, finish: str | None = None, **choice: JsonValue) -> JsonObject:
    """Returns one event of a stream."""
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None, **choice}],
    }


def usage(prompt: int = 5, completion: int = 2) -> JsonObject:
    """Returns the last event of a stream."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"object": "chat.completion.chunk", "choices": [], "usage": {**counts}}


def spoken(model: str) -> Sequence[JsonValue]:
    return (
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": model}),
        chunk({"content": " speaking"}, "stop"),
        usage(),
    )


@asynccontextmanager
async def doubled(double: Double) -> AsyncGenerator[Double]:
    """Serves ``double`` on a free loopback port."""
    app = web.Application()
    app.router.add_get("/health", alive)
    app.router.add_get("/v1/models", double.models)
    app.router.add_post("/v1/load_lora_adapter", double.load)
    app.router.add_post("/v1/unload_lora_adapter", double.unload)
    app.router.add_post("/v1/chat/completions", double.chat)
    app.router.add_post("/tokenize", double.tokenize)
    async with on_loopback(app) as url:
        double.url = f"{url}/v1"
        yield double


async def alive(_request: web.Request) -> web.StreamResponse:
    return web.Response()
