"""Baseline for start-up and calls: an MCP SDK server with four tools that do nothing.

python -P -m benchmarks.bare
"""

from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def classify(text: str, labels: list[str]) -> str:
    """Sort a text into labels."""
    return labels[0]


@server.tool()
def extract(text: str, fields: dict[str, str]) -> str:
    """Pull fields out of a text."""
    return "{}"


@server.tool()
def summarize(text: str, max_words: int = 150) -> str:
    """Summarize a text."""
    return text


@server.tool()
def chat(prompt: str) -> str:
    """Ask a question."""
    return prompt


if __name__ == "__main__":
    server.run("stdio")
