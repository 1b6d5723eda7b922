"""The ``stdio --through`` command: forwards to a running server. Imports no settings, to stay small."""

import argparse
import sys

from engines.errors import AgentError


async def through(options: argparse.Namespace) -> int:
    """Forwards the messages of one host until end of input."""
    from mcp_server.stdio.through import forward

    try:
        await forward(options.target, options.project, options.backlog)
    except AgentError as error:
        print(f"local-llm-agent: {error.message}\n  {error.hint}", file=sys.stderr)
        return 2
    return 0
