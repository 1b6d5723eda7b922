"""``make bench``: measures the targets of docs/design.md, writes docs/performance.md, checks for slowdowns.

    python -P -m benchmarks [--peers] [--only overhead] [--check]
    python -P -m benchmarks --only sweep

Figures are stored in ``performance.json`` and the page is made from them, so a part can be measured alone.
``--check`` measures overhead and start-up again and compares their ratios to the baseline of the same run
with the stored ones; 20 % worse is an error. The sweep of the embedded engine's settings takes longest and
runs only when it is named. Only ``--peers`` uses a network, for pip and npm.
"""

import argparse
import asyncio
import json
import math
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio

from benchmarks import embedded, layers, overhead, start, targets, tools
from benchmarks.plot import bars
from benchmarks.upstream import PIECES

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
KEPT = HERE / "performance.json"
WORSE = 1.2
"""Factor to the stored ratio from which on a change is an error."""

TEXT = """# Performance

Made by `make bench` (with LiteLLM and Portkey: `make bench-peers`); do not edit by hand.

{machine}

## Targets

{targets}

The table of layers below explains where `/v1` misses its targets. The bare pass-through of the same run adds
{floor:.2f} ms too; the rest, and the limit on requests a second, is Python work per request, of which the
dispatcher has the largest part, a third.

## /v1: what we add to the engine's time

The upstream answers after 5 ms with all {pieces} chunks at once; for the last three columns the chunks follow
one another every 2 ms. All contenders pass the same requests, each different from all others, in {runs} runs
whose order rotates; medians, in milliseconds unless noted. Ours runs as users have it, one worker, with
cache, ledger and metrics on, and 16 slots at the engine. *Bare pass-through* is Starlette and aiohttp passing
bytes through.

{overhead}

![What is added to the engine's time](performance-added.svg)
![Requests per second](performance-throughput.svg)

*Added* is how much longer a user waits than without a gateway. Requests per second show how many agents one
process can serve. Empty: not measured (Portkey answers streams over a custom host with an error). As
ratios to the bare pass-through of the same run, and of start-up to the bare server: {ratios}.

CPU of each layer: the same request to each layer in turn, in one process without an HTTP server
(`benchmarks/layers.py`), CPU of the event loop's thread, medians of {rounds} rounds.

{layers}

The wire reads an answer as a stream even where the caller wants it whole, {pieces} chunks here: this shows
whether an engine works or hangs, and a disconnect stops it. Admission takes a slot with a kernel lock that
other processes see. The cache computes a key, looks it up, and stores the answer. The dispatcher validates,
routes, writes the receipt, and counts tokens: a third of its part, as the counter's tables do not stay in the
processor's cache from one request to the next. The threads that write the cache and the ledger are not
included. Nor is the cost for a caller with less than one request a second: the cache's file is then checked
for each new request, which takes some 0.6 ms.

## Start-up and memory

A stdio server spawned {spawns} times in turn with a bare server of four tools on the same SDK; medians.

{start}

A host that does not wait gets our tools in its first turn: the handshake and `tools/list` are answered before
the SDK is imported. `serve` answers `/ready` after {ready:.0f} ms. The first call of a new process takes
{cold:.0f} ms when the embedded engine must be started for it, and {warm:.0f} ms when another process left it
running.

## Tools

Time a call adds to its engine's, with the scripted engine, which answers at once except for checking a schema
and sending its answer word by word (texts of up to 1 KB, p50 of {calls} calls). A call of the bare server's
chat, which returns its prompt, takes {bare:.2f} ms: the rest is reading, counting tokens, routing, checking
the answer and the receipt.

{added}

One call for many items against many calls. The chats name the labels and are constrained to them; {chats} are
timed and extrapolated to {items}.

{worth}

The second summary comes from the cache: a repeated question costs next to nothing. A model this small does
not write summaries: embeddings choose the text's own sentences, or code alone where an engine has none.

## Embedded engine: tokens per second

The same prompts, each of random words that miss every cache, in turn to `serve` with its embedded engine and
to a bare llama.cpp server: that library's defaults, our context, slots and spin count. {answer} answer tokens
at most; medians of {embedded_rounds} rounds, ratios within a round. Prompt tokens count until the first chunk
of text arrives, answer tokens from the first chunk to the last.

{embedded}

Both compute with the same code and settings, so the ratio is the cost of our processes: a request is checked,
routed and counted before the engine gets it, and each chunk of the answer passes one more process. The engine
uses all cores while it computes a token, so this work takes time from the engine.

Other settings of the bare server, each in a process of its own; prompt and answer tokens a second and memory,
medians of {sweep_rounds} alternating rounds (`python -P -m benchmarks --only sweep`, not part of `make
bench`). The first row has our settings, except for our smaller prompt cache. With *busy cores* another
process keeps each core busy.

{sweep}
"""


PARTS = ("overhead", "layers", "start", "tools", "embedded")
SWEEP = "sweep"
Kept = dict[str, Any]
"""Stored figures: part -> fields of the dataclasses that the part measures."""


async def _overhead(*, with_peers: bool, runs: int) -> Kept:
    found = await overhead.run(runs, with_peers=with_peers)
    return {name: [_numbers(asdict(figures)) for figures in several] for name, several in found.items()}


def _numbers(figures: Kept) -> Kept:
    """Drops NaN, which JSON cannot hold and which means not measured."""
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


async def _start() -> Kept:
    memory = await start.memory()
    ready = await start.to_ready()
    cold, warm = await start.first_calls()
    found = await start.starts()
    return {
        "starts": {name: [asdict(each) for each in several] for name, several in found.items()},
        "memory": {name: asdict(held) for name, held in memory.items()},
        "ready": ready,
        "cold": cold,
        "warm": warm,
    }


async def _tools() -> Kept:
    added = await tools.added()
    return {
        "added": asdict(added),
        "worth": [asdict(await tools.worth(engine)) for engine in tools.engines_here()],
    }


def runs_of(kept: Kept) -> overhead.Runs:
    contenders: Mapping[str, list[Kept]] = kept["overhead"]
    return {
        name: [
            overhead.Figures(**{k: math.nan if v is None else v for k, v in each.items()}) for each in several
        ]
        for name, several in contenders.items()
    }


def starts_of(kept: Kept) -> start.Starts:
    spawned: Mapping[str, list[Kept]] = kept["start"]["starts"]
    return {name: [start.Start(**each) for each in several] for name, several in spawned.items()}


def ratios(runs: overhead.Runs, starts: start.Starts) -> dict[str, float]:
    return overhead.ratios(runs) | start.ratios(starts)


def check() -> int:
    """Returns 1 if a ratio is 20 % worse than the stored one in two runs: single runs vary by as much."""
    kept: Kept = json.loads(KEPT.read_text(encoding="utf-8"))
    before = ratios(runs_of(kept), starts_of(kept))
    found = _measured_now()
    if _worse(found, before):
        again = _measured_now()
        found = {what: min(ratio, again[what]) for what, ratio in found.items()}
    worse = _worse(found, before)
    for what, ratio in found.items():
        change = "worse" if what in worse else "better" if ratio * WORSE < before[what] else "as kept"
        print(f"{what}: {ratio:.3f} times the floor, kept {before[what]:.3f}: {change}")
    return 1 if worse else 0


def _measured_now() -> dict[str, float]:
    return ratios(asyncio.run(overhead.run()), asyncio.run(start.starts()))


def _worse(found: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    return [what for what, ratio in found.items() if ratio > before[what] * WORSE]


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


def measured(parts: Sequence[str], *, with_peers: bool, runs: int) -> None:
    """Measures ``parts`` and stores their figures."""
    kept: Kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if "tools" in parts:
        # On the server's event loop: the engine's own time depends on it.
        kept["tools"] = anyio.run(_tools, backend_options={"use_uvloop": True})
    if "start" in parts:
        kept["start"] = asyncio.run(_start())
    if "overhead" in parts:
        kept["overhead"] = asyncio.run(_overhead(with_peers=with_peers, runs=runs))
    if "layers" in parts:
        kept["layers"] = asyncio.run(layers.measured())
    if "embedded" in parts:
        kept["embedded"] = embedded.kept_of(asyncio.run(embedded.measured()))
    if SWEEP in parts:
        kept[SWEEP] = embedded.kept_of(asyncio.run(embedded.sweep()))
    kept["machine"] = machine()
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def write() -> None:
    """Writes the page and its plots from the stored figures."""
    kept: Kept = json.loads(KEPT.read_text(encoding="utf-8"))
    runs, starts, asked = runs_of(kept), starts_of(kept), kept["tools"]
    memory = {name: start.Memory(**held) for name, held in kept["start"]["memory"].items()}
    added, worth = tools.Added(**asked["added"]), [tools.Worth(**each) for each in asked["worth"]]
    speeds, tried = embedded.speeds_of(kept["embedded"]), embedded.speeds_of(kept.get(SWEEP, {}))
    page = TEXT.format(
        machine=kept["machine"],
        targets=targets.table(targets.targets(runs, starts, memory, added, worth, speeds)),
        pieces=PIECES,
        runs=len(runs[overhead.OURS]),
        overhead=overhead.table(runs),
        floor=statistics.median(overhead.added(runs, overhead.FLOOR)),
        rounds=layers.ROUNDS,
        layers=layers.table(kept["layers"]),
        ratios="; ".join(f"{what}: {ratio:.2f}" for what, ratio in ratios(runs, starts).items()),
        spawns=len(starts[start.OURS]),
        start=start.table(starts, memory),
        ready=kept["start"]["ready"],
        cold=kept["start"]["cold"],
        warm=kept["start"]["warm"],
        calls=tools.CALLS,
        chats=tools.CHATS,
        items=tools.ITEMS,
        bare=asked["added"]["bare"],
        added=tools.added_table(added),
        worth=tools.worth_table(worth),
        answer=embedded.ANSWER,
        embedded_rounds=embedded.ROUNDS,
        embedded=embedded.table(speeds),
        sweep_rounds=embedded.SWEEP_ROUNDS,
        sweep=embedded.sweep_table(tried),
    )
    print(page)
    (DOCS / "performance.md").write_text(page, encoding="utf-8")
    _plots(runs)


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
    parser.add_argument("--peers", action="store_true", help="also LiteLLM and Portkey, installed first")
    parser.add_argument("--only", choices=(*PARTS, SWEEP), help="measure this part alone")
    parser.add_argument("--runs", type=int, default=overhead.RUNS, help="of the overhead")
    parser.add_argument("--check", action="store_true", help="compare with the stored ratios, write nothing")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    parts = [arguments.only] if arguments.only else PARTS
    measured(parts, with_peers=arguments.peers, runs=arguments.runs)
    if all(part in json.loads(KEPT.read_text(encoding="utf-8")) for part in PARTS):
        write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
