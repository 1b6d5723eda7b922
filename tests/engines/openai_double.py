"""A fake server with OpenAI's API: answers of a scripted engine, and faults of servers seen in use."""

import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from engines.backends.openai.engine import OpenAiEngine
from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Done, Event, JsonObject, JsonValue, Message, Request, TextDelta, ToolCallDelta
from engines.errors import AgentError
from engines.settings import OpenAiSettings
from tests.loopback import on_loopback

MODEL = "local/qwen3:4b-ünï"
EMBEDDING = "text-embedding-minilm"


@dataclass
class Double:
    lacks: frozenset[str] = frozenset()
    """What it ignores: ``response_format``, ``logprobs``, ``tools``."""
    refuses: frozenset[str] = frozenset()
    """What it answers with status 400."""
    api_key: str = ""
    models: Sequence[JsonValue] | None = (
        {"id": EMBEDDING},
        {"id": MODEL, "max_context_length": 8192},
    )
    """The list of models; ``None``: there is no such page."""
    url: str = ""
    asked: list[JsonObject] = field(default_factory=list[JsonObject])
    """Bodies of chats, in order."""
    paths: list[str] = field(default_factory=list[str])
    replies: deque[web.Response] = field(default_factory=deque[web.Response])
    """Answers to the next chats, instead of the scripted engine's."""
    behind: ScriptedEngine = field(default_factory=lambda: ScriptedEngine(pace=0.001))

    def say(self, *lines: str, status: int = 200, kind: str = "text/event-stream") -> None:
        self.replies.append(web.Response(status=status, text="\n\n".join(lines), content_type=kind))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            given = request.headers.get("authorization", "no key")
            return _failed(401, f"Incorrect API key provided: {given}")
        if request.path == "/v1/models" and self.models is not None:
            return web.json_response({"object": "list", "data": [*self.models]})
        if request.path == "/v1/chat/completions":
            return await self._chat(request, await request.json())
        if request.path == "/v1/embeddings":
            return await self._embed(await request.json())
        return _failed(404, f"Unexpected endpoint or method. ({request.method} {request.path})")

    async def _chat(self, request: web.Request, body: JsonObject) -> web.StreamResponse:
        self.asked.append(body)
        if self.replies:
            return self.replies.popleft()
        if refused := self.refuses & body.keys():
            return _failed(400, f"unknown field {', '.join(refused)}")
        known = [card.get("id") for card in self.models or () if isinstance(card, dict)]
        if self.models is not None and body["model"] not in known:
            return _failed(404, f"model {body['model']!r} not found")
        told = {key: value for key, value in body.items() if key not in self.lacks}
        try:
            async with self.behind.stream(_asked(told)) as events:
                response = web.StreamResponse(headers={"content-type": "text/event-stream"})
                await response.prepare(request)
                async for event in events:
                    for chunk in _chunks(event, told):
                        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
                await response.write(b"data: [DONE]\n\n")
                return response
        except AgentError as error:
            return _failed(400, error.message)

    async def _embed(self, body: JsonObject) -> web.Response:
        if body["model"] != EMBEDDING:
            return _failed(501, "This server does not support embeddings")
        found = await self.behind.embed([str(text) for text in cast("list[JsonValue]", body["input"])])
        rows = [
            {"index": index, "embedding": [3 * x for x in vector]}
            for index, vector in enumerate(found.vectors)
        ]
        return web.json_response({"data": rows, "usage": {"prompt_tokens": found.tokens}})


def _failed(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


def _asked(body: JsonObject) -> Request:
    """Converts a body to a ``Request`` for the scripted engine."""
    form = cast("JsonObject", body.get("response_format") or {})
    schema = cast("JsonObject | None", cast("JsonObject", form.get("json_schema") or {}).get("schema"))
    enum = cast("list[str]", schema.get("enum") or []) if schema else []
    messages = cast("list[JsonObject]", body["messages"])
    return Request(
        tuple(Message("user", str(message["content"])) for message in messages if message["role"] == "user"),
        max_tokens=cast("int", body["max_tokens"]),
        schema=None if enum else schema,
        choices=tuple(enum),
        stop=tuple(cast("list[str]", body.get("stop") or [])),
        logprobs=cast("int", body["top_logprobs"]) if body.get("logprobs") else None,
        tools=tuple(cast("list[JsonObject]", body.get("tools") or [])),
        tool_choice=body.get("tool_choice"),
    )


def _chunks(event: Event, body: JsonObject) -> Sequence[JsonObject]:
    match event:
        case TextDelta():
            form = json.dumps(body.get("response_format") or {})
            text = json.dumps(event.text) if '"enum"' in form and '"object"' not in form else event.text
            tokens: list[JsonValue] = [
                {
                    "token": token.token,
                    "logprob": token.logprob,
                    "top_logprobs": [{"token": other, "logprob": logprob} for other, logprob in token.top],
                }
                for token in event.logprobs
            ]
            return [_choice({"content": text}, logprobs={"content": tokens} if tokens else None)]
        case ToolCallDelta():
            function: JsonObject = {"name": event.name, "arguments": event.arguments}
            return [_choice({"tool_calls": [{"index": event.index, "id": event.id, "function": function}]})]
        case Done():
            counts: JsonObject = {
                "prompt_tokens": event.usage.prompt_tokens,
                "completion_tokens": event.usage.completion_tokens,
            }
            return [_choice({}, finish_reason=event.finish_reason), {"choices": [], "usage": counts}]


def _choice(delta: JsonObject, **fields: JsonValue) -> JsonObject:
    return {"choices": [{"index": 0, "delta": delta, **fields}]}


@asynccontextmanager
async def serving(double: Double) -> AsyncGenerator[Double]:
    """Serves ``double`` on a free loopback port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.answer)
    async with on_loopback(app) as url:
        double.url = f"{url}/v1"
        yield double


@asynccontextmanager
async def engine_at(double: Double, **settings: object) -> AsyncGenerator[OpenAiEngine]:
    """Serves ``double`` and yields an engine connected to it."""
    async with serving(double):
        given = OpenAiSettings.model_validate({"url": double.url, **settings})
        async with OpenAiEngine(given) as engine:
            yield engine
