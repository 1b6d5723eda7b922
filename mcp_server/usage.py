"""The ledger as the MCP server sees it: charged for every session, and read as ``stats://today``."""

import json
from collections import deque
from collections.abc import Mapping

from mcp.types import Resource

from engines.base import JsonObject
from mcp_server.stdio.handshake import MANIFEST
from tools.ledger.savings import iso, report, since_of
from tools.ledger.store import Ledger, LedgerUnreadableError

OURS = "local-llm-agent"
"""How our own clients' names begin: ``doctor`` lists the tools for no model."""

SESSIONS = 1000
"""Latest sessions known to have been charged."""

TODAY = Resource(
    name="today",
    title="Savings of today",
    uri="stats://today",
    description="What the local model did today and the tokens that saved, net.",
    mime_type="application/json",
)


class Books:
    """Without a ledger nothing is charged and there is nothing to read."""

    def __init__(self, ledger: Ledger | None = None, targets: Mapping[str, int] | None = None) -> None:
        """``targets`` in milliseconds, by tier."""
        self._ledger = ledger
        self._targets = dict(targets or {})
        self._charged: deque[str] = deque(maxlen=SESSIONS)
        # Reading it now, before anything is served, blocks nobody.
        self._definitions = definition_tokens() if ledger else 0

    def listed(self, project: str, agent: str, session: str) -> None:
        """A host took the definitions for its model; again and again in a ``session`` is once.

        Without one (empty) every listing counts: better too much than savings that are not there.
        """
        if self._ledger and session not in self._charged and not agent.startswith(OURS):
            self._ledger.charge(project, agent, self._definitions)
            if session:
                self._charged.append(session)

    async def today(self) -> JsonObject:
        """Today's sums, the net saving of each tool, and whether the tiers kept their targets.

        Raises:
            LedgerUnreadableError: there is no ledger, or it cannot be used.
        """
        if self._ledger is None:
            raise LedgerUnreadableError("no ledger is kept", hint="set [ledger] enabled = true")
        today = since_of("today", self._ledger.clock())
        found = await report(self._ledger, self._targets, today)
        return {
            "since": iso(found.since),
            **found.totals.as_json(),
            "saved_by_tool": {name: sums.saved for name, sums in found.tools.items()},
            "latency": [latency.as_json() for latency in found.latency],
        }


def definition_tokens() -> int:
    """Tokens of the tools' definitions and the server's instructions, as counted with the manifest."""
    return int(json.loads(MANIFEST.read_bytes())["definitions"]["tokens"])
