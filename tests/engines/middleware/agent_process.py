"""A separate process that uses shared slots, started with its role, name, folder,
number of slots, pool of tokens and number of callers.

It prints ``ready``, and starts when it reads a line. A ``worker`` sends requests until the next line and
prints the times each request was at the engine; a ``holder`` acquires all slots and keeps them.
"""

import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Event, Request
from engines.middleware.admission import AdmittedEngine
from engines.middleware.slots import SharedSlots
from tests.engines.middleware.fakes import ask


class TimedEngine(ScriptedEngine):
    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[Event], None]:
        started = time.monotonic()
        async with super().stream(request) as events:
            yield events
        print(json.dumps([request.tags.tier, started, time.monotonic()]), flush=True)


async def work(slots: SharedSlots, callers: int) -> None:
    async def call(engine: AdmittedEngine, number: int) -> None:
        while True:
            await engine.complete(ask(tier="main" if number else "small", agent=sys.argv[2]))
            await anyio.sleep(0 if number else 0.05)

    async with AdmittedEngine(TimedEngine(pace=0.01), slots) as engine, anyio.create_task_group() as tasks:
        for number in range(callers):
            tasks.start_soon(call, engine, number)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()


def hold(slots: SharedSlots) -> None:
    with slots:
        while slots.acquire(80, common=True, reserved=True) is not None:
            pass
        print("held", flush=True)
        sys.stdin.readline()


def main() -> None:
    role, _, folder, count, pool, callers = sys.argv[1:]
    slots = SharedSlots(int(count), Path(folder), pool=float(pool))
    print("ready", flush=True)
    sys.stdin.readline()
    if role == "worker":
        anyio.run(work, slots, int(callers))
    else:
        hold(slots)


if __name__ == "__main__":
    main()
