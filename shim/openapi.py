"""Builds the OpenAPI 3.1 document from the tool catalogue and the wire models.

It lists every status a route can return; tests/shim/test_contract.py checks that by fuzzing.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from engines.base import JsonObject, JsonValue
from shim.caller import TIERS
from shim.errors import STATUS
from shim.openai import completions, embeddings
from shim.openai.wire import schema_of_request
from shim.responses import wire as responses_wire
from tools.catalog import ToolDefinition

GUARD = {
    401: "No valid token.",
    403: "The Origin is not allowed.",
    408: "The request took too long to arrive.",
    413: "The body is too large.",
    421: "The Host is not allowed.",
    431: "The headers are too large.",
}
"""Statuses of the middleware around all routes, with OpenAI's error body."""

ENGINE = (429, 503, 504)
"""Statuses of routes that call an engine."""

MEANING = {
    400: "The request is invalid; the body says which field.",
    404: "There is no such model or tool.",
    429: "All slots are in use and the queue is full; Retry-After says when to retry.",
    500: "The model's answer was invalid, or the server failed.",
    503: "No engine answers.",
    504: "No answer before the deadline.",
}


def document(catalogue: Sequence[ToolDefinition], version: str) -> JsonObject:
    """Returns the OpenAPI document."""
    request, asked = schema_of_request(), responses_wire.schema_of_request()
    text, texts = completions.schema_of_request(), embeddings.schema_of_request()
    text.pop("$defs")  # those of the chat request
    shapes = {**cast("JsonObject", asked.pop("$defs")), **cast("JsonObject", request.pop("$defs"))}
    bodies: JsonObject = {
        "ChatRequest": request,
        "ResponsesRequest": asked,
        "CompletionRequest": text,
        "EmbeddingsRequest": texts,
    }
    tools: JsonObject = {f"/mcp/tools/{tool.name}": {"post": _tool(tool)} for tool in catalogue}
    paths: JsonObject = {
        "/v1/chat/completions": {"post": _chat()},
        "/v1/responses": {"post": _responses()},
        "/v1/completions": {"post": _completions()},
        "/v1/embeddings": {"post": _embeddings()},
        "/v1/models": {
            "get": _read("listModels", "Tiers, models, adapters and aliases", "Models", OPENAI, ENGINE)
        },
        "/v1/models/{name}": {
            "parameters": [_parameter("name", "path", "a name of the list", STRING) | {"required": True}],
            "get": _read("getModel", "One of them", "Model", OPENAI, [404, *ENGINE]),
        },
        "/mcp/tools": {"get": _read("listTools", "The tools as MCP lists them", "Tools", REST)},
        **tools,
        "/health": {"get": _read("health", "Alive", "Health", REST)},
        "/ready": {"get": _read("ready", "What would answer a call now", "Ready", REST, ENGINE)},
        "/openapi.json": {"get": _read("openapi", "This document", "Document", REST)},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "local-llm-agent", "version": version},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**shapes, **bodies, **SCHEMAS},
        },
    }


def _streamed(
    operation: str, summary: str, request: str, answer: str, *, events: str, event: JsonObject
) -> JsonObject:
    """Returns a route of OpenAI that answers with ``answer``, or with events if the request says so."""
    shown: JsonObject = {
        "description": f"The complete answer, or {events}.",
        "content": {
            "application/json": {"schema": _ref(answer)},
            "text/event-stream": {"schema": _object(event)},
        },
    }
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": HEADERS,
        "requestBody": _body(_ref(request)),
        "responses": {"200": shown, **_errors([400, 404, *ENGINE, 500], OPENAI)},
    }


def _chat() -> JsonObject:
    return _streamed(
        "chat", "OpenAI chat completions, answered by a local model", "ChatRequest", "ChatCompletion",
        events="chat.completion.chunk events that end with [DONE]", event={"data": STRING},
    )  # fmt: skip


def _responses() -> JsonObject:
    return _streamed(
        "respond", "OpenAI responses, answered by a local model; nothing is stored",
        "ResponsesRequest", "Response",
        events="response.* events that end with the complete answer", event={"event": STRING, "data": STRING},
    )  # fmt: skip


def _completions() -> JsonObject:
    return _streamed(
        "complete", "OpenAI completions for older clients: the prompt is a chat's only message",
        "CompletionRequest", "Completion",
        events="text_completion events that end with [DONE]", event={"data": STRING},
    )  # fmt: skip


def _embeddings() -> JsonObject:
    return {
        "operationId": "embed",
        "summary": "OpenAI embeddings, by the embedding model of the tier's engine",
        "parameters": HEADERS,
        "requestBody": _body(_ref("EmbeddingsRequest")),
        "responses": {
            "200": _json("One vector of length 1 for each text, in order.", _ref("Embeddings")),
            **_errors([400, 404, *ENGINE, 500], OPENAI),
        },
    }


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "operationId": tool.name,
        "summary": tool.description.split(". ")[0],
        "description": tool.description,
        "parameters": HEADERS,
        "requestBody": _body(_asked_schema(tool)),
        "responses": {
            "200": _json("The tool's answer and its receipt.", _answer_schema(tool)),
            **_errors([400, *ENGINE, 500], REST),
        },
    }


def _asked_schema(tool: ToolDefinition) -> JsonObject:
    """Returns the schema of the arguments, with those that agents are not told of."""
    properties = tool.input_schema.get("properties")
    return {
        **tool.input_schema,
        "properties": {**(properties if isinstance(properties, dict) else {}), **DETAIL},
    }


def _answer_schema(tool: ToolDefinition) -> JsonObject:
    receipt: JsonObject = {**LEFT_OUT, "receipt": _ref("Receipt")}
    if tool.output_schema is None:
        texts: JsonObject = {tool.plain: {"type": "string"}}
        return {"type": "object", "properties": {**texts, **receipt}, "required": ["receipt"]}
    properties = tool.output_schema.get("properties")
    required = tool.output_schema.get("required")
    return {
        **tool.output_schema,
        "properties": {**(properties if isinstance(properties, dict) else {}), **receipt},
        "required": [*(required if isinstance(required, list) else []), "receipt"],
    }


def _read(operation: str, summary: str, schema: str, error: str, statuses: Sequence[int] = ()) -> JsonObject:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _json(summary, _ref(schema)), **_errors([*statuses, 500], error)},
    }


def _errors(statuses: Iterable[int], schema: str) -> JsonObject:
    bodies = {status: _json(MEANING[status], _ref(schema)) for status in statuses}
    for status in bodies.keys() & {429, 503}:
        bodies[status]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    bodies |= {status: _json(meaning, _ref(OPENAI)) for status, meaning in GUARD.items()}
    return {str(status): bodies[status] for status in sorted(bodies)}


def _json(description: str, schema: JsonObject) -> JsonObject:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: JsonObject) -> JsonObject:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, place: str, description: str, schema: JsonObject) -> JsonObject:
    return {"name": name, "in": place, "description": description, "schema": schema}


def _object(required: JsonObject, **optional: JsonValue) -> JsonObject:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


OPENAI = "OpenAIError"
REST = "Error"

STRING: JsonObject = {"type": "string"}
COUNT: JsonObject = {"type": "integer", "minimum": 0}
BOOLEAN: JsonObject = {"type": "boolean"}

DETAIL: JsonObject = {
    "detail": {
        "enum": ["auto", "full"],
        "description": "auto: an answer over 2,000 tokens is shortened, and all of it is in results_file",
    }
}
LEFT_OUT: JsonObject = {
    "total": COUNT | {"description": "number of items of a shortened answer"},
    "results_file": STRING | {"description": "file on the server's machine with every item as a JSON line"},
    "results_uri": STRING | {"description": "the same file as an MCP resource, in pages"},
    "not_stored": STRING | {"description": "why a shortened answer has no results_file"},
}
"""Fields of a shortened answer."""

HEADERS: list[JsonValue] = [
    _parameter(
        "X-Tier", "header", "which model: the small, fast one or the main one", {"enum": [*TIERS, ""]}
    ),
    _parameter("X-Project", "header", "which project is asking", STRING),
    _parameter("X-Agent", "header", "who is asking, for fairness", STRING),
]

SCHEMAS: JsonObject = {
    OPENAI: _object(
        {
            "error": _object(
                {
                    "message": STRING,
                    "type": STRING,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                }
            )
        }
    ),
    REST: _object(
        {
            "error": _object(
                {
                    "code": STRING,
                    "message": STRING,
                    "hint": STRING,
                    "kind": {"enum": list(STATUS)},
                    "retryable": BOOLEAN,
                }
            )
        }
    ),
    "Receipt": _object(
        {
            "tier": STRING,
            "engine": STRING,
            "model": STRING,
            "adapter": {"type": ["string", "null"]},
            "project": STRING,
            "ms": COUNT,
            "tokens": _object({"read": COUNT, "in": COUNT, "out": COUNT}),
            "saved": {"type": "integer"},
            "cached": BOOLEAN,
            "escalated": BOOLEAN,
        },
        decided_by=STRING,
        route=STRING,
        notes={"type": "array", "items": STRING},
    ),
    "Usage": _object(
        {
            "prompt_tokens": COUNT,
            "completion_tokens": COUNT,
            "total_tokens": COUNT,
            "prompt_tokens_details": _object({"cached_tokens": COUNT}),
        }
    ),
    "ChatCompletion": _object(
        {
            "id": STRING,
            "object": {"const": "chat.completion"},
            "created": COUNT,
            "model": STRING,
            "choices": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": _object(
                    {
                        "index": {"const": 0},
                        "message": _object(
                            {"role": {"const": "assistant"}, "content": {"type": ["string", "null"]}},
                            tool_calls={"type": "array", "items": _ref("MessageToolCall")},
                        ),
                        "logprobs": {"type": ["object", "null"]},
                        "finish_reason": {"enum": ["stop", "length", "tool_calls"]},
                    }
                ),
            },
            "usage": _ref("Usage"),
            "system_fingerprint": STRING,
            "receipt": _ref("Receipt"),
        }
    ),
    "Completion": _object(
        {
            "id": STRING,
            "object": {"const": "text_completion"},
            "created": COUNT,
            "model": STRING,
            "choices": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": _object(
                    {
                        "index": {"const": 0},
                        "text": STRING,
                        "logprobs": {"type": "null"},
                        "finish_reason": {"enum": ["stop", "length"]},
                    }
                ),
            },
            "usage": _ref("Usage"),
            "system_fingerprint": STRING,
            "receipt": _ref("Receipt"),
        }
    ),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "model": STRING,
            "data": {
                "type": "array",
                "items": _object(
                    {
                        "object": {"const": "embedding"},
                        "index": COUNT,
                        "embedding": {
                            "anyOf": [
                                {"type": "array", "items": {"type": "number"}},
                                STRING | {"description": "with encoding_format base64"},
                            ]
                        },
                    }
                ),
            },
            "usage": _object(
                {
                    "prompt_tokens": COUNT | {"description": "without texts from the cache"},
                    "total_tokens": COUNT,
                }
            ),
            "receipt": _ref("Receipt"),
        }
    ),
    "Response": _object(
        {
            "id": STRING,
            "object": {"const": "response"},
            "created_at": COUNT,
            "status": {"enum": ["completed", "incomplete"]},
            "model": STRING,
            "output": {
                "type": "array",
                "items": _object(
                    {"type": {"enum": ["message", "function_call"]}, "id": STRING, "status": STRING},
                    role={"const": "assistant"},
                    content={
                        "type": "array",
                        "items": _object({"type": {"const": "output_text"}, "text": STRING}),
                    },
                    call_id=STRING,
                    name=STRING,
                    namespace=STRING,
                    arguments=STRING,
                ),
            },
            "usage": _object({"input_tokens": COUNT, "output_tokens": COUNT, "total_tokens": COUNT}),
            "store": {"const": False},
            "receipt": _ref("Receipt"),
        }
    ),
    "Model": _object(
        {"id": STRING, "object": {"const": "model"}, "created": COUNT, "owned_by": STRING},
        parent=STRING | {"description": "of an adapter, the model it adapts"},
        root=STRING | {"description": "of an alias, what it stands for"},
        context_length=COUNT | {"description": "tokens, prompt and answer together"},
        max_model_len=COUNT | {"description": "the same under vLLM's name"},
    ),
    "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}}),
    "Tool": _object(
        {"name": STRING, "description": STRING, "inputSchema": {"type": "object"}},
        outputSchema={"type": "object"},
    ),
    "Tools": _object({"tools": {"type": "array", "items": _ref("Tool")}}),
    "Document": {"type": "object"},
    "Health": _object({"status": {"const": "ok"}, "version": STRING}),
    "Ready": _object({"status": {"const": "ready"}, "engine": STRING, "model": STRING}),
}
