"""Measures start-up and memory against a bare server on the same SDK, spawned in turn with ours.

python -P -m benchmarks.start
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.host import Host, hosted
from benchmarks.overhead import ROOT, SCRIPT
from benchmarks.processes import clean_environment, free_port, precise_cpu_s, rss_mib, running
from mcp_server.folders import folders

SPAWNS = 15
SERVES = 5
CALLS = 1_000
OURS, BARE = "local-llm-agent", "bare SDK server"
IDLE_S = 5
"""Idle time after which the embedded engine of a cold start exits."""


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds since the process was spawned."""

    first_answer: float
    tools_list: float
    cpu: float
    """CPU time until ``tools/list`` is answered."""


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a stdio process."""

    idle: float
    after_calls: float


Starts = dict[str, list[Start]]


def commands(scratch: Path) -> Mapping[str, tuple[Sequence[str], Mapping[str, str]]]:
    ours = clean_environment(scratch / "ours", LOCAL_LLM_ENGINE="scripted")
    bare = clean_environment(scratch / "bare", PYTHONPATH=str(ROOT))
    return {
        OURS: ([str(SCRIPT), "stdio"], ours),
        BARE: ([sys.executable, "-P", "-m", "benchmarks.bare"], bare),
    }


async def starts(spawns: int = SPAWNS) -> Starts:
    """Spawns each in turn ``spawns`` times; the first of each fills the system's cache and is dropped."""
    found: Starts = {}
    with TemporaryDirectory() as scratch:
        for number in range(spawns + 1):
            for name, (command, environment) in commands(Path(scratch)).items():
                async with hosted(command, folder=Path(scratch, name), environment=environment) as host:
                    start = await _start(host)
                if number:
                    found.setdefault(name, []).append(start)
    return found


async def _start(host: Host) -> Start:
    await host.open()
    first = time.perf_counter() - host.begun
    await host.ask("tools/list")
    listed = time.perf_counter() - host.begun
    return Start(first * 1000, listed * 1000, precise_cpu_s(host.pid) * 1000)


async def memory(calls: int = CALLS) -> dict[str, Memory]:
    """Measures memory when idle, after the SDK has been loaded but before any call, and after calls."""
    found: dict[str, Memory] = {}
    with TemporaryDirectory() as scratch:
        for name, (command, environment) in commands(Path(scratch)).items():
            async with hosted(command, folder=Path(scratch, name), environment=environment) as host:
                await host.open()
                await host.ask("tools/list")
                await host.ask("ping")  # the first request answered by the SDK, after the handshake
                idle = rss_mib(host.pid)
                for number in range(calls):
                    await host.call("chat", {"prompt": f"Say {number}."})
                found[name] = Memory(idle, rss_mib(host.pid))
    return found


async def to_ready() -> float:
    """Returns the milliseconds from spawning ``serve`` until an engine answers through it."""
    times: list[float] = []
    with TemporaryDirectory() as scratch:
        for _ in range(SERVES):
            port, begun = free_port(), time.perf_counter()
            environment = clean_environment(Path(scratch), LOCAL_LLM_ENGINE="scripted")
            command = [str(SCRIPT), "serve", "--port", str(port)]
            async with running(command, port, "/ready", folder=Path(scratch), environment=environment):
                times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


async def first_calls() -> tuple[float, float]:
    """Returns the milliseconds to a new process's first answer, with the embedded engine down and up."""
    with TemporaryDirectory() as scratch:
        environment = clean_environment(
            Path(scratch),
            LOCAL_LLM_ENGINE="llamacpp",
            LOCAL_LLM_LLAMACPP__MODEL="smollm2-135m",
            LOCAL_LLM_LLAMACPP__IDLE_SECONDS=str(IDLE_S),
        )
        share_models(Path(environment["XDG_CACHE_HOME"], "local-llm-agent"))
        cold = await _first_call(Path(scratch), environment, "What is a lock file?")
        return cold, await _first_call(Path(scratch), environment, "What is a pipe?")


def share_models(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "models").symlink_to(folders().models)


async def _first_call(folder: Path, environment: Mapping[str, str], prompt: str) -> float:
    async with hosted([str(SCRIPT), "stdio"], folder=folder, environment=environment) as host:
        await host.open()
        await host.call("chat", {"prompt": prompt, "max_tokens": 8})
        return (time.perf_counter() - host.begun) * 1000


def medians(several: Sequence[Start]) -> Start:
    columns = zip(*(asdict(start).values() for start in several), strict=True)
    return Start(*(statistics.median(column) for column in columns))


def ratios(found: Starts) -> dict[str, float]:
    """Returns the median ratio of ours to the bare server spawned next to it; more is worse."""
    pairs = list(zip(found[OURS], found[BARE], strict=True))
    return {
        "CPU to tools/list": statistics.median(a.cpu / b.cpu for a, b in pairs),
        "time to tools/list": statistics.median(a.tools_list / b.tools_list for a, b in pairs),
    }


def table(found: Starts, memories: Mapping[str, Memory]) -> str:
    lines = [
        "| | first answer, ms | tools/list, ms | CPU to it, ms | idle, MiB | after 1,000 calls, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for name, several in found.items():
        m, held = medians(several), memories[name]
        lines.append(
            f"| {name} | {m.first_answer:.0f} | {m.tools_list:.0f} | {m.cpu:.0f} | {held.idle:.0f} "
            f"| {held.after_calls:.0f} |"
        )
    return "\n".join(lines)


async def main() -> None:
    found = await starts()
    print(table(found, await memory()))
    print(json.dumps(ratios(found), indent=2))
    cold, warm = await first_calls()
    print(f"serve to /ready {await to_ready():.0f} ms; first call cold {cold:.0f} ms, warm {warm:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
