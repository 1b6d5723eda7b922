"""Compares eight concurrent requests to eight in a row, directly to vLLM and through our server.

``python -m tests.vllm.throughput`` prints the figures. The base model is asked for stories, so that every
answer reaches its token limit; adapters that answer in one sentence would leave most slots empty.
"""

import json
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import anyio

from tests.vllm import server
from tests.vllm.server import Server
from tests.vllm.weights import BASE, prepare

TOKENS = 32
STORIES = [
    f"Tell me a long story about {hero}."
    for hero in ("a fox", "a ship", "a king", "the sea", "a robot", "two cats", "a town", "winter")
]

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Ratio:
    in_a_row_s: float
    at_once_s: float

    @property
    def times(self) -> float:
        return self.in_a_row_s / self.at_once_s


@contextmanager
def gateway(at: Server, log: Path) -> Generator[Server, None, None]:
    """Runs ``local-llm-agent serve`` in front of ``at`` with a slot for each story."""
    settings = {
        "LOCAL_LLM_ENGINE": "vllm",
        "LOCAL_LLM_VLLM__URL": at.url,
        "LOCAL_LLM_LIMITS__CONCURRENCY": str(len(STORIES)),
        # Every round sends the same stories.
        "LOCAL_LLM_CACHE": "false",
        "XDG_DATA_HOME": str(log.parent),
    }
    with server.running([sys.executable, "-P", "-m", "mcp_server", "serve"], log, settings) as running:
        yield running


async def compare(at: Server, through: Server, *, rounds: int = 3) -> tuple[Ratio, Ratio]:
    """Returns the bare server's ratio and ours, each the median of alternating ``rounds``."""
    bare: list[Ratio] = []
    ours: list[Ratio] = []
    async with aiohttp.ClientSession() as session:
        await measure(session, at)
        await measure(session, through)
        for _ in range(rounds):
            bare.append(await measure(session, at))
            ours.append(await measure(session, through))
    return typical(bare), typical(ours)


async def measure(session: aiohttp.ClientSession, at: Server) -> Ratio:
    async def put(story: str) -> None:
        message = {"role": "user", "content": story}
        body = {"model": BASE, "messages": [message], "max_tokens": TOKENS, "temperature": 0}
        url = f"{at.url}/chat/completions"
        async with session.post(url, data=json.dumps(body), headers=JSON) as answer:
            answer.raise_for_status()
            used = (await answer.json())["usage"]
            assert used["completion_tokens"] == TOKENS, used

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
    with (
        tempfile.TemporaryDirectory() as logs,
        server.vllm(weights, Path(logs) / "vllm.log", lora=False) as at,
        gateway(at, Path(logs) / "gateway.log") as through,
    ):
        print(f"ready after {at.ready_after:.0f} s")
        for name, ratio in zip(("vLLM alone", "through us"), anyio.run(compare, at, through), strict=True):
            print(
                f"{name}: {len(STORIES)} in a row {ratio.in_a_row_s:.2f} s, at once {ratio.at_once_s:.2f} s, "
                f"{ratio.times:.2f} times the throughput"
            )


if __name__ == "__main__":
    main()
