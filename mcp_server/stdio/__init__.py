"""The stdio transport, and the handshake it answers before the MCP SDK is imported."""
