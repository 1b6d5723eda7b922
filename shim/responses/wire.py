"""OpenAI's JSON for ``/v1/responses``, as far as this server reads it, and what it is as a chat.

A conversation comes whole with every request, as Codex sends it: nothing is stored here, so what
refers to stored things (``previous_response_id``) is refused. Tools the server of a model would run
itself (web search) are left out.
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
    STRICT,
    WHOLE,
    ChatMessage,
    ChatRequest,
    MessageToolCall,
    field_names,
    wrong_field,
)

TEXT_PARTS = ("input_text", "output_text", "text")


# Other types than text are let in here and refused below, with a better message.
@with_config(ConfigDict(json_schema_extra={"required": ["type", "text"]}))
class InputPart(TypedDict):
    type: Annotated[str, WithJsonSchema({"enum": list(TEXT_PARTS)})]
    text: NotRequired[str]


class InputMessage(TypedDict):
    type: NotRequired[Literal["message"]]
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart]


class FunctionCallItem(TypedDict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    namespace: NotRequired[str | None]


class FunctionCallOutput(TypedDict):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputPart]


class ReasoningItem(TypedDict):
    """What a model thought before: not part of the conversation for the next one."""

    type: Literal["reasoning"]


class ResponseFunction(TypedDict):
    type: Literal["function"]
    name: Annotated[str, Field(min_length=1)]
    description: NotRequired[str | None]
    parameters: NotRequired[dict[str, JsonValue] | None]


def _hosted(kind: str) -> str:
    if kind in OURS:
        raise ValueError(f"a {kind} needs its other fields")
    return kind


OURS = ("function", "namespace")


class HostedTool(TypedDict):
    """One that a model's server would run itself; there is none here."""

    type: Annotated[
        str, AfterValidator(_hosted), WithJsonSchema({"type": "string", "not": {"enum": list(OURS)}})
    ]


class NamespaceTool(TypedDict):
    """Functions of one origin, as Codex groups those of an MCP server."""

    type: Literal["namespace"]
    name: Annotated[str, Field(min_length=1)]
    tools: list[ResponseFunction | HostedTool]


class NamedTool(TypedDict):
    type: Literal["function"]
    name: str


class TextFormat(TypedDict):
    type: Literal["text", "json_object", "json_schema"]
    schema: NotRequired[dict[str, JsonValue] | None]


class TextOptions(TypedDict):
    format: NotRequired[TextFormat | None]


class Reasoning(TypedDict):
    effort: NotRequired[str | None]


InputItem = InputMessage | FunctionCallItem | FunctionCallOutput | ReasoningItem


class ResponsesRequest(BaseModel):
    model_config = STRICT

    input: str | Annotated[list[InputItem], Field(min_length=1)]
    model: str | None = Field(None, description="auto, small, main, a real model or an adapter")
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    tools: list[ResponseFunction | NamespaceTool | HostedTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    previous_response_id: None = Field(None, description="answers are not stored")


FIELD_NAMES = field_names(
    InputPart, InputMessage, FunctionCallItem, FunctionCallOutput, ResponseFunction, NamespaceTool, NamedTool,
    TextFormat, TextOptions, Reasoning, ResponsesRequest,
)  # fmt: skip


def parse_responses(body: JsonObject) -> ResponsesRequest:
    """``body`` as a request.

    Raises:
        WrongFieldError: naming the first field that does not fit.
    """
    if body.get("previous_response_id") is not None:
        raise WrongFieldError(
            "previous_response_id names a stored answer, and none are stored",
            param="previous_response_id",
            hint="send the whole conversation as input",
        )
    try:
        return ResponsesRequest.model_validate(body)
    except ValidationError as error:
        raise wrong_field(error, FIELD_NAMES) from None


def as_chat(request: ResponsesRequest) -> ChatRequest:
    """The chat completion that asks the same.

    Raises:
        WrongFieldError: a part of the conversation is not text.
    """
    wanted = (request.text or {}).get("format") or {"type": "text"}
    return ChatRequest.model_validate(
        {
            "model": request.model,
            "messages": _messages(request),
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
    """Namespace, if any, and definition of each function the model may call."""
    for tool in request.tools or ():
        if tool["type"] == "function":
            yield "", cast("ResponseFunction", tool)
        elif tool["type"] == "namespace":
            space = cast("NamespaceTool", tool)
            inner = [each for each in space["tools"] if each["type"] == "function"]
            yield from ((space["name"], cast("ResponseFunction", each)) for each in inner)


def flat_name(namespace: str | None, name: str) -> str:
    """Chat completions know no namespaces."""
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
    said: list[ChatMessage] = []
    if request.instructions:
        said.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*said, {"role": "user", "content": request.input}]
    for at, item in enumerate(request.input):
        _add(said, item, f"input[{at}]")
    return said or [{"role": "user", "content": ""}]


def _add(said: list[ChatMessage], item: InputItem, param: str) -> None:
    """``item`` as a message of its own, or a call beside what the assistant said before it."""
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            called = flat_name(item.get("namespace"), name)
            call: MessageToolCall = {"id": call_id, "function": {"name": called, "arguments": arguments}}
            if not said or said[-1]["role"] != "assistant":
                said.append({"role": "assistant", "content": ""})
            said[-1]["tool_calls"] = [*(said[-1].get("tool_calls") or ()), call]
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            said.append(
                {"role": "tool", "tool_call_id": call_id, "content": _text(output, f"{param}.output")}
            )
        case {"role": role, "content": content}:
            said.append({"role": role, "content": _text(content, f"{param}.content")})
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
    """The JSON Schema of the request's body, for the OpenAPI document."""
    return cast("JsonObject", ResponsesRequest.model_json_schema(ref_template="#/components/schemas/{model}"))
