"""Performance targets and the measured figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import embedded, overhead, start, tools

MIB = 2**20 / 1e6
LITELLM, PORTKEY = "LiteLLM", "Portkey"
SPEEDUPS = {"llamacpp": (20, 1.2), "vllm": (3, 2.5)}
"""By engine, the target speed-up of one call for many, and of throughput with concurrent calls."""
AS_BARE = 0.95


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    wanted: float
    found: float
    least: bool = False
    """Whether the target is a minimum: more is better."""

    def row(self) -> str:
        met = self.found >= self.wanted if self.least else self.found <= self.wanted
        return f"| {self.what} | {'at least' if self.least else 'at most'} {self.wanted:,.4g} " \
               f"| {self.found:,.4g} | {'met' if met else '**missed**'} |"  # fmt: skip


def targets(
    runs: overhead.Runs,
    starts: start.Starts,
    memory: Mapping[str, start.Memory],
    added: tools.Added,
    speedups: Sequence[tools.Speedup],
    speeds: embedded.Speeds,
) -> Iterator[Target]:
    """Yields the targets of everything measured; those against peers only if they were measured."""

    def above(name: str, what: str = "p50") -> float:
        return median(overhead.added(runs, name, what))

    ours, bare = above(overhead.OURS), above(overhead.BASELINE)
    own, other = overhead.medians(runs[overhead.OURS]), overhead.medians(runs[overhead.BASELINE])
    yield Target("CPU to `tools/list`, ms", 45, start.medians(starts[start.OURS]).cpu)
    yield Target("`/v1`, added p50, one caller, times the bare pass-through's", 1.5, ours / bare)
    for name, share in ((LITELLM, 0.1), (PORTKEY, 1.0)):
        if name in runs:
            yield Target(f"the same, times {name}'s", share, ours / above(name))
    faster = own.per_second / other.per_second
    yield Target("`/v1`, requests/s, 16 callers, times the bare pass-through's", 1, faster, least=True)
    first = above(overhead.OURS, "first_token") / above(overhead.BASELINE, "first_token")
    yield Target("`/v1`, added to the first token, times the bare pass-through's", 1.5, first)
    yield Target("`/v1`, 8 callers, p99, times p50", 3, own.p99_of_8 / own.p50_of_8)
    for name, most, times in (("stdio", 1.5, added.stdio), ("Streamable HTTP", 2.5, added.http)):
        slowest = max(milliseconds - added.engine[tool] for tool, milliseconds in times.items())
        yield Target(
            f"a tool call over {name}, beside its engine's time, p50 of the slowest tool, ms", most, slowest
        )
    for each in speedups:
        faster, throughput = SPEEDUPS[each.engine]
        items, chats = f"{tools.ITEMS} items in one call", f"{tools.AT_ONCE} chats at once"
        yield Target(
            f"{items}, times faster than chats, {each.engine}", faster, each.single / each.many, least=True
        )
        yield Target(
            f"{chats}, times the throughput, {each.engine}",
            throughput,
            each.in_a_row / each.at_once,
            least=True,
        )
    for model, by_contender in speeds.items():
        times = embedded.ratio(by_contender)
        for what, found in (("prompt", times.prompt), ("answer", times.answer)):
            title = f"embedded {what} tokens/s, times the bare server's, {model}"
            yield Target(title, AS_BARE, found, least=True)
    yield Target("idle stdio process, MB", 60, memory[start.OURS].idle * MIB)


def table(found: Iterator[Target]) -> str:
    rows = [target.row() for target in found if not math.isnan(target.found)]
    return "\n".join(["| measure | target | measured | |", "|---|---|---|---|", *rows])
