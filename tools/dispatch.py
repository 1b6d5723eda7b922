"""The one pipeline behind every door: validate, load, route, run, record.

    Call -> arguments -> sources -> Route -> tool -> Result with its receipt

Above: doors that know a wire format. Below: the tools, and engines through ``Run``.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import anyio
import anyio.to_thread

from engines.base import Done, Event, JsonObject, Model, Profile, TextDelta
from engines.errors import EngineTimeoutError, UnknownToolError
from engines.routing import Needs, Router
from engines.tokens import Estimator, LazyEstimator
from tools.answers import compact
from tools.arguments import Arguments, parse
from tools.base import Call, Progress, Receipt, Result, Stream, silent
from tools.catalog import TOOLS, ToolDefinition, definitions
from tools.chat import Chat, ChatArguments
from tools.prompts import gives_orders
from tools.run import Run, Tally
from tools.sources import Sources, load
from tools.tool import Tool


class Engines(Protocol):
    """What the pipeline needs to know of all engines together."""

    async def models(self) -> Sequence[Model]: ...
    async def ready(self) -> Profile: ...


Record = Callable[[Call, Receipt], None]
"""Told of every call that was answered; must neither block nor raise."""


def unrecorded(call: Call, receipt: Receipt) -> None:
    """The record of a dispatcher that keeps none."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The sources of a call and what was measured while its text was at hand."""

    sources: Sources
    tokens: tuple[int, ...] = ()
    """Estimate of each document."""
    flags: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        return sum(self.tokens) if self.sources.read_from_files else 0


@dataclass(frozen=True, slots=True)
class _Work:
    """One call between its arrival and its receipt."""

    run: Run
    estimator: Estimator
    read: int
    started: float

    def receipt(self, fields: JsonObject, plain: str, decided_by: str = "") -> Receipt:
        run, tally = self.run, self.run.tally
        last = tally.last
        profile = run.profile
        answer = str(fields[plain]) if plain in fields else compact(fields)
        cost = self.estimator.count(compact(dict(run.call.arguments)) + answer)
        return Receipt(
            tier=run.route.tier.name,
            engine=last.engine if last else profile.engine,
            model=last.model if last else tally.embedding or profile.model,
            adapter=last.adapter if last else None,
            project=run.call.project.name,
            ms=round((time.perf_counter() - self.started) * 1000),
            tokens=replace(tally.tokens, read=self.read),
            saved=self.read - cost,
            cached=tally.asked > 0 and tally.cached == tally.asked,
            escalated=tally.escalated,
            decided_by=decided_by,
            route=run.route.reason,
            notes=tuple(tally.notes),
        )


class Dispatcher:
    """Answers calls. Holds no state of any call; engines are opened and closed elsewhere."""

    def __init__(
        self,
        router: Router,
        engines: Engines,
        estimator: LazyEstimator,
        *,
        deadline_s: float,
        record: Record = unrecorded,
    ) -> None:
        self._router = router
        self._engines = engines
        self._estimator = estimator
        self._deadline_s = deadline_s
        self._record = record
        self._tools = {tool.name: tool for tool in TOOLS}
        self.catalogue: Sequence[ToolDefinition] = definitions()

    async def models(self) -> Sequence[Model]:
        return await self._engines.models()

    async def ready(self) -> Profile:
        """The engine that would be asked now.

        Raises:
            AgentError: none answers.
        """
        return await self._engines.ready()

    async def run(self, call: Call, progress: Progress = silent) -> Result:
        """The whole answer to ``call``.

        Raises:
            AgentError: whatever went wrong, with a hint.
        """
        tool, arguments = self._parsed(call)
        allowed = call.deadline_s or self._deadline_s
        try:
            with anyio.fail_after(allowed):
                work = await self._prepare(call, tool, arguments, progress)
                output = await tool.run(arguments, work.run)
        except TimeoutError:
            raise EngineTimeoutError(
                f"{call.tool} was not done within {allowed:g} s",
                hint="send less at once, or raise [limits] deadline_s",
            ) from None
        receipt = work.receipt(output.fields, tool.plain, output.decided_by)
        self._record(call, receipt)
        return Result(output.fields, receipt, tool.plain if tool.plain in output.fields else "")

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[Stream]:
        """The answer to a chat as it is made. Leaving early stops the engine.

        Raises:
            AgentError: on entering, or while iterating.
        """
        tool, arguments = self._parsed(call)
        if not (isinstance(tool, Chat) and isinstance(arguments, ChatArguments)):
            raise UnknownToolError(f"{call.tool} does not stream", hint="call it without streaming")
        work = await self._prepare(call, tool, arguments, silent)
        async with tool.stream(arguments, work.run) as events:
            answering = _Answering(work, events)
            yield answering
            if answering.done:
                self._record(call, answering.receipt)

    def _parsed(self, call: Call) -> tuple[Tool[Any], Arguments]:
        tool = self._tools.get(call.tool)
        if tool is None:
            raise UnknownToolError(
                f"there is no tool {call.tool!r}", hint=f"the tools are {', '.join(self._tools)}"
            )
        return tool, parse(tool.arguments, tool.name, dict(call.arguments))

    async def _prepare(self, call: Call, tool: Tool[Any], arguments: Arguments, progress: Progress) -> _Work:
        started = time.perf_counter()
        deadline = anyio.current_time() + (call.deadline_s or self._deadline_s)
        estimator = await self._estimator.get()
        loaded = await _load(call, arguments, estimator)
        needs = Needs(
            tier=arguments.tier if arguments.tier != "auto" else call.tier,
            wants=tool.wants,
            prompt_tokens=tool.prompt_tokens(arguments, loaded.tokens, estimator.count),
            max_tokens=tool.max_tokens(arguments),
            splits=tool.splits,
            model=call.model,
            adapter=call.adapter or call.project.adapter,
        )
        route = await self._router.pick(needs)
        tally = Tally()
        tally.note(*loaded.sources.notes, *loaded.flags, *route.profile.notes)
        run = Run(
            call=call,
            sources=loaded.sources,
            needs=needs,
            route=route,
            router=self._router,
            deadline=deadline,
            count=estimator.count,
            progress=progress,
            tally=tally,
        )
        return _Work(run, estimator, loaded.read, started)


class _Answering:
    """A ``Stream``: the events as the engine gives them, and the receipt once they have ended."""

    def __init__(self, work: _Work, events: AsyncIterator[Event]) -> None:
        self._work = work
        self._text: list[str] = []
        self._receipt: Receipt | None = None
        self.events = self._counted(events)

    @property
    def done(self) -> bool:
        return self._receipt is not None

    @property
    def receipt(self) -> Receipt:
        """Of the whole answer, or of what there was of it when the caller left."""
        return self._receipt or self._made()

    def _made(self) -> Receipt:
        return self._work.receipt({"text": "".join(self._text)}, "text")

    async def _counted(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in events:
            match event:
                case TextDelta():
                    self._text.append(event.text)
                case Done():
                    self._work.run.tally.add(event)
                    self._receipt = self._made()
                case _:
                    pass
            yield event


async def _load(call: Call, arguments: Arguments, estimator: Estimator) -> _Loaded:
    """The call's sources, read and measured in a worker thread; nothing to do without any."""
    if not arguments.sources_given:
        return _Loaded(Sources())

    def read() -> _Loaded:
        sources = load(
            call.project,
            text=arguments.text,
            items=arguments.items,
            paths=arguments.paths,
            split=arguments.split,
        )
        tokens = tuple(estimator.count(document.text) for document in sources.documents)
        return _Loaded(sources, tokens, _flags(sources))

    return await anyio.to_thread.run_sync(read)


def _flags(sources: Sources) -> tuple[str, ...]:
    """A note for each document that seems to give orders to the model, the first few of them."""
    flagged = [
        f"{document.id} seems to give orders ({found!r}); it was treated as data"
        for document in sources.documents
        if (found := gives_orders(document.text))
    ]
    return tuple(flagged[:3]) + ((f"and {len(flagged) - 3} more",) if len(flagged) > 3 else ())
