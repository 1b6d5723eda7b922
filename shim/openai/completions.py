"""The route ``/v1/completions``, for older clients: the prompt is a chat's only message.

Field names and limits: https://platform.openai.com/docs/api-reference/completions/create
"""

import secrets
import time
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from starlette.routing import Route

from engines.base import Completion, Done, JsonObject, JsonValue, TextDelta, ToolCallDelta
from shim.caller import caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes, sse
from shim.errors import openai_body
from shim.exchange import Endpoint, Exchange
from shim.openai.routes import NO_ALIASES, Aliases, ChatCompletions
from shim.openai.translate import Chunks, chat_call, usage_body
from shim.openai.wire import (
    OWNER,
    STRICT,
    WHOLE,
    Name,
    Stop,
    StreamOptions,
    parse_chat,
    parsed,
    schema_of,
    texts_only,
)
from tools.arguments import LONGEST_PROMPT
from tools.base import Receipt, TierWish

UNSUPPORTED = {
    "echo": "put the prompt before the answer yourself",
    "logprobs": "ask /v1/chat/completions, which has logprobs",
    "suffix": "the prompt goes to a chat model, which does not fill gaps",
    "best_of": "ask several times and choose",
    "n": "ask again for each further answer",
}

Prompt = Annotated[str, Field(min_length=1, max_length=LONGEST_PROMPT)]


def _unless_false(value: object) -> object:
    return None if value is False else value


# Literal[False] accepts 0 too.
Never = Annotated[None, BeforeValidator(_unless_false), WithJsonSchema({"enum": [False, None]})]


class CompletionRequest(BaseModel):
    model_config = STRICT

    prompt: Annotated[
        Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=1)], BeforeValidator(texts_only)
    ]
    model: Name | None = Field(None, description="auto, small, main, a real model or an adapter")
    x_tier: TierWish | None = Field(None, description="wins over the X-Tier header and the model name")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] | None = None
    stop: Stop | None = None
    echo: Never = None
    logprobs: None = None
    suffix: Literal[""] | None = None
    best_of: Annotated[Literal[1], WHOLE] | None = None
    n: Annotated[Literal[1], WHOLE] | None = None


CHAT_FIELDS = frozenset({
    "model", "x_tier", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed", "stop",
})  # fmt: skip
"""Fields with the same meaning in a chat completion."""


def routes(dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases = NO_ALIASES) -> list[Route]:
    """Returns the route of completions."""
    completions = Completions(dispatcher, project_of, aliases)
    return [Route("/v1/completions", Endpoint(completions, openai_body), methods=["POST"])]


class Completions(ChatCompletions):
    """``POST /v1/completions``, whole or streamed."""

    async def __call__(self, exchange: Exchange) -> None:
        request = parsed(CompletionRequest, exchange.json(), UNSUPPORTED)
        caller = caller_of(exchange, self._project_of, {})
        prompt = request.prompt if isinstance(request.prompt, str) else request.prompt[0]
        fields = request.model_dump(include=set(CHAT_FIELDS))
        chat = parse_chat({**fields, "messages": [{"role": "user", "content": prompt}]})
        name = request.model or "auto"
        call = chat_call(chat, await self._names.target(name), caller)
        if request.stream:
            include_usage = bool((request.stream_options or {}).get("include_usage"))
            await self._stream(exchange, call, TextChunks(name, include_usage))
        else:
            completion, receipt = await self._answer(call)
            await exchange.reply(json_bytes(text_completion(completion, receipt, model=name)))


def text_completion(completion: Completion, receipt: Receipt, *, model: str) -> JsonObject:
    """Returns the response body; ``model`` is the requested name, the receipt contains the actual one."""
    done = completion.done
    body = _body(model, _choice(completion.text, done.finish_reason))
    return {**body, "usage": usage_body(done.usage), "receipt": receipt.as_json()}


class TextChunks(Chunks):
    """Encodes a streamed answer as ``text_completion`` events."""

    def __post_init__(self) -> None:
        self._whole = _body(self.model)

    def delta(self, event: TextDelta | ToolCallDelta) -> bytes:
        return self._event(event.text if isinstance(event, TextDelta) else "")

    def end(self, done: Done, receipt: Receipt) -> bytes:
        """Encodes the final chunks; the last contains the receipt."""
        last: JsonObject = {"receipt": receipt.as_json()}
        if not self.include_usage:
            closing = self._event("", done.finish_reason, **last)
        else:
            usage: JsonObject = {"choices": [], "usage": usage_body(done.usage)}
            closing = self._event("", done.finish_reason) + sse({**self._whole, **usage, **last})
        return closing + b"data: [DONE]\n\n"

    def _event(self, text: str, finish: str | None = None, **extra: JsonValue) -> bytes:
        usage: JsonObject = {"usage": None} if self.include_usage else {}
        return sse({**self._whole, "choices": [_choice(text, finish)], **usage, **extra})


def _body(model: str, *choices: JsonObject) -> JsonObject:
    return {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": OWNER,
        "choices": [*choices],
    }


def _choice(text: str, finish: str | None) -> JsonObject:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def schema_of_request() -> JsonObject:
    """Returns the JSON Schema of the request body for the OpenAPI document."""
    return schema_of(CompletionRequest)
