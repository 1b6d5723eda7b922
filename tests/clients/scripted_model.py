"""Scripted model API on loopback: calls the given tools, then repeats their results.

It implements the APIs of three clients (Anthropic Messages, Gemini generateContent, OpenAI Responses),
streamed. It records every request, so that a test can check which tools and results a client showed its
model at each turn.
"""

import json
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolUse:
    tool: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a client to its model."""

    body: Json
    tools: tuple[str, ...]
    """Names of the tools the model may call."""
    results: tuple[str, ...]
    """Results of the tools called so far, as the model sees them."""


@dataclass(slots=True)
class ScriptedModel:
    script: Sequence[ToolUse]
    url: str = ""
    turns: list[Turn] = field(default_factory=list[Turn])
    """Requests that offer tools, which are those of the conversation."""
    others: list[str] = field(default_factory=list[str])
    """Paths of all other requests."""

    def next(self, turn: Turn) -> ToolUse | str:
        if not turn.tools:
            return "ok"
        self.turns.append(turn)
        if len(turn.results) >= len(self.script):
            return "The tool said: " + " ".join(turn.results)
        use = self.script[len(turn.results)]
        name = next((name for name in turn.tools if name.endswith(use.tool)), None)
        return ToolUse(name, use.arguments) if name else f"there is no tool {use.tool}"


def _event(body: Json, name: str = "") -> str:
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(body)}\n\n"


def _texts(content: Any) -> str:
    """Returns the text of a string or of a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or ())


def read_anthropic(body: Json) -> Turn:
    blocks = [
        block
        for message in body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    results = [_texts(block["content"]) for block in blocks if block["type"] == "tool_result"]
    return Turn(body, tuple(tool["name"] for tool in body.get("tools", ())), tuple(results))


def write_anthropic(said: ToolUse | str, turn: Turn) -> Iterator[str]:
    usage = {"input_tokens": 10, "output_tokens": 5}
    message: Json = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": turn.body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    if isinstance(said, ToolUse):
        block: Json = {"type": "tool_use", "id": f"toolu_{len(turn.results)}", "name": said.tool, "input": {}}
        delta: Json = {"type": "input_json_delta", "partial_json": json.dumps(said.arguments)}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": said}
    why = "tool_use" if isinstance(said, ToolUse) else "end_turn"
    for event in (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ):
        yield _event(event, str(event["type"]))


def read_gemini(body: Json) -> Turn:
    tools = [each["name"] for tool in body.get("tools", ()) for each in tool.get("functionDeclarations", ())]
    parts = [part for content in body["contents"] for part in content.get("parts", ())]
    answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    return Turn(body, tuple(tools), tuple(answer.get("output", json.dumps(answer)) for answer in answers))


def write_gemini(said: ToolUse | str, turn: Turn) -> Iterator[str]:
    part: Json = {"text": said}
    if isinstance(said, ToolUse):
        part = {"functionCall": {"name": said.tool, "args": said.arguments}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    yield _event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"})


def read_openai(body: Json) -> Turn:
    tools: list[str] = []
    for tool in body.get("tools", ()):
        inner = tool.get("tools", ())
        tools += (
            [f"{tool['name']}/{each['name']}" for each in inner]
            if inner
            else [tool.get("name", tool["type"])]
        )
    results = [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]
    return Turn(body, tuple(tools), tuple(_texts(result) for result in results))


def write_openai(said: ToolUse | str, turn: Turn) -> Iterator[str]:
    item: Json = {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": said, "annotations": []}],
    }  # fmt: skip
    if isinstance(said, ToolUse):
        namespace, _, name = said.tool.rpartition("/")
        item = {"type": "function_call", "id": "fc_1", "call_id": f"call_{len(turn.results)}", "name": name,
                "arguments": json.dumps(said.arguments), "status": "completed"}  # fmt: skip
        item |= {"namespace": namespace} if namespace else {}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    response: Json = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
    done = {**response, "status": "completed", "output": [item], "usage": usage}
    for event in (
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ):
        yield _event(event, str(event["type"]))


Read = Callable[[Json], Turn]
Write = Callable[[ToolUse | str, Turn], Iterator[str]]


def build(model: ScriptedModel) -> Starlette:
    def streamed(read: Read, write: Write) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            turn = read(await request.json())
            return StreamingResponse(write(model.next(turn), turn), media_type="text/event-stream")

        return answer

    async def gemini_whole(request: Request) -> Response:
        turn = read_gemini(await request.json())
        [event] = write_gemini(model.next(turn), turn)
        return Response(event.removeprefix("data: "), media_type="application/json")

    async def count(request: Request) -> Response:
        return JSONResponse({"input_tokens": 10, "totalTokens": 10})

    async def gemini(request: Request) -> Response:
        verb = request.path_params["model"].rpartition(":")[2]
        verbs = {
            "streamGenerateContent": streamed(read_gemini, write_gemini),
            "generateContent": gemini_whole,
        }
        return await verbs.get(verb, count)(request)

    async def other(request: Request) -> Response:
        model.others.append(f"{request.method} {request.url.path}")
        return JSONResponse({}, 404)

    return Starlette(
        routes=[
            Route("/v1/messages", streamed(read_anthropic, write_anthropic), methods=["POST"]),
            Route("/v1/messages/count_tokens", count, methods=["POST"]),
            Route("/v1beta/models/{model}", gemini, methods=["POST"]),
            Route("/v1/responses", streamed(read_openai, write_openai), methods=["POST"]),
            Route("/{path:path}", other, methods=["GET", "POST", "HEAD", "PUT"]),
        ]
    )


@asynccontextmanager
async def serving(*script: ToolUse) -> AsyncGenerator[ScriptedModel]:
    """Serves the model on a free loopback port."""
    model = ScriptedModel(script)
    listening = socket.create_server(("127.0.0.1", 0))
    model.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(build(model), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listening])
            yield model
            server.should_exit = True
    finally:
        listening.close()
