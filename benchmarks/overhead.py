"""Measures the overhead of gateways: ours, a bare pass-through, LiteLLM and Portkey.

    python -P -m benchmarks.overhead [--peers]

Every contender passes the same requests to the same upstream, which takes a constant time. The order of the
contenders rotates. What a contender adds is its time minus the upstream's in the same run; ratios are to
what the baseline (``benchmarks/passthrough.py``) adds in the same run.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.callers import Caller, Target, latencies, quantile
from benchmarks.peers import peers
from benchmarks.processes import clean_environment, free_port, precise_cpu_s, running

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).with_name("local-llm-agent")
DIRECT, BASELINE, OURS = "upstream itself", "bare pass-through", "local-llm-agent"

T = TypeVar("T")

RUNS = 5
WARM_UP = 50
ONE, EIGHT, SIXTEEN = 200, 40, 60
"""Requests of each caller, with one, eight and sixteen concurrent callers."""
STREAMS = 12
ADDED = {
    "p50": "added, 1 caller",
    "p50_of_8": "added, 8 callers",
    "first_token": "added to the first token",
}
"""Figures compared with the baseline, and their titles."""
CONCURRENCY = 16
"""Slots at the engine; the default of 4 is for an engine on this machine, not for a server that batches."""


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    target: Target
    pid: int
    streams: bool = True


@dataclass(frozen=True, slots=True)
class Figures:
    """One contender in one run, or the medians of its runs; milliseconds unless the name has a unit."""

    p50: float
    p95: float
    p99: float
    p50_of_8: float
    p95_of_8: float
    p99_of_8: float
    per_second: float
    cpu_us: float
    first_token: float
    chunk_us: float


@asynccontextmanager
async def upstream(folder: Path) -> AsyncGenerator[Contender]:
    port = free_port()
    command = [sys.executable, "-P", "-m", "benchmarks.upstream", str(port)]
    environment = clean_environment(folder, PYTHONPATH=str(ROOT))
    async with running(command, port, "/v1/models", folder=folder, environment=environment) as pid:
        yield Contender(DIRECT, Target(port), pid)


@asynccontextmanager
async def passthrough(folder: Path, upstream: int) -> AsyncGenerator[Contender]:
    port = free_port()
    command = [sys.executable, "-P", "-m", "benchmarks.passthrough", str(port), url_of(upstream)]
    environment = clean_environment(folder, PYTHONPATH=str(ROOT))
    async with running(command, port, "/v1/models", folder=folder, environment=environment) as pid:
        yield Contender(BASELINE, Target(port), pid)


@asynccontextmanager
async def ours(folder: Path, upstream: int) -> AsyncGenerator[Contender]:
    """Runs our server as users do, with cache, ledger and metrics on."""
    port = free_port()
    environment = clean_environment(
        folder,
        LOCAL_LLM_ENGINE="vllm",
        LOCAL_LLM_VLLM__URL=url_of(upstream),
        LOCAL_LLM_LIMITS__CONCURRENCY=str(CONCURRENCY),
    )
    command = [str(SCRIPT), "serve", "--port", str(port)]
    async with running(command, port, "/ready", folder=folder, environment=environment) as pid:
        yield Contender(OURS, Target(port), pid)


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


async def measure(contender: Contender) -> Figures:
    target = contender.target
    await latencies(target, 1, WARM_UP)
    one = await latencies(target, 1, ONE)
    eight = await latencies(target, 8, EIGHT)
    cpu, begun = precise_cpu_s(contender.pid), time.perf_counter()
    answered = len(await latencies(target, 16, SIXTEEN))
    seconds = time.perf_counter() - begun
    cpu = precise_cpu_s(contender.pid) - cpu
    first_token, chunk_us = await _streams(target) if contender.streams else (math.nan, math.nan)
    return Figures(
        *(quantile(one, share) * 1000 for share in (0.5, 0.95, 0.99)),
        *(quantile(eight, share) * 1000 for share in (0.5, 0.95, 0.99)),
        per_second=answered / seconds,
        cpu_us=cpu / answered * 1e6,
        first_token=first_token,
        chunk_us=chunk_us,
    )


async def _streams(target: Target) -> tuple[float, float]:
    """Returns milliseconds to the first chunk of text, and the transit time of the others in microseconds."""
    caller = await Caller.open(target)
    streams = [await caller.stream() for _ in range(STREAMS)]
    caller.close()
    chunks = [delay for stream in streams for delay in stream.delays_s[1:]]
    return statistics.median(stream.first_s for stream in streams) * 1000, statistics.median(chunks) * 1e6


Runs = dict[str, list[Figures]]


async def run(runs: int = RUNS, *, with_peers: bool = False) -> Runs:
    """Measures every contender, run by run."""
    found: Runs = {}
    with TemporaryDirectory() as scratch:
        async with AsyncExitStack() as stack:
            folder = Path(scratch)
            engine = await stack.enter_async_context(upstream(folder / "upstream"))
            port = engine.target.port
            contenders = [
                engine,
                await stack.enter_async_context(passthrough(folder / "passthrough", port)),
                await stack.enter_async_context(ours(folder / "ours", port)),
            ]
            if with_peers:
                for peer in peers():
                    target, pid = await stack.enter_async_context(peer.started(folder / peer.name, port))
                    contenders.append(Contender(peer.name, target, pid, peer.streams))
            for number in range(runs):
                for contender in rotated(contenders, number):
                    found.setdefault(contender.name, []).append(await measure(contender))
                    print(f"{number + 1} of {runs}: {contender.name}", file=sys.stderr, flush=True)
    return found


def rotated(contenders: Sequence[T], by: int) -> Sequence[T]:
    start = by % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def medians(several: Sequence[Figures]) -> Figures:
    columns = zip(*(asdict(figures).values() for figures in several), strict=True)
    return Figures(*(statistics.median(column) for column in columns))


def added(runs: Runs, name: str, what: str = "p50") -> list[float]:
    """Returns the difference of ``name`` to the upstream itself, run by run."""
    return [getattr(a, what) - getattr(b, what) for a, b in zip(runs[name], runs[DIRECT], strict=True)]


def ratios(runs: Runs) -> dict[str, float]:
    """Returns the median over runs of our ratio to the baseline; more is worse."""
    pairs = list(zip(runs[OURS], runs[BASELINE], strict=True))
    over = {what: zip(added(runs, OURS, what), added(runs, BASELINE, what), strict=True)
            for what in ADDED}  # fmt: skip
    return {
        **{ADDED[what]: statistics.median(a / b for a, b in found) for what, found in over.items()},
        "time per request, 16 callers": statistics.median(b.per_second / a.per_second for a, b in pairs),
        "CPU per request": statistics.median(a.cpu_us / b.cpu_us for a, b in pairs),
    }


def table(runs: Runs) -> str:
    lines = [
        "| | p50 | p95 | p99 | added p50 | 8 callers: p50 | p95 | p99 | requests/s, 16 callers "
        "| CPU per request, us | first token | added | delay of a chunk, us |",
        "|---|" + "---|" * 12,
    ]
    for name, several in runs.items():
        m = medians(several)
        over, first = (
            statistics.median(added(runs, name, what)) if name != DIRECT else math.nan
            for what in ("p50", "first_token")
        )
        cells = [_shown(each) for each in (m.p50, m.p95, m.p99, over, m.p50_of_8, m.p95_of_8, m.p99_of_8)]
        cells += [f"{m.per_second:,.0f}", f"{m.cpu_us:,.0f}", _shown(m.first_token), _shown(first)]
        lines.append(f"| {' | '.join([name, *cells, _shown(m.chunk_us, 0)])} |")
    return "\n".join(lines)


def _shown(value: float, digits: int = 2) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true", help="also LiteLLM and Portkey, installed first")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--keep", type=Path, help="a JSON file for the figures of each run")
    arguments = parser.parse_args()
    found = asyncio.run(run(arguments.runs, with_peers=arguments.peers))
    print(table(found))
    print(json.dumps(ratios(found), indent=2))
    if arguments.keep:
        kept = {name: [asdict(figures) for figures in several] for name, several in found.items()}
        arguments.keep.write_text(json.dumps(kept, indent=1) + os.linesep)


if __name__ == "__main__":
    main()
