"""Load test: three agents, twelve concurrent calls, one embedded engine; counts lost, late and unfair calls.

    python -P -m benchmarks.load --seconds 60

Each agent keeps four callers busy: three ask the main tier for long answers, one asks the small
tier for short ones. As a baseline, the run is repeated without the slot reserved for the small tier.
"""

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from engines.backends.llamacpp.engine import LlamaCppEngine
from engines.base import Tags
from engines.errors import AgentError
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import Slots
from engines.routing import Router
from engines.settings import Limits
from engines.tokens import LazyEstimator
from mcp_server.app import tiers_of
from mcp_server.folders import folders
from mcp_server.settings import Settings
from tests.tools.single_engine import SingleEngine
from tools.base import Call, Project
from tools.pipeline.dispatch import Dispatcher

AGENTS = ("claude", "gemini", "trae")
CALLERS = ("main", "main", "main", "small")
DEADLINE_S = 120.0


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    started: int = 0
    done: Counter[str] = field(default_factory=Counter[str])
    """Answered calls by agent."""
    failed: Counter[str] = field(default_factory=Counter[str])
    """Typed errors by code."""
    late: int = 0
    """Calls that ended after their deadline without an error."""
    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Seconds in the queue, by tier."""

    def waited(self, tags: Tags, seconds: float) -> None:
        self.waits.setdefault(tags.tier, []).append(seconds)

    @property
    def lost(self) -> int:
        return self.started - self.done.total() - self.failed.total()

    def share(self, agent: str) -> float:
        return self.done[agent] / max(1, self.done.total())

    def wait_p95_ms(self, tier: str) -> float:
        waits = self.waits.get(tier, [])
        return statistics.quantiles(waits, n=20)[-1] * 1000 if len(waits) > 1 else 0.0


@asynccontextmanager
async def dispatching(reserved: int, tally: Tally, runtime: Path) -> AsyncGenerator[Dispatcher]:
    """Yields the pipeline over the embedded engine, without cache; ``reserved`` slots for the small tier."""
    settings = Settings()
    limits = Limits()
    engine = LlamaCppEngine(settings.llamacpp, models_folder=folders().models, runtime_folder=runtime)
    slots = Slots(limits.concurrency, reserved=reserved, pool=settings.llamacpp.context)
    async with AdmittedEngine(engine, slots, queue=limits.queue, waited=tally.waited) as admitted:
        router = Router(tiers_of(settings), lambda tier: admitted)
        estimator = LazyEstimator(folders().cache / "tokens")
        yield Dispatcher(router, SingleEngine(admitted), estimator, deadline_s=DEADLINE_S)


async def run(seconds: float, reserved: int, runtime: Path) -> Tally:
    tally = Tally()
    async with dispatching(reserved, tally, runtime) as dispatcher:
        # Starts the engine, which is not measured.
        await dispatcher.run(Call("chat", {"prompt": "hello", "max_tokens": 1}))
        tally.waits.clear()
        until = time.monotonic() + seconds
        async with anyio.create_task_group() as group:
            for agent in AGENTS:
                for number, tier in enumerate(CALLERS):
                    group.start_soon(_keep_calling, dispatcher, tally, agent, tier, number, until)
    return tally


async def _keep_calling(
    dispatcher: Dispatcher, tally: Tally, agent: str, tier: str, number: int, until: float
) -> None:
    turn = 0
    while time.monotonic() < until:
        turn += 1
        tokens = 96 if tier == "main" else 8
        prompt = f"Write a {'story' if tier == 'main' else 'word'} about the number {turn}{number}."
        call = Call(
            "chat",
            {"prompt": prompt, "max_tokens": tokens, "tier": tier},
            Project(agent),
            agent,
            deadline_s=DEADLINE_S,
        )
        tally.started += 1
        begun = time.monotonic()
        try:
            await dispatcher.run(call)
            tally.done[agent] += 1
            tally.late += time.monotonic() - begun > DEADLINE_S
        except AgentError as error:
            tally.failed[error.code] += 1


def row(name: str, tally: Tally) -> dict[str, object]:
    return {
        "run": name,
        "calls": tally.started,
        "answered": tally.done.total(),
        "typed errors": dict(tally.failed),
        "lost": tally.lost,
        "late without error": tally.late,
        "shares": {agent: round(tally.share(agent), 3) for agent in AGENTS},
        "p95 wait ms": {tier: round(tally.wait_p95_ms(tier), 1) for tier in ("small", "main")},
    }


async def main(seconds: float) -> None:
    with TemporaryDirectory() as runtime:
        reserved = await run(seconds, 1, Path(runtime))
        unreserved = await run(seconds, 0, Path(runtime))
    for name, tally in (("one slot reserved for small", reserved), ("none reserved", unreserved)):
        print(json.dumps(row(name, tally)))
    ratio = reserved.wait_p95_ms("small") / max(0.001, unreserved.wait_p95_ms("small"))
    print(json.dumps({"p95 wait of small, one reserved / none reserved": round(ratio, 3)}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    anyio.run(main, parser.parse_args().seconds, backend_options={"use_uvloop": True})
