"""The route ``/v1/embeddings``: wire model, call and response.

Field names and limits: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from array import array
from base64 import b64decode
from typing import Annotated, Literal, cast

import anyio.to_thread
from pydantic import BaseModel, BeforeValidator, Field
from starlette.routing import Route

from engines.base import JsonObject, JsonValue
from shim.caller import Caller, caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes
from shim.errors import openai_body
from shim.exchange import Endpoint, Exchange
from shim.openai.routes import NO_ALIASES, Aliases, ModelNames
from shim.openai.translate import Target
from shim.openai.wire import STRICT, Name, parsed, texts_only
from tools.base import Call, Result, TierWish
from tools.embed.tool import SOME, Embed, Text

UNSUPPORTED = {"dimensions": "every vector has the length of the local model's"}


class EmbeddingsRequest(BaseModel):
    model_config = STRICT

    input: Annotated[Text | Annotated[list[Text], SOME], BeforeValidator(texts_only)]
    model: Name | None = Field(None, description="auto, small, main or an embedding model")
    x_tier: TierWish | None = Field(None, description="wins over the X-Tier header and the model name")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="base64: little-endian 32-bit floats"
    )
    dimensions: None = None


def routes(dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases = NO_ALIASES) -> list[Route]:
    """Returns the route of embeddings."""
    made = MakeEmbeddings(dispatcher, project_of, aliases)
    return [Route("/v1/embeddings", Endpoint(made, openai_body), methods=["POST"])]


class MakeEmbeddings:
    """``POST /v1/embeddings``."""

    def __init__(self, dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases) -> None:
        self._dispatcher = dispatcher.serving(Embed())
        self._project_of = project_of
        self._names = ModelNames(dispatcher, aliases, "embedding")

    async def __call__(self, exchange: Exchange) -> None:
        request = parsed(EmbeddingsRequest, exchange.json(), UNSUPPORTED)
        caller = caller_of(exchange, self._project_of, {})
        name = request.model or "auto"
        call = embed_call(request, await self._names.target(name), caller)
        result = await self._dispatcher.run(call)
        as_floats = request.encoding_format != "base64"
        await exchange.reply(await anyio.to_thread.run_sync(embeddings_body, result, name, as_floats))


def embed_call(request: EmbeddingsRequest, target: Target, caller: Caller) -> Call:
    """Returns the call of the tool ``embed`` for ``request``."""
    texts: list[JsonValue] = [request.input] if isinstance(request.input, str) else [*request.input]
    tiers = (request.x_tier, caller.tier, target.tier)
    return Call(
        tool=Embed.name,
        arguments={"input": texts, "model": target.model},
        project=caller.project,
        agent=caller.agent,
        tier=next((tier for tier in tiers if tier and tier != "auto"), "auto"),
        full=True,
    )


def embeddings_body(result: Result, model: str, as_floats: bool) -> bytes:
    """Returns the response body; ``model`` is the requested name, the receipt contains the actual one."""
    packed, tokens = cast("list[str]", result.fields["vectors"]), result.fields["tokens"]
    data: list[JsonValue] = [
        {"object": "embedding", "index": index, "embedding": _floats(vector) if as_floats else vector}
        for index, vector in enumerate(packed)
    ]
    usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
    receipt = result.receipt.as_json()
    return json_bytes({"object": "list", "data": data, "model": model, "usage": usage, "receipt": receipt})


def _floats(packed: str) -> list[JsonValue]:
    return [*array("f", b64decode(packed))]


def schema_of_request() -> JsonObject:
    """Returns the JSON Schema of the request body for the OpenAPI document."""
    return cast("JsonObject", EmbeddingsRequest.model_json_schema())
