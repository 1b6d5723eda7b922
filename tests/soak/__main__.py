"""Soak test: three agents on the embedded engine during faults. ``make soak``, by default for 30 minutes.

The agents' calls are answered by a capable model while callers cancel, connections break, the engine is
killed and, in the middle, the disk of ledger and cache is full. Every call must end in an answer or a typed
error within its deadline and be in the ledger once; memory, threads, descriptors and temporary files must
stay level; no process may stay behind. Exits with 1 if that did not hold. Linux only; uses loopback only; the
full disk needs root, who may mount one.
"""

import argparse
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import Process

from engines.models.catalogue import CATALOGUE
from tests.engines import embedded
from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.posix import KILL
from tests.serving import answering
from tests.soak.agents import AGENTS, DEADLINE_S, WORKERS, Outcomes, work
from tests.soak.home import IDLE_S, Home, home
from tests.soak.ledger import differences, rows
from tests.soak.samples import Sample, sample, thirds

EVERY_S = 1.0
"""Sampling interval."""
WARM_S = 20.0
"""Time without samples at the start, while caches fill."""
KILLS_S = (20.0, 60.0)
BAD_REQUESTS_S = (0.2, 1.5)
FULL = (0.45, 0.55)
"""When the disk is full, as shares of the time."""
GROWTH = 1.15
"""Largest allowed ratio of the last third's memory to the first's."""
MORE = 4
"""Largest allowed growth of threads or descriptors: the number of running calls varies."""
LEAVE_S = IDLE_S + 25.0
"""Time for the engine to see that it is idle and to exit."""


async def soak(minutes: float, model: str, seed: int) -> int:
    outcomes, samples, chance = Outcomes(), list[Sample](), random.Random(seed)
    with tempfile.TemporaryDirectory() as name, home(Path(name), model, DEADLINE_S) as user:
        async with serving(user) as (process, url):
            seconds = minutes * 60
            until = anyio.current_time() + seconds
            # The last calls end by their deadline.
            with anyio.fail_after(seconds + 2 * DEADLINE_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(watch, process.pid, user, samples, until)
                    group.start_soon(kill, user, outcomes, random.Random(seed + 1), until)
                    group.start_soon(break_connections, url, outcomes, random.Random(seed + 2), until)
                    group.start_soon(fill_disk, user, outcomes, seconds)
                    for agent in AGENTS:
                        group.start_soon(keep_asking, agent, user, url, outcomes, chance.random(), until)
            alive = process.returncode is None
        found = rows(user.data)
        wrong = [] if alive else ["the server has gone"]
        wrong += [*differences(found, outcomes.ended, outcomes.cancelled), *await left_behind(user)]
        logs = "".join(file.read_text(errors="replace") for file in user.folder.glob("*.log"))
    wrong += [line for line in logs.splitlines() if line.startswith(("Traceback", "ERROR"))]
    return report(outcomes, found.by_agent, samples, wrong)


async def keep_asking(
    agent: str, user: Home, url: str, outcomes: Outcomes, seed: float, until: float
) -> None:
    chance = random.Random(seed)
    async with AGENTS[agent](user, url) as ask, anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(work, agent, ask, outcomes, random.Random(chance.random()), until)


async def watch(server: int, user: Home, samples: list[Sample], until: float) -> None:
    await anyio.sleep(WARM_S)
    stdio = await anyio.to_thread.run_sync(user.process_of, "stdio")
    while anyio.current_time() < until:
        take = partial(sample, server, engine_of(user), user.folder, stdio)
        samples.append(await anyio.to_thread.run_sync(take))
        await anyio.sleep(EVERY_S)


def engine_of(user: Home) -> int | None:
    try:
        return embedded.process(user.runtime)
    except (ValueError, OSError):
        return None


async def kill(user: Home, outcomes: Outcomes, chance: random.Random, until: float) -> None:
    """Kills the engine's process at random intervals."""
    while anyio.current_time() < until:
        await anyio.sleep(min(chance.uniform(*KILLS_S), max(0.1, until - anyio.current_time())))
        if engine := engine_of(user):
            with suppress(ProcessLookupError):
                os.kill(engine, KILL)
                outcomes.ends["engine killed"] += 1


async def fill_disk(user: Home, outcomes: Outcomes, seconds: float) -> None:
    """Fills the disk in the middle of the time, and frees it again."""
    first, last = FULL
    if not user.has_disk:
        return
    await anyio.sleep(first * seconds)
    await anyio.to_thread.run_sync(user.fill)
    before = outcomes.ended.total()
    await anyio.sleep((last - first) * seconds)
    user.free()
    outcomes.ends["ended while the disk was full"] += outcomes.ended.total() - before


async def left_behind(user: Home) -> list[str]:
    """Returns the processes that do not exit after the servers have, and ends them."""
    with anyio.move_on_after(LEAVE_S):
        while await anyio.to_thread.run_sync(user.processes):  # noqa: ASYNC110 (no event crosses processes)
            await anyio.sleep(0.5)
    wrong: list[str] = []
    for process in await anyio.to_thread.run_sync(user.processes):
        wrong.append(f"left behind: {process}")
        process.kill()
    return wrong


async def break_connections(url: str, outcomes: Outcomes, chance: random.Random, until: float) -> None:
    """Opens connections that break off, send nothing or send invalid HTTP."""
    host, port = url.removeprefix("http://").split(":")
    while anyio.current_time() < until:
        with suppress(OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream):
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send(chance.choice(BAD_REQUESTS))
                with anyio.move_on_after(chance.uniform(0.01, 0.5)):
                    await stream.receive()
                raw: socket.socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", chance.randrange(2), 0))
        outcomes.ends["broken connection"] += 1
        await anyio.sleep(chance.uniform(*BAD_REQUESTS_S))


CHAT = b'{"messages": [{"role": "user", "content": "Count to a thousand."}], "stream": true}'
BAD_REQUESTS = (
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /mcp HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
    b'POST /mcp/tools/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"prompt"',
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000,
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(CHAT) + CHAT,
    b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
)


@asynccontextmanager
async def serving(user: Home) -> AsyncGenerator[tuple[Process, str]]:
    """Runs ``serve`` for ``user``."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    url, command = f"http://127.0.0.1:{port}", [SCRIPT, "serve", "--port", str(port)]
    with (user.folder / "serve.log").open("wb") as log:
        async with await anyio.open_process(
            command, env=user.environment, cwd=user.folder, stdout=subprocess.DEVNULL, stderr=log
        ) as process:
            try:
                await answering(url)
                yield process, url
            finally:
                process.terminate()


def report(outcomes: Outcomes, in_ledger: Counter[str], samples: list[Sample], wrong: list[str]) -> int:
    seconds = sorted(outcomes.seconds) or [0.0]
    p50, p95 = (seconds[len(seconds) * part // 100] for part in (50, 95))
    print(f"calls that were waited for: p50 {p50:.2f} s, p95 {p95:.2f} s, longest {seconds[-1]:.2f} s")
    print(f"\n{'agent':<24}{'ended':>12}{'cancelled':>12}{'in ledger':>12}")
    for agent in AGENTS:
        print(f"{agent:<24}{outcomes.ended[agent]:>12}{outcomes.cancelled[agent]:>12}{in_ledger[agent]:>12}")
    print()
    for end, count in outcomes.ends.most_common():
        print(f"{end:<36}{count:>12}")
    print(f"\n{'':<24}{'first third':>12}{'last third':>12}{'most':>12}")
    table = thirds(samples)
    for name, first, last, most in table:
        print(f"{name:<24}{first:>12.1f}{last:>12.1f}{most:>12.1f}")
    wrong = [*outcomes.wrong, *wrong, *grown(table)]
    print("\n" + ("\n".join(wrong) or GOOD))
    return int(bool(wrong))


GOOD = (
    "every call ended in an answer or a typed error and is in the ledger once; everything stayed level; "
    "no process stayed behind"
)


def grown(table: list[tuple[str, float, float, float]]) -> list[str]:
    """Returns what did not stay level. Lock and state files may come and go with the engine."""
    return [
        f"{name}: {first:.1f} became {last:.1f}"
        for name, first, last, _ in table
        if last > (first * GROWTH if "MiB" in name else first + MORE)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--model",
        default="qwen2.5-coder-1.5b",
        choices=[card.name for card in CATALOGUE.values() if card.kind == "chat"],
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run = partial(soak, given.minutes, given.model, given.seed)
    try:
        return anyio.run(run, backend_options={"use_uvloop": True})
    except KeyboardInterrupt:
        print("interrupted: the servers were stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
