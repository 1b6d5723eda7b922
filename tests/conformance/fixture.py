"""Serves the fixture tools that the conformance suites require on our HTTP transport.

``python -m tests.conformance.fixture PORT``. Names, texts and schemas are the suites'; the transport,
``mounted`` and ``serve_at`` of ``mcp_server.http.app``, is ours.
"""

import base64
import json
import sys
from typing import Annotated, Any

import anyio
from mcp.server import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer, RequestStateSecurity
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.types import (
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from mcp_server.http.app import mounted, serve_at
from mcp_server.settings import HttpSettings
from tests.conformance import asking

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
STEP_S = 0.05
"""Delay between the notifications of a tool, so that they come one by one."""

KEYWORDS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""A schema of JSON Schema 2020-12; a server must list its keywords unchanged."""


# Tools


def test_simple_text() -> str:
    """Say something."""
    return "This is a simple text response for testing."


def test_image_content() -> list[ImageContent]:
    """Show a pixel."""
    return [ImageContent(data=PNG, mime_type="image/png")]


def test_audio_content() -> list[AudioContent]:
    """Play nothing."""
    return [AudioContent(data=WAV, mime_type="audio/wav")]


def test_embedded_resource() -> list[EmbeddedResource]:
    """Hand out a resource."""
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Say, show and hand out."""
    data = json.dumps({"test": "data", "value": 123})
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=PNG, mime_type="image/png"),
        embedded("test://mixed-content-resource", "application/json", data),
    ]


async def test_tool_with_logging(ctx: Context) -> str:
    """Log three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)  # pyright: ignore[reportDeprecated]  (the suites' older revisions)
        await anyio.sleep(STEP_S)
    return "logged"


async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(STEP_S)
    return "done"


def test_error_handling() -> str:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


Region = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]


def test_x_mcp_header(region: Region = "") -> str:  # noqa: PT028 (no test)
    """Has an argument that a header repeats."""
    return f"region={region}"


def json_schema_2020_12_tool() -> str:
    """Listed with a schema of many keywords."""
    return "listed"


async def test_reconnection(ctx: Context) -> str:
    """Close the stream before the answer: the client comes back for it."""
    await ctx.close_sse_stream()
    await anyio.sleep(4 * STEP_S)
    return "answered to the second connection"


async def test_trigger_tool_change(ctx: Context) -> str:
    """Say that the list of tools is another one."""
    await ctx.notify_tools_changed()
    return "said"


async def test_trigger_prompt_change(ctx: Context) -> str:
    """Say that the list of prompts is another one."""
    await ctx.notify_prompts_changed()
    return "said"


# Prompts


def test_simple_prompt() -> list[UserMessage]:
    """Without arguments."""
    return [UserMessage(TextContent(text="This is a simple prompt for testing."))]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """With two arguments."""
    return [UserMessage(TextContent(text=f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 (the suites' name)
    """With a resource."""
    resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [
        UserMessage(resource),
        UserMessage(TextContent(text="Please process the embedded resource above.")),
    ]


def test_prompt_with_image() -> list[UserMessage]:
    """With an image."""
    return [
        UserMessage(ImageContent(data=PNG, mime_type="image/png")),
        UserMessage(TextContent(text="Please analyze the image above.")),
    ]


def embedded(uri: str, kind: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=kind, text=words))


TOOLS = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_logging,
    test_tool_with_progress,
    test_error_handling,
    test_x_mcp_header,
    test_reconnection,
    test_trigger_tool_change,
    test_trigger_prompt_change,
    *asking.TOOLS,
)
PROMPTS = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    asking.test_input_required_result_prompt,
)


def build() -> MCPServer:
    listed = Tool.from_function(json_schema_2020_12_tool).model_copy(update={"parameters": KEYWORDS})
    server = MCPServer(
        "conformance",
        version="1",
        tools=[*(Tool.from_function(function) for function in TOOLS), listed],
        request_state_security=RequestStateSecurity.ephemeral(),
        log_level="CRITICAL",
    )
    for function in PROMPTS:
        server.add_prompt(Prompt.from_function(function))
    _add_resources(server)
    _add_older_requests(server)
    server.completion()(_complete)
    return server


def _add_resources(server: MCPServer) -> None:
    @server.resource("test://static-text", description="Text", mime_type="text/plain")
    def _text() -> str:  # pyright: ignore[reportUnusedFunction]
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="A pixel", mime_type="image/png")
    def _binary() -> bytes:  # pyright: ignore[reportUnusedFunction]
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", description="Watched", mime_type="text/plain")
    def _watched() -> str:  # pyright: ignore[reportUnusedFunction]
        return "never changes"

    @server.resource("test://template/{id}/data", description="By id", mime_type="application/json")
    def _by_id(id: str) -> str:  # pyright: ignore[reportUnusedFunction]
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_older_requests(server: MCPServer) -> None:
    """Registers requests of 2025 clients that the SDK has no decorator for."""
    add = lowlevel(server).add_request_handler
    add("logging/setLevel", SetLevelRequestParams, _accept)
    add("resources/subscribe", SubscribeRequestParams, _accept)
    add("resources/unsubscribe", UnsubscribeRequestParams, _accept)


async def _accept(ctx: ServerRequestContext[Any, Any], params: object) -> EmptyResult:
    return EmptyResult()


async def _complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion:
    return Completion(values=["paris", "park"], total=2, has_more=False)


def lowlevel(server: MCPServer) -> Any:
    """Returns the low-level server that the HTTP transport mounts."""
    return server._lowlevel_server  # pyright: ignore[reportPrivateUsage]


if __name__ == "__main__":
    http = HttpSettings(port=int(sys.argv[1]))
    anyio.run(serve_at, mounted(lowlevel(build()), http), http)
