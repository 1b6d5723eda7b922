"""Loads the sources of a call and estimates their tokens, in a worker thread if they are long."""

from dataclasses import dataclass

import anyio.to_thread

from engines.tokens import Estimator
from tools.arguments import Arguments
from tools.base import Call
from tools.pipeline.prompts import gives_orders
from tools.pipeline.structured import compact
from tools.sources.documents import Sources, load

SHORT = 4_000
"""Characters that are read, counted and scanned on the event loop, in under half a millisecond."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The sources of a call, with token counts measured while they were loaded."""

    sources: Sources
    asked: int
    """Estimated tokens of the call's arguments."""
    tokens: tuple[int, ...] = ()
    """Estimated tokens of each document."""
    flags: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        return sum(self.tokens) if self.sources.read_from_files else 0


def argument_tokens(call: Call, estimator: Estimator) -> int:
    """Estimates the tokens of the call's arguments in the caller's context."""
    return estimator.count(compact(dict(call.arguments)))


async def load_sources(call: Call, arguments: Arguments, estimator: Estimator) -> Loaded:
    """Reads and measures the call's sources in a worker thread.

    Short text that needs no disk access is handled on the event loop, which is faster than a thread.
    """
    if not arguments.sources_given:
        return Loaded(Sources(), argument_tokens(call, estimator))

    def read() -> Loaded:
        sources = load(
            call.project,
            text=arguments.text,
            items=arguments.items,
            paths=arguments.paths,
            split=arguments.split,
        )
        tokens = tuple(estimator.count(document.text) for document in sources.documents)
        return Loaded(sources, argument_tokens(call, estimator), tokens, _flags(sources))

    given = [arguments.text or "", *(arguments.items or ())]
    if not arguments.paths and sum(map(len, given)) <= SHORT:
        return read()
    return await anyio.to_thread.run_sync(read)


def _flags(sources: Sources) -> tuple[str, ...]:
    """Returns notes on documents that seem to contain instructions to the model, at most four."""
    flagged = [
        f"{document.id} seems to give orders ({found!r}); it was treated as data"
        for document in sources.documents
        if (found := gives_orders(document.text))
    ]
    return tuple(flagged[:3]) + ((f"and {len(flagged) - 3} more",) if len(flagged) > 3 else ())
