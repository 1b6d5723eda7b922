"""Compares the embedded engine over /v1 with a bare llama.cpp server: prompt and answer tokens a second.

    python -P -m benchmarks.embedded [--model NAME] [--rounds N] [--sweep]

Both have loaded the same model, with the same context and slots; they are asked in turn. ``--sweep`` tries
other settings of the bare server instead, each in a process of its own.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import anyio

from benchmarks.overhead import ROOT, SCRIPT
from benchmarks.processes import clean_environment, free_port, rss_mib, running
from benchmarks.start import share_models
from engines.backends.llamacpp.child import PROMPT_CACHE_MIB, SPIN_COUNT
from engines.errors import ModelNotPulledError
from engines.models.pull import find, path_of
from engines.settings import LlamaCppSettings

MODELS = ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b")
OURS, BARE = "local-llm-agent", "bare llama.cpp server"
ROUNDS = 8
SWEEP_ROUNDS = 3
WORDS = 290
ANSWER = 64
"""Tokens of an answer."""
WITHIN_S = 900
VOCABULARY = (
    "server error order payment customer latency commit branch merge refactor module import async token"
)
TASK = "Write all of these words again, in the same order, each on a line of its own."


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second of one request, or medians."""

    prompt: float
    """Prompt tokens a second, until the first chunk of text."""
    answer: float
    """Answer tokens a second, from the first chunk to the last."""
    mib: float = 0.0
    """Memory of the server's process; measured by the sweep only."""


Speeds = dict[str, dict[str, list[Speed]]]
"""Model -> contender or setting -> speed of each round."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Differences from llama.cpp's defaults with our context and spin count."""

    name: str
    params: Mapping[str, int] = field(default_factory=dict[str, int])
    spin: str = SPIN_COUNT
    busy: bool = False
    """Whether another process keeps each core busy."""


PLAIN = Setting(f"llama.cpp's defaults, spin count {SPIN_COUNT}")
Q8_0, CONTEXT = 8, LlamaCppSettings().context
SLEEPING, SPINNING = "0", "100000"
SWEEP = (
    PLAIN,
    Setting("1 thread", {"threads": 1}),
    Setting("2 threads", {"threads": 2}),
    Setting("flash attention off", {"flash_attn_type": 0}),
    Setting("flash attention on", {"flash_attn_type": 1}),
    *(Setting(f"micro batch of {size}", {"n_ubatch": size}) for size in (128, 256, 1024)),
    Setting("KV cache in q8_0", {"cache_type_k": Q8_0, "cache_type_v": Q8_0, "flash_attn_type": 1}),
    Setting("weights not repacked", {"no_extra_bufts": 1}),
    Setting("1 slot", {"n_parallel": 1}),
    Setting("four times the context", {"n_ctx": 4 * CONTEXT}),
    Setting("a pool for each slot", {"kv_unified": 0}),
    Setting("no prompt cache", {"cache_ram_mib": 0}),
    Setting(f"prompt cache of {PROMPT_CACHE_MIB} MiB", {"cache_ram_mib": PROMPT_CACHE_MIB}),
    *(Setting(f"spin count {spin}", spin=spin) for spin in (SLEEPING, SPINNING)),
    *(Setting(f"busy cores, spin count {s}", spin=s, busy=True) for s in (SLEEPING, SPIN_COUNT, SPINNING)),
)


def models_here(names: Sequence[str] = MODELS) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in names:
        with suppress(ModelNotPulledError):
            found[name] = path_of(find(name))
    return found


@asynccontextmanager
async def ours(folder: Path, model: str) -> AsyncGenerator[int]:
    """Runs ``serve`` as users do and yields its port. Its engine exits when ``folder`` is removed."""
    port = free_port()
    environment = clean_environment(
        folder, LOCAL_LLM_ENGINE="llamacpp", LOCAL_LLM_LLAMACPP__MODEL=model, LOCAL_LLM_CACHE="false"
    )
    share_models(Path(environment["XDG_CACHE_HOME"], "local-llm-agent"))
    command = [str(SCRIPT), "serve", "--port", str(port)]
    async with running(command, port, "/ready", folder=folder, environment=environment):
        yield port


@asynccontextmanager
async def bare(folder: Path, path: Path, setting: Setting = PLAIN) -> AsyncGenerator[tuple[int, int]]:
    """Runs a bare llama.cpp server; yields its port and process id."""
    port = free_port()
    environment = clean_environment(folder, PYTHONPATH=str(ROOT), GOMP_SPINCOUNT=setting.spin)
    params = {"n_ctx": CONTEXT, "n_parallel": LlamaCppSettings().parallel, **setting.params}
    options = [f"{name}={number}" for name, number in params.items()]
    command = [sys.executable, "-P", "-m", "benchmarks.llama", str(port), str(path), *options]
    async with running(command, port, "/health", folder=folder, environment=environment) as pid:
        yield port, pid


def question(seed: str, words: int = WORDS) -> str:
    """Returns a prompt that misses every prompt cache from its first word and has a long answer."""
    chosen = random.Random(seed)
    chosen_words = [f"{chosen.choice(VOCABULARY.split())}{chosen.randint(0, 99)}" for _ in range(words)]
    return f"{' '.join(chosen_words)}\n\n{TASK}"


async def ask(port: int, model: str, prompt: str) -> Speed:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": ANSWER,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    usage: dict[str, int] = {}
    chunks: list[float] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(WITHIN_S)) as session:
        begun = time.perf_counter()
        async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if not line.startswith(b"data: {"):
                    continue
                event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                usage = event.get("usage") or usage
                if any(choice["delta"].get("content") for choice in event["choices"]):
                    chunks.append(time.perf_counter())
    if len(chunks) < ANSWER / 2:
        raise RuntimeError(f"{model} generated too few chunks to be timed: {len(chunks)}")
    return Speed(
        usage["prompt_tokens"] / (chunks[0] - begun),
        (usage["completion_tokens"] - 1) / (chunks[-1] - chunks[0]),
    )


async def measured(names: Sequence[str] = MODELS, rounds: int = ROUNDS) -> Speeds:
    """Measures the models that are present."""
    return {name: await _compared(name, path, rounds) for name, path in models_here(names).items()}


async def _compared(model: str, path: Path, rounds: int) -> dict[str, list[Speed]]:
    """Alternates which of the two is asked first; the warm-up round does not count."""
    found: dict[str, list[Speed]] = {OURS: [], BARE: []}
    with TemporaryDirectory() as scratch:
        async with ours(Path(scratch, "ours"), model) as one, bare(Path(scratch, "bare"), path) as (other, _):
            ports = [(OURS, one), (BARE, other)]
            for number in range(rounds + 1):
                for name, port in ports:
                    speed = await ask(port, model, question(f"{model} {number}"))
                    if number:
                        found[name].append(speed)
                ports.reverse()
    return found


async def sweep(names: Sequence[str] = MODELS, rounds: int = SWEEP_ROUNDS) -> Speeds:
    """Measures each setting in each round, so that other load on the machine affects all alike."""
    found: Speeds = {}
    for number in range(rounds):
        for model, path in models_here(names).items():
            for setting in SWEEP:
                speed = await _tried(model, path, setting, number)
                found.setdefault(model, {}).setdefault(setting.name, []).append(speed)
    return found


async def _tried(model: str, path: Path, setting: Setting, number: int) -> Speed:
    with TemporaryDirectory() as scratch:
        async with bare(Path(scratch), path, setting) as (port, pid), AsyncExitStack() as stack:
            await ask(port, model, question("warm up", words=50))
            if setting.busy:
                await stack.enter_async_context(_busy())
            speed = await ask(port, model, question(f"{model} {number}"))
            return Speed(speed.prompt, speed.answer, rss_mib(pid))


@asynccontextmanager
async def _busy() -> AsyncGenerator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [await anyio.open_process(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()


def speeds_of(stored: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> Speeds:
    return {
        model: {name: [Speed(**each) for each in several] for name, several in speeds.items()}
        for model, speeds in stored.items()
    }


def as_json(found: Speeds) -> dict[str, dict[str, list[dict[str, float]]]]:
    return {
        model: {name: [asdict(each) for each in several] for name, several in speeds.items()}
        for model, speeds in found.items()
    }


def medians(several: Sequence[Speed]) -> Speed:
    columns = zip(*(asdict(speed).values() for speed in several), strict=True)
    return Speed(*(median(column) for column in columns))


def ratio(speeds: Mapping[str, Sequence[Speed]]) -> Speed:
    """Returns the median ratio of our speed to the bare server's of the same round; less is worse."""
    pairs = zip(speeds[OURS], speeds[BARE], strict=True)
    return medians([Speed(a.prompt / b.prompt, a.answer / b.answer) for a, b in pairs])


def table(found: Speeds) -> str:
    lines = [
        "| model | prompt tokens/s | bare | ratio | answer tokens/s | bare | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, speeds in found.items():
        one, other, times = medians(speeds[OURS]), medians(speeds[BARE]), ratio(speeds)
        lines.append(
            f"| {model} | {one.prompt:.1f} | {other.prompt:.1f} | {times.prompt:.3f} "
            f"| {one.answer:.1f} | {other.answer:.1f} | {times.answer:.3f} |"
        )
    return "\n".join(lines)


def sweep_table(found: Speeds) -> str:
    if not found:
        return "Not measured yet."
    models = list(found)
    headers = [f"{model}: {what}" for model in models for what in ("prompt", "answer", "MiB")]
    lines = [f"| setting | {' | '.join(headers)} |", f"|---|{'---|' * len(headers)}"]
    for name in found[models[0]]:
        cells = [medians(found[model][name]) for model in models]
        row = " | ".join(f"{each.prompt:.1f} | {each.answer:.1f} | {each.mib:.0f}" for each in cells)
        lines.append(f"| {name} | {row} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="default: both")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--sweep", action="store_true", help="other settings of the bare server")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.model or MODELS
    if arguments.sweep:
        print(sweep_table(asyncio.run(sweep(names, arguments.rounds or SWEEP_ROUNDS))))
    else:
        print(table(asyncio.run(measured(names, arguments.rounds or ROUNDS))))


if __name__ == "__main__":
    main()
