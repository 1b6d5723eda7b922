"""``make bench``: the numbers of docs/design.md, measured, as docs/performance.md; and their check.

    python -P -m benchmarks [--peers] [--check]

``--check`` measures overhead and start-up anew and compares their ratios to the floor of the same run with
those kept in ``performance.json``; 20 % worse is an error. Only ``--peers`` asks a network, for pip and npm.
"""

import argparse
import asyncio
import json
import platform
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import overhead, start, tools
from benchmarks.plot import bars
from benchmarks.upstream import PIECES

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
KEPT = HERE / "performance.json"
WORSE = 1.2
"""Times the kept ratio, from where on a change is one."""

TEXT = """# Performance

Made by `make bench` (with LiteLLM and Portkey: `make bench-peers`); do not edit by hand. {machine}

## /v1: what we add to the engine's time

The upstream answers after 5 ms, the whole of its {pieces} pieces at once; for the last three columns the
pieces follow one another every 2 ms. All contenders pass the same requests, each different from all others,
in {runs} runs whose order rotates; medians, milliseconds where nothing else is said. Ours runs as users have
it, one worker, with cache, ledger and metrics on, and 16 places at the engine. *Bare pass-through* is
Starlette and aiohttp handing on bytes.

{overhead}

![What is added to the engine's time](performance-added.svg)
![Requests per second](performance-throughput.svg)

*Added* is what a user waits longer than without a gateway: beside an answer that takes a second it is not
felt. Requests per second say how many agents one process can serve. As ratios to the bare pass-through of
the same run, and of start-up to the bare server: {ratios}.

## Start-up and memory

A stdio server spawned {spawns} times in turn with a bare server of four tools on the same SDK; medians.

{start}

A host that does not wait sees our tools at its first turn: the handshake and `tools/list` are answered before
the SDK is imported. `serve` answers `/ready` after {ready:.0f} ms. The first call of a new process takes
{cold:.0f} ms when the embedded engine must be started for it, and {warm:.0f} ms when another process left it
running.

## Tools

What a call adds: the scripted engine answers at once, so all of this time is ours (texts of up to 1 KB, p50
of {calls} calls).

{added}

What one call is worth against many. The chats name the labels and are constrained to them; {chats} are asked
and counted as {items}.

{worth}

The second summary comes from the cache: a repeated question costs next to nothing.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    runs: overhead.Runs
    starts: start.Starts


async def basics(*, with_peers: bool = False) -> Measured:
    """What ``--check`` compares."""
    return Measured(await overhead.run(with_peers=with_peers), await start.starts())


def ratios(found: Measured) -> dict[str, float]:
    all_of_them = overhead.ratios(found.runs) | start.ratios(found.starts)
    return {what: round(ratio, 3) for what, ratio in all_of_them.items()}


def check() -> int:
    """1 if a ratio is worse than the kept one by a fifth."""
    kept: Mapping[str, float] = json.loads(KEPT.read_text(encoding="utf-8"))["ratios"]
    found = ratios(asyncio.run(basics()))
    worse = [what for what, ratio in found.items() if ratio > kept[what] * WORSE]
    for what, ratio in found.items():
        change = "worse" if what in worse else "better" if ratio * WORSE < kept[what] else "as kept"
        print(f"{what}: {ratio:.3f} times the floor, kept {kept[what]:.3f}: {change}")
    return 1 if worse else 0


def machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo")), 0) / 2**20
    return f"Machine: {model}, {cores} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, " \
           f"Python {platform.python_version()}."  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


async def measured(*, with_peers: bool) -> None:
    """Everything, written."""
    added = await tools.added()
    memory = await start.memory()
    ready = await start.to_ready()
    cold, warm = await start.first_calls()
    found = await basics(with_peers=with_peers)
    worth = [await tools.worth(engine) for engine in tools.engines_here()]
    compared = ratios(found)
    page = TEXT.format(
        machine=machine(),
        pieces=PIECES,
        runs=len(found.runs[overhead.OURS]),
        overhead=overhead.table(found.runs),
        ratios=", ".join(f"{what} {ratio:.2f}" for what, ratio in compared.items()),
        spawns=len(found.starts[start.OURS]),
        start=start.table(found.starts, memory),
        ready=ready,
        cold=cold,
        warm=warm,
        calls=tools.CALLS,
        chats=tools.CHATS,
        items=tools.ITEMS,
        added=tools.added_table(added),
        worth=tools.worth_table(worth),
    )
    print(page)
    (DOCS / "performance.md").write_text(page, encoding="utf-8")
    _plots(found.runs)
    figures = {name: asdict(overhead.medians(several)) for name, several in found.runs.items()}
    kept = {"ratios": compared, "medians": figures, "worth": [asdict(w) for w in worth]}
    KEPT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _plots(runs: overhead.Runs) -> None:
    added = {name: statistics.median(overhead.added(runs, name)) for name in runs if name != overhead.DIRECT}
    rates = {name: overhead.medians(several).per_second for name, several in runs.items()}
    for file, title, values, unit in (
        ("added", "Added to the engine's time, one caller, p50", added, "ms"),
        ("throughput", "Requests per second, 16 callers, one worker", rates, "/s"),
    ):
        picture = bars(title, values, unit=unit, ours=overhead.OURS)
        (DOCS / f"performance-{file}.svg").write_text(picture, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true", help="LiteLLM and Portkey too, installed first")
    parser.add_argument("--check", action="store_true", help="compare with the kept ratios, write nothing")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    asyncio.run(measured(with_peers=arguments.peers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
