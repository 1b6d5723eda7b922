"""Doors for agents without MCP: the OpenAI wire format and plain REST."""
