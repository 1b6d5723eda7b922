"""Charges MCP sessions to the ledger and serves ``stats://today``."""

import json
from collections import deque
from collections.abc import Mapping

from mcp.types import Resource

from engines.base import JsonObject
from mcp_server.stdio.handshake import MANIFEST
from tools.ledger.savings import iso, report, since_of
from tools.ledger.store import Ledger, LedgerUnreadableError

OURS = "local-llm-agent"
"""Name prefix of this project's own clients; ``doctor`` lists the tools without a model."""

SESSIONS = 1000
"""Number of charged sessions remembered."""

TODAY = Resource(
    name="today",
    title="Savings of today",
    uri="stats://today",
    description="What the local model did today and the tokens that saved, net.",
    mime_type="application/json",
)


class Usage:
    """Charges tool definitions to sessions and reports today's savings; does nothing without a ledger."""

    def __init__(self, ledger: Ledger | None = None, targets: Mapping[str, int] | None = None) -> None:
        """``targets`` in milliseconds, by tier."""
        self._ledger = ledger
        self._targets = dict(targets or {})
        self._charged: deque[str] = deque(maxlen=SESSIONS)
        # Read before serving, so that no call blocks on it.
        self._definitions = definition_tokens() if ledger else 0

    def listed(self, project: str, agent: str, session: str) -> None:
        """Charges the tool definitions to ``session``, once per session.

        Without a session id every listing is charged, so that savings are never overstated.
        """
        if self._ledger and session not in self._charged and not agent.startswith(OURS):
            self._ledger.charge(project, agent, self._definitions)
            if session:
                self._charged.append(session)

    async def today(self) -> JsonObject:
        """Returns today's totals, net savings by tool and latency by tier.

        Raises:
            LedgerUnreadableError: the ledger is disabled or cannot be read.
        """
        if self._ledger is None:
            raise LedgerUnreadableError("the ledger is disabled", hint="set [ledger] enabled = true")
        today = since_of("today", self._ledger.clock())
        found = await report(self._ledger, self._targets, today)
        return {
            "since": iso(found.since),
            **found.totals.as_json(),
            "saved_by_tool": {name: sums.saved for name, sums in found.tools.items()},
            "latency": [latency.as_json() for latency in found.latency],
        }


def definition_tokens() -> int:
    """Returns the tokens of tool definitions and instructions, from the manifest."""
    return int(json.loads(MANIFEST.read_bytes())["definitions"]["tokens"])
