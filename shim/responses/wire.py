"""Wire models of ``/v1/responses``: the request fields this server reads, translated to a chat request.

Nothing is stored: every request contains the whole conversation, as Codex sends it, and
``previous_response_id`` is refused. Hosted tools, such as web search, are ignored.
Field names and limits: https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Iterator
from typing import Annotated, Literal, NotRequired, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    with_config,
)
from typing_extensions import TypedDict

from engines.base import JsonObject
from shim.errors import WrongFieldError
from shim.openai.wire import (
    MOST_PARTS,
    MOST_TOOLS,
    STRICT,
    WHOLE,
    ChatMessage,
    ChatRequest,
    Description,
    Identity,
    MessageToolCall,
    Name,
    Schema,
    field_names,
    parse_chat,
    schema_of,
    wrong_field,
)
from tools.arguments import Prompt
from tools.chat.tool import MOST_MESSAGES

ToolName = Annotated[str, Field(max_length=200)]
"""A namespace and a name together are a ``Name``."""
TEXT_PARTS = ("input_text", "output_text", "text")


# Other types than text pass here; ``_text`` refuses them with a better message.
@with_config(ConfigDict(json_schema_extra={"required": ["type", "text"]}))
class InputPart(TypedDict):
    type: Annotated[Name, WithJsonSchema({"enum": list(TEXT_PARTS)})]
    text: NotRequired[Prompt]


Parts = Prompt | Annotated[list[InputPart], Field(max_length=MOST_PARTS)]


class InputMessage(TypedDict):
    type: NotRequired[Literal["message"]]
    role: Literal["system", "developer", "user", "assistant"]
    content: Parts


class FunctionCallItem(TypedDict):
    type: Literal["function_call"]
    call_id: Identity
    name: ToolName
    arguments: Prompt
    namespace: NotRequired[ToolName | None]


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: Identity
    output: Parts


class ReasoningItem(TypedDict):
    """What a model thought before: not part of the conversation for the next one."""

    type: Literal["reasoning"]


class ResponseFunction(TypedDict):
    type: Literal["function"]
    name: Annotated[ToolName, Field(min_length=1)]
    description: NotRequired[Description | None]
    parameters: NotRequired[Schema | None]


def _hosted(kind: str) -> str:
    if kind in OURS:
        raise ValueError(f"a {kind} lacks required fields")
    return kind


OURS = ("function", "namespace")


class HostedTool(TypedDict):
    """One that a model's server would run itself; there is none here."""

    type: Annotated[
        Name, AfterValidator(_hosted), WithJsonSchema({"type": "string", "not": {"enum": list(OURS)}})
    ]


class NamespaceTool(TypedDict):
    """Functions of one origin, as Codex groups those of an MCP server."""

    type: Literal["namespace"]
    name: Annotated[ToolName, Field(min_length=1)]
    tools: Annotated[list[ResponseFunction | HostedTool], Field(max_length=MOST_TOOLS)]


class NamedTool(TypedDict):
    type: Literal["function"]
    name: ToolName


class TextFormat(TypedDict):
    type: Literal["text", "json_object", "json_schema"]
    schema: NotRequired[Schema | None]


class TextOptions(TypedDict):
    format: NotRequired[TextFormat | None]


class Reasoning(TypedDict):
    effort: NotRequired[Name | None]


InputItem = InputMessage | FunctionCallItem | FunctionCallOutput | ReasoningItem


class ResponsesRequest(BaseModel):
    model_config = STRICT

    input: Prompt | Annotated[list[InputItem], Field(min_length=1, max_length=MOST_MESSAGES)]
    model: Name | None = Field(None, description="auto, small, main, a real model or an adapter")
    instructions: Prompt | None = None
    stream: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    tools: (
        Annotated[list[ResponseFunction | NamespaceTool | HostedTool], Field(max_length=MOST_TOOLS)] | None
    ) = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    previous_response_id: None = Field(None, description="answers are not stored")


FIELD_NAMES = field_names(
    InputPart, InputMessage, FunctionCallItem, FunctionCallOutput, ResponseFunction, NamespaceTool, NamedTool,
    TextFormat, TextOptions, Reasoning, ResponsesRequest,
)  # fmt: skip


def parse_responses(body: JsonObject) -> ResponsesRequest:
    """Validates ``body``.

    Raises:
        WrongFieldError: naming the first field that does not fit.
    """
    if body.get("previous_response_id") is not None:
        raise WrongFieldError(
            "previous_response_id is not supported, because responses are not stored",
            param="previous_response_id",
            hint="send the whole conversation as input",
        )
    try:
        return ResponsesRequest.model_validate(body)
    except ValidationError as error:
        raise wrong_field(error, FIELD_NAMES) from None


def as_chat(request: ResponsesRequest) -> ChatRequest:
    """Translates the request to a chat request.

    Raises:
        WrongFieldError: a part of the conversation is not text.
    """
    wanted = (request.text or {}).get("format") or {"type": "text"}
    return parse_chat(
        {
            "model": request.model,
            "messages": cast("list[JsonValue]", _messages(request)),
            "max_completion_tokens": request.max_output_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "reasoning_effort": (request.reasoning or {}).get("effort"),
            "response_format": {"type": wanted["type"], "json_schema": {"schema": wanted.get("schema")}},
            "tools": [_function(*each) for each in offered(request)] or None,
            "tool_choice": _choice(request),
        }
    )


def offered(request: ResponsesRequest) -> Iterator[tuple[str, ResponseFunction]]:
    """Yields namespace (may be empty) and definition of each function the model may call."""
    for tool in request.tools or ():
        if tool["type"] == "function":
            yield "", cast("ResponseFunction", tool)
        elif tool["type"] == "namespace":
            space = cast("NamespaceTool", tool)
            inner = [each for each in space["tools"] if each["type"] == "function"]
            yield from ((space["name"], cast("ResponseFunction", each)) for each in inner)


def flat_name(namespace: str | None, name: str) -> str:
    """Joins namespace and name, as chat completions have no namespaces."""
    return f"{namespace}__{name}" if namespace else name


def _function(namespace: str, tool: ResponseFunction) -> JsonObject:
    function: JsonObject = {"name": flat_name(namespace, tool["name"])}
    if description := tool.get("description"):
        function["description"] = description
    if parameters := tool.get("parameters"):
        function["parameters"] = parameters
    return {"type": "function", "function": function}


def _choice(request: ResponsesRequest) -> JsonValue:
    if isinstance(request.tool_choice, dict):
        return {"type": "function", "function": {"name": request.tool_choice["name"]}}
    return request.tool_choice


def _messages(request: ResponsesRequest) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*messages, {"role": "user", "content": request.input}]
    for at, item in enumerate(request.input):
        _add(messages, item, f"input[{at}]")
    return messages or [{"role": "user", "content": ""}]


def _add(messages: list[ChatMessage], item: InputItem, param: str) -> None:
    """Adds ``item`` as a message, or as a tool call of the preceding assistant message."""
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            called = flat_name(item.get("namespace"), name)
            call: MessageToolCall = {"id": call_id, "function": {"name": called, "arguments": arguments}}
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            messages[-1]["tool_calls"] = [*(messages[-1].get("tool_calls") or ()), call]
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            messages.append(
                {"role": "tool", "tool_call_id": call_id, "content": _text(output, f"{param}.output")}
            )
        case {"role": role, "content": content}:
            messages.append({"role": role, "content": _text(content, f"{param}.content")})
        case _:
            return


def _text(content: str | list[InputPart], param: str) -> str:
    if isinstance(content, str):
        return content
    for at, part in enumerate(content):
        if part["type"] not in TEXT_PARTS or "text" not in part:
            raise WrongFieldError(
                f"{param}[{at}] is of type {part['type']!r}, and the local models read text only",
                param=f"{param}[{at}]",
                hint='send parts {"type": "input_text", "text": ...}',
            )
    return "\n".join(part.get("text", "") for part in content)


def schema_of_request() -> JsonObject:
    """Returns the JSON Schema of the request body for the OpenAPI document."""
    return schema_of(ResponsesRequest)
