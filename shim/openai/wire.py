"""Wire models of ``/v1/chat/completions``: the request fields this server reads.

Messages are ``TypedDict`` because the ``tools`` package takes dictionaries. Unknown fields are dropped,
as other OpenAI-compatible servers do.
Field names and limits: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Annotated, Literal, NotRequired, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    with_config,
)

# pydantic refuses typing.TypedDict before Python 3.12
from typing_extensions import TypedDict

from engines.base import JsonObject
from shim.errors import WrongFieldError
from tools.base import TierWish

OWNER = "local-llm-agent"

STRICT = ConfigDict(strict=True, extra="ignore")


def _integral(value: object) -> object:
    """Converts integral floats: 5.0 is an integer in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_integral)


# Other types than text pass here; ``translate`` refuses them with a better message.
@with_config(ConfigDict(json_schema_extra={"required": ["type", "text"]}))
class ContentPart(TypedDict):
    type: Annotated[str, WithJsonSchema({"const": "text"})]
    text: NotRequired[str]


class FunctionCall(TypedDict):
    name: str
    arguments: str


class MessageToolCall(TypedDict):
    id: str
    type: NotRequired[Literal["function"]]
    function: FunctionCall


class ChatMessage(TypedDict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: NotRequired[str | list[ContentPart] | None]
    tool_calls: NotRequired[list[MessageToolCall] | None]
    tool_call_id: NotRequired[str | None]


class FunctionDefinition(TypedDict):
    name: Annotated[str, Field(min_length=1)]
    description: NotRequired[str | None]
    parameters: NotRequired[dict[str, JsonValue] | None]
    strict: NotRequired[bool | None]


class FunctionTool(TypedDict):
    type: Literal["function"]
    function: FunctionDefinition


class FunctionName(TypedDict):
    name: str


class NamedFunction(TypedDict):
    type: Literal["function"]
    function: FunctionName


class JsonSchemaFormat(TypedDict):
    schema: NotRequired[dict[str, JsonValue] | None]


class ResponseFormat(TypedDict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NotRequired[JsonSchemaFormat | None]


class StreamOptions(TypedDict):
    include_usage: NotRequired[bool | None]


class ChatRequest(BaseModel):
    model_config = STRICT

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    reasoning_effort: str | None = None
    model: str | None = Field(None, description="auto, small, main, a real model or an adapter")
    x_tier: TierWish | None = Field(None, description="wins over the X-Tier header and the model name")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1), WHOLE] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        None, description="wins over max_tokens"
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20), WHOLE] | None = Field(
        None, description="implies logprobs"
    )
    response_format: ResponseFormat | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | None = None
    n: Annotated[Literal[1], WHOLE] | None = Field(None, description="one answer per request")


def field_names(*shapes: type) -> frozenset[str]:
    """Returns the names of all fields of ``shapes``."""
    return frozenset(name for shape in shapes for name in shape.__annotations__)


FIELD_NAMES = field_names(
    ContentPart, FunctionCall, MessageToolCall, ChatMessage, FunctionDefinition, FunctionTool,
    JsonSchemaFormat, ResponseFormat, StreamOptions, ChatRequest,
)  # fmt: skip


def parse_chat(body: JsonObject) -> ChatRequest:
    """Validates ``body``.

    Raises:
        WrongFieldError: naming the first field that does not fit.
    """
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        raise wrong_field(error, FIELD_NAMES) from None


def wrong_field(error: ValidationError, names: frozenset[str]) -> WrongFieldError:
    """Returns the error for the deepest fault, with the messages of all faults at that path.

    ``names`` are all field names, to distinguish them from pydantic's names of union branches.
    """
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]["loc"][0]
    params = {_param(fault["loc"], names): fault for fault in faults if fault["loc"][0] == first}
    param = max(params, key=lambda path: path.count("[") + path.count("."))
    if param == "n":
        return WrongFieldError("n must be 1", param="n", hint="ask again for each further answer")
    messages = dict.fromkeys(fault["msg"] for fault in faults if _param(fault["loc"], names) == param)
    return WrongFieldError(f"{param}: {', or '.join(messages)}", param=param)


def _param(location: tuple[int | str, ...], names: frozenset[str]) -> str:
    """Converts pydantic's location to a path such as ``messages[0].content``."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step in names:
            path += f".{step}" if path else step
    return path


def schema_of_request() -> JsonObject:
    """Returns the JSON Schema of the request body for the OpenAPI document."""
    return cast("JsonObject", ChatRequest.model_json_schema(ref_template="#/components/schemas/{model}"))
