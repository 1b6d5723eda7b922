"""HTTP routes for clients without MCP: the OpenAI-compatible API and plain REST."""
