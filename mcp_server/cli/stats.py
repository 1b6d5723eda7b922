"""The ``stats`` command: prints the ledger's report as tables or JSON, and prunes it."""

import argparse
import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engines.errors import AgentError
from mcp_server.app import open_ledger
from mcp_server.cli.context import Start, fail, start
from tools.ledger.savings import Latency, Report, Step, Sums, report, since_of
from tools.ledger.store import Ledger

SINCE = "7d"
BAR = 24
"""Length of the longest bar in characters."""
BARS = 14
"""Number of latest time steps shown."""

EMPTY = """\
No calls yet. Let an agent call a tool with paths, or try one yourself:
  local-llm-agent summarize --paths README.md"""


async def stats(options: argparse.Namespace) -> int:
    """Prints what was saved, or with ``--prune`` deletes old calls."""
    try:
        begun = start(options)
        async with open_ledger(begun.settings, begun.folders) as ledger:
            if options.prune:
                return await _prune(ledger, options)
            found = await report(
                ledger, _targets(begun), since_of(options.since or SINCE, ledger.clock()), options.project
            )
    except AgentError as error:
        return fail(error, as_json=options.json)
    if options.json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        _show(found, options.since or SINCE)
    return 0


async def _prune(ledger: Ledger, options: argparse.Namespace) -> int:
    now = ledger.clock()
    before = since_of(options.since, now) if options.since else ledger.expired()
    dropped = await ledger.prune(before, options.project)
    when = datetime.fromtimestamp(before).isoformat(" ", "minutes")
    if options.json:
        print(json.dumps({"dropped": dropped, "before": when}))
    else:
        whose = f" of {options.project}" if options.project else ""
        print(f"deleted {dropped} calls{whose} from before {when}")
    return 0


def _targets(begun: Start) -> dict[str, int]:
    return {name: tier.target_ms for name, tier in begun.settings.tiers.items()}


def _show(found: Report, since: str) -> None:
    console = Console(highlight=False)
    whose = f" for {found.project}" if found.project else ""
    if not any(sums.calls or sums.listed for sums in found.periods.values()):
        console.print(Text(EMPTY if not found.project else f"No calls{whose}."))
        return
    console.print(Text(f"Tokens your agents did not have to read{whose}", "bold"))
    console.print(_periods(found.periods), "")
    if found.steps:
        console.print(Text(f"Saved by {found.unit} ({since})", "bold"))
        console.print(_bars(found.steps[-BARS:]), "")
    for kind, groups in (
        ("project", found.projects), ("tool", found.tools), ("agent", found.agents), ("tier", found.tiers)
    ):  # fmt: skip
        console.print(_groups(kind, groups), "")
    console.print(_latency(found.latency))


def _periods(periods: Mapping[str, Sums]) -> Table:
    table = _table("", *({"7d": "7 days"}.get(name, name) for name in periods))
    rows = (
        ("calls", [f"{sums.calls:,}" for sums in periods.values()]),
        ("  failed", [f"{sums.failed:,}" for sums in periods.values()]),
        ("  from the cache", [f"{sums.cached:,}" for sums in periods.values()]),
        ("tokens read here", [f"{sums.read:,}" for sums in periods.values()]),
        ("- calls, answers, definitions", [f"{sums.spent:,}" for sums in periods.values()]),
    )
    for name, cells in rows:
        table.add_row(name, *cells)
    table.add_row(Text("= saved", "bold"), *(_amount(sums.saved, "bold") for sums in periods.values()))
    return table


def _bars(steps: Iterable[Step]) -> Table:
    steps = tuple(steps)
    longest = max((abs(step.saved) for step in steps), default=0)
    table = Table("", "", "", "", box=None, show_header=False, pad_edge=False)
    table.columns[1].justify = table.columns[3].justify = "right"
    for step in steps:
        calls = f"{step.calls} calls" if step.calls != 1 else "1 call"
        start = step.start.replace("T", " ") + (":00" if "T" in step.start else "")
        saved = _amount(step.saved) if step.calls or step.saved else ""
        table.add_row(start, saved, _bar(step.saved, longest), calls if step.calls else "")
    return table


def _groups(kind: str, groups: Mapping[str, Sums]) -> Table:
    longest = max((abs(sums.saved) for sums in groups.values()), default=0)
    table = _table(f"by {kind}", "calls", "failed", "read", "spent", "saved")
    table.add_column("")
    for name, sums in groups.items():
        cells = [f"{number:,}" for number in (sums.calls, sums.failed, sums.read, sums.spent)]
        table.add_row(Text(name), *cells, _amount(sums.saved), _bar(sums.saved, longest))
    return table


def _latency(tiers: Iterable[Latency]) -> Table:
    table = _table("latency", "calls", "p50", "p95", "target", "within")
    for tier in tiers:
        if not tier.calls:
            table.add_row(tier.tier, "0", "-", "-", f"{tier.target_ms:,} ms", "-")
            continue
        late = "" if tier.p50_ms <= tier.target_ms else "yellow"
        cells = [f"{ms:,} ms" for ms in (tier.p50_ms, tier.p95_ms, tier.target_ms)]
        table.add_row(tier.tier, f"{tier.calls:,}", Text(cells[0], late), *cells[1:], f"{tier.within:.0%}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, pad_edge=False, header_style="bold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _amount(tokens: int, style: str = "") -> Text:
    """Returns the number as text, losses in red."""
    return Text(f"{tokens:,}", f"{style} red" if tokens < 0 else style)


def _bar(tokens: int, longest: int) -> Text:
    length = BAR * abs(tokens) / longest if longest else 0
    eighths = round(length * 8)
    bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return Text(bar, "red" if tokens < 0 else "green")
