"""The MCP server with its stdio and HTTP transports, the command line, and the composition root."""
