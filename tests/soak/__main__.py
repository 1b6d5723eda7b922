"""Soak test: three agents on the embedded engine during faults. ``python -m tests.soak --minutes 10``.

Every call must end in an answer or a typed error within its deadline; memory, threads, descriptors and
temporary files must stay level. Exits with 1 if that did not hold. Linux only; uses loopback only.
"""

import argparse
import json
import os
import random
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import Process

from engines.models import pull as models
from tests.engines import embedded
from tests.mcp_server.stdio.test_stdio import SCRIPT
from tests.serving import answering
from tests.soak.agents import AGENTS, DEADLINE_S, PROJECT, WORKERS, Ask, Outcomes, work
from tests.soak.samples import Sample, sample, thirds

EVERY_S = 1.0
"""Sampling interval."""
WARM_S = 10.0
"""Time without samples at the start, while caches fill."""
KILLS_S = (10.0, 30.0)
BAD_REQUESTS_S = (0.2, 1.5)
GROWTH = 1.15
"""Largest allowed ratio of the last third's memory to the first's."""
MORE = 4
"""Largest allowed growth of threads or descriptors: the number of running calls varies."""

NOTES = "\n".join(
    f"- case {number}: {'done' if number % 3 else 'open'}, printed twice" for number in range(40)
)


async def soak(minutes: float, seed: int) -> int:
    outcomes, samples, chance = Outcomes(), list[Sample](), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with serving(folder) as (process, url):
            until = anyio.current_time() + minutes * 60
            async with anyio.create_task_group() as group:
                group.start_soon(watch, process.pid, folder, samples, until)
                group.start_soon(kill, folder, outcomes, random.Random(seed + 1), until)
                group.start_soon(break_connections, url, outcomes, random.Random(seed + 2), until)
                for agent in AGENTS:
                    group.start_soon(keep_asking, agent(url), outcomes, random.Random(chance.random()), until)
            alive = process.returncode is None
        with suppress(ValueError):
            os.kill(embedded.process(folder / "run" / "local-llm-agent"), signal.SIGTERM)
        log = (folder / "serve.log").read_text()
    return report(outcomes, samples, log, alive=alive)


async def keep_asking(
    opening: AbstractAsyncContextManager[Ask], outcomes: Outcomes, chance: random.Random, until: float
) -> None:
    async with opening as ask, anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(work, ask, outcomes, random.Random(chance.random()), until)


async def watch(pid: int, folder: Path, samples: list[Sample], until: float) -> None:
    await anyio.sleep(WARM_S)
    while anyio.current_time() < until:
        samples.append(await anyio.to_thread.run_sync(sample, pid, engine_of(folder), folder))
        await anyio.sleep(EVERY_S)


def engine_of(folder: Path) -> int | None:
    try:
        return embedded.process(folder / "run" / "local-llm-agent")
    except (ValueError, OSError):
        return None


async def kill(folder: Path, outcomes: Outcomes, chance: random.Random, until: float) -> None:
    """Kills the engine's process at random intervals."""
    while anyio.current_time() < until:
        await anyio.sleep(min(chance.uniform(*KILLS_S), max(0.1, until - anyio.current_time())))
        if engine := engine_of(folder):
            with suppress(ProcessLookupError):
                os.kill(engine, signal.SIGKILL)
                outcomes.ends["engine killed"] += 1


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


CHAT = json.dumps(
    {"messages": [{"role": "user", "content": "Count to a thousand."}], "stream": True}
).encode()
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
async def serving(folder: Path) -> AsyncGenerator[tuple[Process, str]]:
    """Runs ``serve`` on the embedded engine with a home directory of its own."""
    project = folder / "project"
    for each in (project, folder / "tmp", folder / "run", folder / "local-llm-agent"):
        each.mkdir(mode=0o700)
    (project / "notes.txt").write_text(NOTES)
    (folder / "local-llm-agent" / "models").symlink_to(models.models_folder())
    config = folder / "config.toml"
    config.write_text(
        f'engine = "llamacpp"\nlimits.deadline_s = {DEADLINE_S}\nllamacpp.context = 8192\n'
        f'llamacpp.model = "{embedded.MODELS[0]}"\n'
        f"projects.{PROJECT}.paths = [{json.dumps(str(project))}]\n"
    )
    variables = {"XDG_CACHE_HOME": folder, "XDG_DATA_HOME": folder, "XDG_RUNTIME_DIR": folder / "run",
              "HOME": folder, "TMPDIR": folder / "tmp", "LOCAL_LLM_CONFIG": config}  # fmt: skip
    environment = {"PATH": os.environ["PATH"], **{name: str(path) for name, path in variables.items()}}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    url, command = f"http://127.0.0.1:{port}", [SCRIPT, "serve", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        async with await anyio.open_process(command, env=environment, cwd=folder, stderr=log) as process:
            try:
                await answering(url)
                yield process, url
            finally:
                process.terminate()


def report(outcomes: Outcomes, samples: list[Sample], log: str, *, alive: bool) -> int:
    seconds = sorted(outcomes.seconds) or [0.0]
    p50, p95 = (seconds[len(seconds) * part // 100] for part in (50, 95))
    print(
        f"{len(outcomes.seconds)} calls that were not cancelled: "
        f"p50 {p50:.2f} s, p95 {p95:.2f} s, longest {seconds[-1]:.2f} s"
    )
    for end, count in outcomes.ends.most_common():
        print(f"  {count:>6}  {end}")
    print(f"\n{'':<24}{'first third':>12}{'last third':>12}{'most':>12}")
    rows = thirds(samples)
    for name, first, last, most in rows:
        print(f"{name:<24}{first:>12.1f}{last:>12.1f}{most:>12.1f}")
    wrong = [*outcomes.wrong, *grown(rows)]
    wrong += [] if alive else ["the server has gone"]
    wrong += [line for line in log.splitlines() if line.startswith(("Traceback", "ERROR"))]
    print(
        "\n" + ("\n".join(wrong) or "every call ended in an answer or a typed error; everything stayed level")
    )
    return int(bool(wrong))


def grown(rows: list[tuple[str, float, float, float]]) -> list[str]:
    """Returns what did not stay level. Lock and state files may come and go with the engine."""
    return [
        f"{name}: {first:.1f} became {last:.1f}"
        for name, first, last, _ in rows
        if last > (first * GROWTH if "MiB" in name else first + MORE)
    ]


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    sys.exit(anyio.run(partial(soak, given.minutes, given.seed), backend_options={"use_uvloop": True}))
