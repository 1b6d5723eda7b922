"""The MCP server: tools, resources and errors."""
