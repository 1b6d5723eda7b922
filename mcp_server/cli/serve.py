"""The ``stdio`` and ``serve`` commands: run the server over stdio or HTTP."""

import argparse
import sys

from engines.errors import AgentError
from mcp_server.cli.context import fail, start, started
from mcp_server.local_key import announced


async def stdio(options: argparse.Namespace) -> int:
    """Serves one host over stdio until end of input."""
    from mcp_server.stdio.sdk import import_sdk

    import_sdk()
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
    names = ("host", "port", "workers")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    try:
        if options.channel is not None:
            from mcp_server.http.worker import work

            await work(options.channel)
            return 0
        begun = start(options, http=given)
        if begun.settings.http.workers > 1:
            from mcp_server.http.workers import serve_workers

            with announced(_announce) as announce:
                return await serve_workers(begun.settings, announce, verbose=options.verbose)
        from mcp_server.http.app import serve_http

        with announced(_announce) as announce:
            async with started(options, http=given) as (app, _):
                await serve_http(app, announce)
    except AgentError as error:
        return fail(error, as_json=False)
    return 0


def _announce(host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else host
    print(f"local-llm-agent: http://{name}:{port}  MCP at /mcp and /sse, OpenAI at /v1", file=sys.stderr)
