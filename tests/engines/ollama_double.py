"""A fake Ollama server: recorded model facts, and answers of a scripted engine in the recorded format.

The contract tests send requests that are not recorded. The lines of ``/api/chat`` have the format of
the recordings ``chat_stream`` and ``logprobs_stream``.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from engines.backends.ollama.engine import OllamaEngine
from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Done, JsonObject, JsonValue, Message, Request, TextDelta, TokenLogprob
from engines.errors import AgentError
from engines.settings import OllamaSettings
from tests.engines.ollama_replay import Replay, serving

MODEL = "smollm2:latest"
EMBEDDING = "minilm"


@dataclass
class Double(Replay):
    behind: ScriptedEngine = field(default_factory=lambda: ScriptedEngine(pace=0.001))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/chat":
            return await self._chat(request, await request.json())
        if request.path == "/api/embed":
            return await self._embed(await request.json())
        return await super().answer(request)

    async def _chat(self, request: web.Request, body: JsonObject) -> web.StreamResponse:
        model = str(body["model"])
        if model != MODEL:
            return web.json_response({"error": f"model '{model}' not found"}, status=404)
        try:
            async with self.behind.stream(_asked(body)) as events:
                response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
                await response.prepare(request)
                async for event in events:
                    line = json.dumps(
                        {"model": model, "created_at": "2026-11-22T12:17:44Z"} | _line(event, body)
                    )
                    await response.write(f"{line}\n".encode())
                return response
        except AgentError as error:
            return web.json_response({"error": error.message}, status=400)

    async def _embed(self, body: JsonObject) -> web.Response:
        found = await self.behind.embed([str(text) for text in cast("list[JsonValue]", body["input"])])
        vectors = [list(vector) for vector in found.vectors]
        return web.json_response({"embeddings": vectors, "prompt_eval_count": found.tokens})


def _asked(body: JsonObject) -> Request:
    """Converts a body to a ``Request`` for the scripted engine."""
    options = cast("JsonObject", body["options"])
    form = body.get("format")
    enum = cast("list[str]", form.get("enum", [])) if isinstance(form, dict) else []
    messages = cast("list[JsonObject]", body["messages"])
    return Request(
        tuple(Message("user", str(message["content"])) for message in messages if message["role"] == "user"),
        max_tokens=cast("int", options["num_predict"]),
        schema={} if form == "json" else None if enum or not isinstance(form, dict) else form,
        choices=tuple(enum),
        stop=tuple(cast("list[str]", options.get("stop", []))),
        logprobs=cast("int", body["top_logprobs"]) if body.get("logprobs") else None,
    )


def _line(event: object, body: JsonObject) -> JsonObject:
    match event:
        case TextDelta():
            quoted = isinstance(body.get("format"), dict) and "enum" in cast("JsonObject", body["format"])
            text = json.dumps(event.text) if quoted else event.text
            line: JsonObject = {"message": {"role": "assistant", "content": text}, "done": False}
            if event.logprobs:
                line["logprobs"] = [_position(token) for token in event.logprobs]
            return line
        case Done():
            return {
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": event.finish_reason,
                "prompt_eval_count": event.usage.prompt_tokens,
                "eval_count": event.usage.completion_tokens,
            }
        case _:
            raise TypeError(event)


def _position(token: TokenLogprob) -> JsonObject:
    top: list[JsonValue] = [{"token": name, "logprob": logprob} for name, logprob in token.top]
    return {"token": token.token, "logprob": token.logprob, "top_logprobs": top}


@asynccontextmanager
async def doubled() -> AsyncGenerator[OllamaEngine]:
    """An ``OllamaEngine`` connected to a ``Double``."""
    double = Double()
    double.install(MODEL)
    for kind in ("lora", "tools", "tools-text"):
        double.install(f"smollm2-{kind}:latest", f"show_{kind.partition('-')[0]}")
    double.install(EMBEDDING, capabilities=["embedding"])
    async with serving(replay=double):
        settings = OllamaSettings(url=double.url, model=MODEL, embedding=EMBEDDING)
        async with OllamaEngine(settings, context=16384) as engine:
            yield engine
