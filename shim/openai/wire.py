"""Wire models of ``/v1/chat/completions``: the request fields this server reads.

Messages are ``TypedDict`` because the ``tools`` package takes dictionaries. Unknown fields are dropped,
as other OpenAI-compatible servers do.
Field names and limits: https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired, TypeVar, cast

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
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ListSchema, StringSchema

# pydantic refuses typing.TypedDict before Python 3.12
from typing_extensions import TypedDict

from engines.base import JsonObject
from shim.errors import WrongFieldError
from tools.arguments import LONGEST_SCHEMA, Prompt, short
from tools.base import TierWish
from tools.chat.tool import LONGEST_ID, LONGEST_NAME, MOST_CALLS, MOST_MESSAGES

OWNER = "local-llm-agent"

STRICT = ConfigDict(strict=True, extra="ignore")


def _integral(value: object) -> object:
    """Converts integral floats: 5.0 is an integer in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_integral)

LARGE = 1_000
"""Limits up to this one are in the OpenAPI document."""
MOST_TOOLS = 2_000
MOST_PARTS = 10_000
"""Parts of a message."""
Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Identity = Annotated[str, Field(max_length=LONGEST_ID)]
Description = Annotated[str, Field(max_length=LONGEST_SCHEMA)]
Schema = Annotated[dict[str, JsonValue], BeforeValidator(short)]
StopText = Annotated[str, Field(max_length=1_000)]
Stop = StopText | Annotated[list[StopText], Field(max_length=64)]


# Other types than text pass here; ``translate`` refuses them with a better message.
@with_config(ConfigDict(json_schema_extra={"required": ["type", "text"]}))
class ContentPart(TypedDict):
    type: Annotated[Name, WithJsonSchema({"const": "text"})]
    text: NotRequired[Prompt]


class FunctionCall(TypedDict):
    name: Name
    arguments: Prompt


class MessageToolCall(TypedDict):
    id: Identity
    type: NotRequired[Literal["function"]]
    function: FunctionCall


class ChatMessage(TypedDict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: NotRequired[Prompt | Annotated[list[ContentPart], Field(max_length=MOST_PARTS)] | None]
    tool_calls: NotRequired[Annotated[list[MessageToolCall], Field(max_length=MOST_CALLS)] | None]
    tool_call_id: NotRequired[Identity | None]


class FunctionDefinition(TypedDict):
    name: Annotated[Name, Field(min_length=1)]
    description: NotRequired[Description | None]
    parameters: NotRequired[Schema | None]
    strict: NotRequired[bool | None]


class FunctionTool(TypedDict):
    type: Literal["function"]
    function: FunctionDefinition


class FunctionName(TypedDict):
    name: Name


class NamedFunction(TypedDict):
    type: Literal["function"]
    function: FunctionName


class JsonSchemaFormat(TypedDict):
    schema: NotRequired[Schema | None]


class ResponseFormat(TypedDict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NotRequired[JsonSchemaFormat | None]


class StreamOptions(TypedDict):
    include_usage: NotRequired[bool | None]


class ChatRequest(BaseModel):
    model_config = STRICT

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    reasoning_effort: Name | None = None
    model: Name | None = Field(None, description="auto, small, main, a real model or an adapter")
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
    stop: Stop | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20), WHOLE] | None = Field(
        None, description="implies logprobs"
    )
    response_format: ResponseFormat | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MOST_TOOLS)] | None = None
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


Shape = TypeVar("Shape", bound=BaseModel)


def parsed(shape: type[Shape], body: JsonObject, unsupported: Mapping[str, str]) -> Shape:
    """Returns ``body`` validated as ``shape``; ``unsupported`` has the reason by name of a refused field.

    Raises:
        WrongFieldError: naming the first field that does not fit.
    """
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        fault = wrong_field(error, field_names(shape, StreamOptions))
        if fault.param in unsupported:
            hint = unsupported[fault.param]
            fault = WrongFieldError(f"{fault.param} is not supported", param=fault.param, hint=hint)
        raise fault from None


def texts_only(value: object) -> object:
    """Refuses lists of tokens, which OpenAI accepts in place of texts."""
    texts = cast("list[object]", value) if isinstance(value, list) else []
    if any(isinstance(each, int | list) for each in texts):
        raise PydanticCustomError(
            "tokens", "lists of tokens are not supported, because local models have other tokens: send text"
        )
    return cast("object", value)


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


class _WithoutLimits(GenerateJsonSchema):
    """Leaves out limits over ``LARGE``: a context is full long before."""

    def str_schema(self, schema: StringSchema) -> JsonSchemaValue:
        return {k: v for k, v in super().str_schema(schema).items() if k != "maxLength" or v <= LARGE}

    def list_schema(self, schema: ListSchema) -> JsonSchemaValue:
        return {k: v for k, v in super().list_schema(schema).items() if k != "maxItems" or v <= LARGE}


def schema_of(shape: type[BaseModel]) -> JsonObject:
    """Returns the JSON Schema of a request body for the OpenAPI document."""
    template = "#/components/schemas/{model}"
    return cast("JsonObject", shape.model_json_schema(ref_template=template, schema_generator=_WithoutLimits))


def schema_of_request() -> JsonObject:
    """Returns the JSON Schema of the request body for the OpenAPI document."""
    return schema_of(ChatRequest)
