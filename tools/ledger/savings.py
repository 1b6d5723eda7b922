"""Reports over the ledger: sums by project, tool, agent and tier, savings over time, latency, last calls.

``saved`` is net and adds up: a call's is the tokens it read for its caller, minus its arguments, minus its
answer; each time a host loads the tools' definitions into its model's context, an entry of its own is
charged. The sum over a day is what the day saved.

``stats``, the dashboard and MCP share the one report function, so that they agree.
"""

import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from engines.base import JsonObject
from engines.errors import InvalidArgumentsError
from tools.ledger.store import COLUMNS, DEFINITIONS, Entry, Ledger, entry_of

PERIODS = ("today", "7d", "all")
MOST = 20
"""Names of a kind listed separately; the rest are summed as ``OTHER``."""
OTHER = "other"
LAST = 20
"""Calls listed with their receipts."""
RANKED = 10_000
"""Latency is measured over this many latest calls of a tier."""

HOURS = 2 * 86400
DAYS = 120 * 86400
"""Longest ranges in seconds that are shown by hours and by days; longer ones are shown by months."""
UNITS = {"hour": ("%Y-%m-%dT%H", 1800), "day": ("%Y-%m-%d", 43200), "month": ("%Y-%m", 10 * 86400)}
"""Format of each step's start, and a stride in seconds that misses none."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over entries. ``listed`` counts loads of the definitions, which only ``saved`` includes."""

    calls: int = 0
    failed: int = 0
    cached: int = 0
    escalated: int = 0
    read: int = 0
    prompt: int = 0
    completion: int = 0
    saved: int = 0
    listed: int = 0

    @property
    def spent(self) -> int:
        """Tokens of the callers' contexts: arguments, answers, definitions."""
        return self.read - self.saved

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def as_json(self) -> JsonObject:
        return {
            "calls": self.calls,
            "failed": self.failed,
            "cached": self.cached,
            "escalated": self.escalated,
            "definitions_listed": self.listed,
            "tokens": {"read": self.read, "in": self.prompt, "out": self.completion},
            "spent": self.spent,
            "saved": self.saved,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """Dimensions the sums can be split by."""

    project: str
    tool: str
    agent: str
    tier: str


Cube = Mapping[Kind, Sums]


@dataclass(frozen=True, slots=True)
class Step:
    """An hour, day or month: its start in local time, with its calls and savings."""

    start: str
    calls: int = 0
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of a tier's answered calls, in ms. ``within``: share of all calls that met the target."""

    tier: str
    target_ms: int
    calls: int
    p50_ms: int
    p95_ms: int
    within: float

    def as_json(self) -> JsonObject:
        return {
            "tier": self.tier,
            "target_ms": self.target_ms,
            "calls": self.calls,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "within": round(self.within, 4),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Report over a time range, in seconds since 1970; ``since`` 0 means everything."""

    since: float
    until: float
    project: str
    periods: Mapping[str, Sums]
    """The sums of ``PERIODS``, whatever ``since`` is."""
    totals: Sums
    projects: Mapping[str, Sums]
    tools: Mapping[str, Sums]
    agents: Mapping[str, Sums]
    tiers: Mapping[str, Sums]
    unit: str
    steps: tuple[Step, ...]
    latency: tuple[Latency, ...]
    last: tuple[Entry, ...]
    known: tuple[str, ...]
    """All project names, whatever ``project`` is; the busiest first."""

    def as_json(self) -> JsonObject:
        """Returns the report as ``stats --json`` prints it and the dashboard reads it."""
        kinds = {"project": self.projects, "tool": self.tools, "agent": self.agents, "tier": self.tiers}
        return {
            "since": iso(self.since) if self.since else None,
            "until": iso(self.until),
            "project": self.project or None,
            "projects": list(self.known),
            "periods": {name: sums.as_json() for name, sums in self.periods.items()},
            "totals": self.totals.as_json(),
            "by": {
                kind: [{"name": name, **sums.as_json()} for name, sums in groups.items()]
                for kind, groups in kinds.items()
            },
            "unit": self.unit,
            "steps": [{"start": step.start, "calls": step.calls, "saved": step.saved} for step in self.steps],
            "latency": [latency.as_json() for latency in self.latency],
            "last": [
                {
                    "at": iso(entry.at),
                    "agent": entry.agent,
                    "tool": entry.tool,
                    "error": entry.error or None,
                    "receipt": entry.receipt.as_json(),
                }
                for entry in self.last
            ],
        }


async def report(ledger: Ledger, targets: Mapping[str, int], since: float, project: str = "") -> Report:
    """Returns the report since then, for ``project`` or for all; ``targets`` are milliseconds by tier.

    Raises:
        LedgerUnreadableError: the file cannot be used.
    """
    return await ledger.read(partial(_report, targets, since, ledger.clock(), project))


def since_of(text: str, now: float) -> float:
    """Parses ``today``, ``all``, ``7d``, ``12h``, ``2w`` or a local date into seconds since 1970.

    Raises:
        InvalidArgumentsError: the text is none of these.
    """
    seconds = {"h": 3600, "d": 86400, "w": 7 * 86400}
    try:
        if text == "all":
            return 0.0
        if text == "today":
            return datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        if text[-1:] in seconds and text[:-1].isascii() and text[:-1].isdigit():
            return max(0.0, now - int(text[:-1]) * seconds[text[-1]])
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidArgumentsError(
            f"{text!r} is not a time", hint="use today, all, 12h, 7d, 2w or a date as 2026-11-30"
        ) from None


def cube(connection: sqlite3.Connection, since: float, project: str = "") -> Cube:
    """Returns the sums since then, by every combination of dimensions."""
    where, bound = _where(since, project)
    rows = connection.execute(
        "SELECT project, tool, agent, tier, "
        "sum(tool != ?), sum(error != ''), sum(cached), sum(escalated), sum(read), sum(prompt), "
        "sum(completion), sum(saved), sum(tool = ?) "
        f"FROM calls WHERE {where} GROUP BY project, tool, agent, tier",
        (DEFINITIONS, DEFINITIONS, *bound),
    )
    return {Kind(*row[:4]): Sums(*row[4:]) for row in rows}


def split(cube: Cube, by: Callable[[Kind], str], most: int = MOST) -> dict[str, Sums]:
    """Returns the sums by one dimension, the busiest first; all but ``most`` of them summed as ``OTHER``."""
    groups: dict[str, Sums] = {}
    for kind, sums in cube.items():
        name = by(kind) or "none"
        groups[name] = groups.get(name, Sums()) + sums
    ranked = sorted(groups.items(), key=lambda item: (-item[1].calls, item[0]))
    rest = _sum(sums for _, sums in ranked[most:])
    return dict(ranked[:most]) | ({OTHER: rest} if len(ranked) > most else {})


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _report(
    targets: Mapping[str, int], since: float, until: float, project: str, connection: sqlite3.Connection
) -> Report:
    everything = cube(connection, 0)

    def since_then(start: float) -> Cube:
        if start:
            return cube(connection, start, project)
        return {kind: sums for kind, sums in everything.items() if project in ("", kind.project)}

    by = since_then(since)
    unit, steps = _steps(connection, since, until, project)
    where, bound = _where(since, project)
    last = connection.execute(
        f"SELECT {COLUMNS} FROM calls WHERE {where} AND tool != ? ORDER BY id DESC LIMIT ?",
        (*bound, DEFINITIONS, LAST),
    )
    return Report(
        since=since,
        until=until,
        project=project,
        periods={name: _sum(since_then(since_of(name, until)).values()) for name in PERIODS},
        totals=_sum(by.values()),
        projects=split(by, lambda kind: kind.project),
        tools=split(by, lambda kind: kind.tool),
        agents=split(by, lambda kind: kind.agent),
        tiers=split(by, lambda kind: kind.tier),
        unit=unit,
        steps=steps,
        latency=tuple(_latency(connection, tier, ms, since, project) for tier, ms in targets.items()),
        last=tuple(map(entry_of, last)),
        known=tuple(name for name in split(everything, lambda kind: kind.project) if name != OTHER),
    )


def _where(since: float, project: str) -> tuple[str, tuple[int | str, ...]]:
    return "at >= ? AND (? = '' OR project = ?)", (round(since * 1000), project, project)


def _sum(parts: Iterable[Sums]) -> Sums:
    return sum(parts, Sums())


def _steps(
    connection: sqlite3.Connection, since: float, until: float, project: str
) -> tuple[str, tuple[Step, ...]]:
    """Returns the unit that suits the length of the range, and its steps without gaps."""
    where, bound = _where(since, project)
    first = connection.execute(f"SELECT min(at) FROM calls WHERE {where}", bound).fetchone()[0]
    if first is None:
        return "day", ()
    start = since or first / 1000
    length = until - start
    unit = "hour" if length <= HOURS else "day" if length <= DAYS else "month"
    form, stride = UNITS[unit]
    rows = connection.execute(
        f"SELECT strftime('{form}', at / 1000, 'unixepoch', 'localtime') AS step, "
        f"sum(tool != ?), sum(saved) FROM calls WHERE {where} GROUP BY step",
        (DEFINITIONS, *bound),
    )
    found = {name: Step(name, calls, saved) for name, calls, saved in rows}
    return unit, tuple(found.get(name, Step(name)) for name in _names(form, stride, start, until))


def _names(form: str, stride: int, start: float, until: float) -> Iterable[str]:
    """Yields every step from ``start`` to ``until`` once; strides allow for local days of 23 hours."""
    times = (start + stride * number for number in range(math.ceil((until - start) / stride)))
    return dict.fromkeys(datetime.fromtimestamp(time).strftime(form) for time in (*times, until))


def _latency(
    connection: sqlite3.Connection, tier: str, target_ms: int, since: float, project: str
) -> Latency:
    where, bound = _where(since, project)
    rows = connection.execute(
        f"SELECT ms, error = '' FROM calls WHERE {where} AND tier = ? ORDER BY id DESC LIMIT ?",
        (*bound, tier, RANKED),
    ).fetchall()
    answered = sorted(ms for ms, well in rows if well)
    within = sum(ms <= target_ms for ms in answered) / len(rows) if rows else 1.0
    return Latency(tier, target_ms, len(rows), _rank(answered, 0.5), _rank(answered, 0.95), within)


def _rank(ordered: list[int], share: float) -> int:
    """Returns the percentile by nearest rank; 0 if there are no values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0
