"""Errors as MCP error results, the only kind of failure whose text reaches the model."""

from typing import Any

from mcp.types import CallToolResult, TextContent

from engines.errors import AgentError


def as_text(error: AgentError) -> str:
    """The error in one line, for hosts that show the model text alone."""
    hint = f" ({error.hint})" if error.hint else ""
    again = f"; retry after {error.retry_after:.0f} s" if error.retry_after else ""
    return f"{error.code}: {error.message}{hint}{again}"


def as_result(error: AgentError) -> CallToolResult:
    """The error as a tool's result: hosts show either the text or the structure, so each is complete."""
    structured: dict[str, Any] = {"error": error.as_json()}
    return CallToolResult(
        is_error=True, content=[TextContent(text=as_text(error))], structured_content=structured
    )
