"""Eight requests at once against eight in a row, straight to vLLM and through our engine, in one run.

``python -m tests.vllm.throughput`` prints the figures. The base model is asked for stories, so that every
answer is as long as it may be; adapters that answer in one sentence would leave most places empty.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import anyio

from engines.base import complete
from tests.vllm import server
from tests.vllm.asking import ask
from tests.vllm.conftest import engine_at
from tests.vllm.server import Server
from tests.vllm.weights import BASE, prepare

TOKENS = 32
STORIES = [
    f"Tell me a long story about {hero}."
    for hero in ("a fox", "a ship", "a king", "the sea", "a robot", "two cats", "a town", "winter")
]

JSON = {"content-type": "application/json"}

Put = Callable[[str], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Ratio:
    in_a_row_s: float
    at_once_s: float

    @property
    def times(self) -> float:
        return self.in_a_row_s / self.at_once_s


async def compare(at: Server, *, rounds: int = 3) -> tuple[Ratio, Ratio]:
    """The bare server's ratio and ours, each the median of ``rounds`` taken in turn."""
    bare: list[Ratio] = []
    ours: list[Ratio] = []
    async with aiohttp.ClientSession(f"{at.url}/") as session, engine_at(at) as engine:

        async def straight(story: str) -> None:
            message = {"role": "user", "content": story}
            body = {"model": BASE, "messages": [message], "max_tokens": TOKENS, "temperature": 0}
            async with session.post("chat/completions", data=json.dumps(body), headers=JSON) as answer:
                answer.raise_for_status()
                await answer.read()

        async def through(story: str) -> None:
            await complete(engine, ask(story, max_tokens=TOKENS))

        await measure(straight)
        for _ in range(rounds):
            bare.append(await measure(straight))
            ours.append(await measure(through))
    return typical(bare), typical(ours)


async def measure(put: Put) -> Ratio:
    began = anyio.current_time()
    for story in STORIES:
        await put(story)
    between = anyio.current_time()
    async with anyio.create_task_group() as together:
        for story in STORIES:
            together.start_soon(put, story)
    return Ratio(between - began, anyio.current_time() - between)


def typical(ratios: Sequence[Ratio]) -> Ratio:
    return Ratio(median(r.in_a_row_s for r in ratios), median(r.at_once_s for r in ratios))


def main() -> None:
    weights = prepare()
    with tempfile.TemporaryDirectory() as logs, server.vllm(weights, Path(logs) / "log", lora=False) as at:
        print(f"ready after {at.ready_after:.0f} s")
        for name, ratio in zip(("vLLM alone", "our engine"), anyio.run(compare, at), strict=True):
            print(
                f"{name}: {len(STORIES)} in a row {ratio.in_a_row_s:.2f} s, at once {ratio.at_once_s:.2f} s, "
                f"{ratio.times:.2f} times the throughput"
            )


if __name__ == "__main__":
    sys.exit(main())
