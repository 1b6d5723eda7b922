"""The door for MCP hosts, the command line, and the composition root."""
