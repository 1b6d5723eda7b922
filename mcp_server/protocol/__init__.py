"""The MCP server: tools, resources, errors, and the manifest of its first answers."""
