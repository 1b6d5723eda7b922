"""The MCP server: maps the SDK's requests to the dispatcher, without logic of its own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from engines.base import JsonObject
from engines.errors import AgentError
from mcp_server.protocol.errors import as_result, as_text
from mcp_server.protocol.results import TEMPLATE, links, read_page
from mcp_server.usage import TODAY, Usage
from mcp_server.version import VERSION
from tools.base import Call, Project, Result
from tools.catalog import ToolDefinition, definitions
from tools.pipeline.dispatch import Dispatcher
from tools.pipeline.results import URI, UnknownResultsError
from tools.pipeline.structured import compact

Context = ServerRequestContext[dict[str, Any], Any]
ProjectOf = Callable[[Context, Mapping[str, Any]], Awaitable[Project]]

INSTRUCTIONS = (
    "Use these tools before reading logs, changelogs, test reports or documents whose content you only need "
    "sorted, pulled apart or summed up. Give paths (files, folders, globs under the project root): a model "
    "on this machine reads them and only the answer comes back, so your context stays free. classify sorts "
    "many lines or files into labels in one call; extract returns JSON with line evidence; summarize "
    "handles any length; chat is for small questions. "
    "Check `abstained` and `unsupported` before relying on an answer. Do not delegate code changes, hard "
    "reasoning, or text you already have in context."
)


def build_server(dispatcher: Dispatcher, project_of: ProjectOf, usage: Usage) -> Server[dict[str, Any]]:
    """Returns an MCP server over ``dispatcher``; ``usage`` charges sessions and serves ``stats://today``.

    The caller opens the engines, as the SDK runs a server's lifespan once per connection.
    """

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        usage.listed((await project_of(context, {})).name, _agent(context), _session(context))
        return ListToolsResult(tools=[listed(definition) for definition in definitions()])

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        arguments = cast("JsonObject", params.arguments or {})
        try:
            call = Call(
                tool=params.name,
                arguments=arguments,
                project=await project_of(context, arguments),
                agent=_agent(context),
                tier=_header(context, "x-tier") or "auto",
            )
            result = await dispatcher.run(call, context.session.report_progress)
            return as_answer(result, context.protocol_version)
        except AgentError as error:
            return as_result(error)

    async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return ListResourcesResult(resources=[TODAY])

    async def list_templates(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=[TEMPLATE])

    async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        if params.uri.startswith(URI):
            try:
                return ReadResourceResult(contents=[await read_page(dispatcher.results, params.uri)])
            except UnknownResultsError as error:
                raise MCPError(INVALID_PARAMS, as_text(error)) from None
        if params.uri != TODAY.uri:
            there = f"there is {TODAY.uri} and {TEMPLATE.uri_template}"
            raise MCPError(INVALID_PARAMS, f"no resource {params.uri}; {there}")
        try:
            today = await usage.today()
        except AgentError as error:
            raise MCPError(INTERNAL_ERROR, as_text(error)) from None
        return ReadResourceResult(
            contents=[TextResourceContents(uri=TODAY.uri, mime_type=TODAY.mime_type, text=compact(today))]
        )

    return Server(
        "local-llm-agent",
        version=VERSION,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def listed(definition: ToolDefinition) -> Tool:
    """Returns the tool for ``tools/list``; Claude Code runs only read-only tools in parallel."""
    return Tool(
        name=definition.name,
        description=definition.description,
        input_schema=dict(definition.input_schema),
        output_schema=dict(definition.output_schema) if definition.output_schema else None,
        annotations=ToolAnnotations(read_only_hint=True),
    )


def as_answer(result: Result, version: str) -> CallToolResult:
    """Returns the result as text and structure; the receipt is in ``_meta``, outside the model's context.

    ``version`` is the protocol version of the client.
    """
    beside: list[ContentBlock] = [*links(result.fields, version)]
    meta: dict[str, Any] = {"receipt": result.receipt.as_json()}
    if result.plain:
        meta |= {name: value for name, value in result.fields.items() if name != result.plain}
        text = TextContent(text=str(result.fields[result.plain]))
        return CallToolResult(content=[text, *beside], _meta=meta)
    text = TextContent(text=compact(result.fields))
    return CallToolResult(content=[text, *beside], structured_content=dict(result.fields), _meta=meta)


def _agent(context: Context) -> str:
    """Returns the agent for fairness and metrics: the ``X-Agent`` header, else the client's name."""
    params = context.session.client_params
    return _header(context, "x-agent") or (params.client_info.name if params else "")


def _session(context: Context) -> str:
    """Returns the session id: ``stdio``, or that of the HTTP session; empty without one."""
    if context.request is None:
        return "stdio"
    return _header(context, "mcp-session-id") or str(context.request.query_params.get("session_id", ""))


def _header(context: Context, name: str) -> str:
    """Returns a header of the HTTP request; empty on stdio."""
    headers = getattr(context.request, "headers", None)
    return str(headers.get(name, "")) if headers is not None else ""
