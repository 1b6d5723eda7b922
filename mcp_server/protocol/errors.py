"""Converts errors to MCP error results, the only failures whose text reaches the model."""

from typing import Any

from mcp.types import CallToolResult, TextContent

from engines.errors import AgentError


def as_text(error: AgentError) -> str:
    """Returns the error in one line, for hosts that pass only text to the model."""
    hint = f" ({error.hint})" if error.hint else ""
    again = f"; retry after {error.retry_after:.0f} s" if error.retry_after else ""
    return f"{error.code}: {error.message}{hint}{again}"


def as_result(error: AgentError) -> CallToolResult:
    """Returns the error as a tool result; text and structure are each complete, as hosts use either."""
    structured: dict[str, Any] = {"error": error.as_json()}
    return CallToolResult(
        is_error=True, content=[TextContent(text=as_text(error))], structured_content=structured
    )
