"""Loads the sources of a call, in a worker thread if they are long, where their tokens are counted, too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio.to_thread

from engines.tokens import Estimator
from tools.arguments import Arguments
from tools.base import Call
from tools.pipeline.prompts import gives_orders
from tools.pipeline.structured import compact
from tools.sources.documents import Sources, load

SHORT = 4_000
"""Characters that are read and scanned on the event loop."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The sources of a call, with token counts if they were loaded in a worker thread."""

    sources: Sources
    asked: int | None = None
    """Estimated tokens of the call's arguments."""
    tokens: tuple[int, ...] | None = None
    """Estimated tokens of each document."""
    flags: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        return sum(self.tokens or ()) if self.sources.read_from_files else 0

    def sizes(self, count: Callable[[str], int]) -> Sequence[int]:
        """Returns the tokens of each document, counted by ``count`` unless they are known."""
        return self.tokens or [count(document.text) for document in self.sources.documents]


def argument_tokens(call: Call, estimator: Estimator) -> int:
    """Estimates the tokens of the call's arguments in the caller's context."""
    return estimator.count(compact(dict(call.arguments)))


async def load_sources(call: Call, arguments: Arguments, estimator: Estimator) -> Loaded:
    """Reads and measures the call's sources in a worker thread.

    Short text that needs no disk access is handled on the event loop, which is faster than a thread, and
    not counted.
    """
    if not arguments.sources_given:
        return Loaded(Sources())

    def read() -> Loaded:
        sources = load(
            call.project,
            text=arguments.text,
            items=arguments.items,
            paths=arguments.paths,
            split=arguments.split,
        )
        return Loaded(sources, flags=_flags(sources))

    def read_and_counted() -> Loaded:
        loaded = read()
        tokens = tuple(loaded.sizes(estimator.count))
        return replace(loaded, asked=argument_tokens(call, estimator), tokens=tokens)

    given = [arguments.text or "", *(arguments.items or ())]
    if not arguments.paths and sum(map(len, given)) <= SHORT:
        return read()
    return await anyio.to_thread.run_sync(read_and_counted)


def _flags(sources: Sources) -> tuple[str, ...]:
    """Returns notes on documents that seem to contain instructions to the model, at most four."""
    flagged = [
        f"{document.id} seems to give orders ({found!r}); it was treated as data"
        for document in sources.documents
        if (found := gives_orders(document.text))
    ]
    return tuple(flagged[:3]) + ((f"and {len(flagged) - 3} more",) if len(flagged) > 3 else ())
