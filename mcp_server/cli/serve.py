"""The ``stdio`` and ``serve`` commands: run the server over stdio or HTTP."""

import argparse
import sys

from engines.errors import AgentError
from mcp_server.cli.context import fail, started


async def stdio(options: argparse.Namespace) -> int:
    """Serves one host over stdio until end of input."""
    from mcp_server.stdio.transport import serve_stdio

    if sys.stdin.isatty():
        print("local-llm-agent: waiting for an MCP client on standard input (Ctrl-C ends)", file=sys.stderr)
    try:
        async with started(options) as (app, project):
            await serve_stdio(app, project, options.backlog)
    except AgentError as error:
        return fail(error, as_json=False)
    return 0


async def serve(options: argparse.Namespace) -> int:
    """Serves HTTP until a signal; any address but loopback needs a token."""
    from mcp_server.http.app import serve_http

    given = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    try:
        async with started(options, http=given) as (app, _):
            await serve_http(app, _announce)
    except AgentError as error:
        return fail(error, as_json=False)
    return 0


def _announce(host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else host
    print(f"local-llm-agent: http://{name}:{port}  MCP at /mcp and /sse, OpenAI at /v1", file=sys.stderr)
