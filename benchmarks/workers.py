"""Measures requests per second of ``/v1`` with one and with several worker processes.

    python -P -m benchmarks.workers [--workers 2] [--callers 16] [--runs 5]

The upstream is that of ``benchmarks/upstream.py``; one worker and several alternate run by run. Callers and
upstream run on the same machine and need CPU too: the last columns show how much, and what all processes
together could reach at most on its cores, with callers that wait for the upstream's constant time.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.callers import Target, latencies
from benchmarks.overhead import SCRIPT, upstream, url_of
from benchmarks.processes import clean_environment, free_port, precise_cpu_s, running
from benchmarks.upstream import DELAY_S

REQUESTS = 3200
"""Requests of a run."""


@dataclass(frozen=True, slots=True)
class Run:
    per_second: float
    server_us: float
    """CPU of all server processes for a request, in microseconds."""
    busiest: float
    """Share of a core that the busiest server process used."""
    others_us: float
    """CPU of callers and upstream for a request, in microseconds."""


@asynccontextmanager
async def served(
    folder: Path, upstream: int, workers: int, callers: int
) -> AsyncGenerator[tuple[Target, list[int]]]:
    """Yields the target and the server's processes."""
    port = free_port()
    environment = clean_environment(
        folder,
        LOCAL_LLM_ENGINE="vllm",
        LOCAL_LLM_VLLM__URL=url_of(upstream),
        LOCAL_LLM_LIMITS__CONCURRENCY=str(callers),
    )
    command = [str(SCRIPT), "serve", "--port", str(port), "--workers", str(workers)]
    async with running(command, port, "/ready", folder=folder, environment=environment) as pid:
        expected = workers if workers > 1 else 0
        while len(children := psutil.Process(pid).children()) < expected:  # noqa: ASYNC110 (no event crosses processes)
            await asyncio.sleep(0.05)
        yield Target(port), [pid, *(child.pid for child in children)]


async def measure(target: Target, pids: list[int], upstream: int, callers: int) -> Run:
    await latencies(target, callers, 20)
    before, others = [precise_cpu_s(pid) for pid in pids], precise_cpu_s(upstream) + time.process_time()
    begun = time.perf_counter()
    answered = len(await latencies(target, callers, REQUESTS // callers))
    seconds = time.perf_counter() - begun
    spent = [precise_cpu_s(pid) - cpu for pid, cpu in zip(pids, before, strict=True)]
    others = precise_cpu_s(upstream) + time.process_time() - others
    return Run(
        per_second=answered / seconds,
        server_us=sum(spent) / answered * 1e6,
        busiest=max(spent) / seconds,
        others_us=others / answered * 1e6,
    )


async def run(workers: int, runs: int, callers: int) -> dict[int, list[Run]]:
    found: dict[int, list[Run]] = {1: [], workers: []}
    with TemporaryDirectory() as scratch:
        async with AsyncExitStack() as stack:
            folder = Path(scratch)
            engine = await stack.enter_async_context(upstream(folder / "upstream"))
            port = engine.target.port
            servers = {
                count: await stack.enter_async_context(served(folder / str(count), port, count, callers))
                for count in found
            }
            for number in range(runs):
                for count, (target, pids) in servers.items():
                    found[count].append(await measure(target, pids, engine.pid, callers))
                print(f"{number + 1} of {runs}", file=sys.stderr, flush=True)
    return found


def table(found: dict[int, list[Run]], callers: int) -> str:
    cores = os.cpu_count() or 1
    lines = [
        "| workers | requests/s, best | median | CPU of the server per request, us | busiest process "
        "| CPU of callers and upstream per request, us | about at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for workers, runs in found.items():
        best = max(runs, key=lambda each: each.per_second)
        by_cpu = min(workers / best.server_us, cores / (best.server_us + best.others_us)) * 1e6
        bound = min(by_cpu, callers / DELAY_S)
        median = statistics.median(each.per_second for each in runs)
        lines.append(
            f"| {workers} | {best.per_second:,.0f} | {median:,.0f} | {best.server_us:,.0f} "
            f"| {best.busiest:.0%} | {best.others_us:,.0f} | {bound:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    found = asyncio.run(run(arguments.workers, arguments.runs, arguments.callers))
    print(table(found, arguments.callers))


if __name__ == "__main__":
    main()
