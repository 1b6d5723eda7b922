"""Dispatches calls from every entry point: validate, load sources, route, run the tool, record.

    Call -> arguments -> sources -> Route -> tool -> Result with its receipt

Entry points above know the wire formats; tools below reach engines through ``Run``.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import anyio

from engines.base import Completion, Done, Event, JsonObject, Model, Profile, TextDelta, Usage
from engines.errors import AgentError, EngineTimeoutError, UnknownToolError
from engines.middleware.metrics import ABANDONED
from engines.routing import Needs, Router
from engines.tokens import Estimator, LazyEstimator, at_most
from tools.arguments import Arguments, parse
from tools.base import Call, Progress, Receipt, Result, Stream, TokenCounts, silent
from tools.catalog import TOOLS, ToolDefinition, definitions
from tools.chat.tool import Chat, ChatArguments, request_of
from tools.pipeline.loading import Loaded, argument_tokens, load_sources
from tools.pipeline.results import ResultFiles
from tools.pipeline.run import Run, Tally
from tools.pipeline.short import shortened
from tools.pipeline.structured import compact
from tools.sources.documents import Sources
from tools.tool import Output, Tool


class Engines(Protocol):
    """What the pipeline needs to know of all engines together."""

    async def models(self) -> Sequence[Model]: ...
    async def ready(self) -> Profile: ...


Record = Callable[[Call, Receipt, str], None]
"""Called with every call, its receipt and error code (empty for none); must neither block nor raise."""


def unrecorded(call: Call, receipt: Receipt, error: str) -> None:
    """Drops the record; for dispatchers without a ledger."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A call from its arrival to its receipt."""

    run: Run
    estimator: Estimator
    loaded: Loaded
    started: float
    counted: bool = True

    def receipt(
        self, fields: JsonObject, plain: str, decided_by: str = "", usage: Usage | None = None
    ) -> Receipt:
        """Returns the receipt of the answer ``fields``; ``usage`` is the engine's of a plain chat."""
        run, tally = self.run, self.run.tally
        last = tally.last
        profile = run.profile
        saved = 0
        if self.counted:
            saved = self.loaded.read - self._spent(fields, plain, usage)
        return Receipt(
            tier=run.route.tier.name,
            engine=last.engine if last else profile.engine,
            model=last.model if last else tally.embedding or profile.model,
            adapter=last.adapter if last else None,
            project=run.call.project.name,
            ms=round((time.perf_counter() - self.started) * 1000),
            tokens=replace(tally.tokens, read=self.loaded.read),
            saved=saved,
            cached=tally.asked > 0 and tally.cached == tally.asked,
            escalated=tally.escalated,
            decided_by=decided_by,
            route=run.route.reason,
            notes=tuple(tally.notes),
        )

    def _spent(self, fields: JsonObject, plain: str, usage: Usage | None) -> int:
        """Returns the tokens of the caller's context that arguments and answer take.

        They are what the engine has counted, if it was sent the caller's messages and nothing else.
        """
        if usage and usage.prompt_tokens and not self.run.sources.documents:
            return usage.prompt_tokens + usage.completion_tokens
        asked = self.loaded.asked
        if asked is None:
            asked = argument_tokens(self.run.call, self.estimator)
        return asked + self.estimator.count(str(fields[plain]) if plain in fields else compact(fields))

    def failure(self, text_sent: str) -> Receipt:
        """Returns the receipt of a failed call that sent only ``text_sent``: its cost, and nothing saved."""
        receipt = self.receipt({"error": text_sent}, "error")
        tokens = replace(receipt.tokens, read=0)
        return replace(receipt, tokens=tokens, saved=receipt.saved - self.loaded.read)


class _Recording:
    """Context manager that records one call, however it ends."""

    def __init__(self, call: Call, estimator: LazyEstimator, record: Record, *, counted: bool) -> None:
        self._call = call
        self._counted = counted
        self._estimator = estimator
        self._record = record
        self._started = time.perf_counter()
        self.work: _Work | None = None
        self.text_sent = ""
        """Text streamed to the caller before the end."""
        self.receipt: Receipt | None = None
        """Receipt of a complete answer."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.receipt:
            self._record(self._call, self.receipt, "")
        elif isinstance(error, AgentError):
            text_sent = f"{self.text_sent}{error.message} {error.hint}"
            self._record(self._call, await self._failure(text_sent), error.code)
        elif self.work:
            code = AgentError.code if isinstance(error, Exception) else ABANDONED
            self._record(self._call, self.work.failure(self.text_sent), code)

    async def _failure(self, text_sent: str) -> Receipt:
        if self.work:
            return self.work.failure(text_sent)
        call, ms = self._call, round((time.perf_counter() - self._started) * 1000)
        spent = 0
        if self._counted:
            estimator = await self._estimator.get()
            spent = argument_tokens(call, estimator) + estimator.count(text_sent)
        return Receipt("", "", "", None, call.project.name, ms, TokenCounts(), saved=-spent)


class Dispatcher:
    """Answers calls. Keeps no state between calls; engines are opened and closed elsewhere."""

    def __init__(
        self,
        router: Router,
        engines: Engines,
        estimator: LazyEstimator,
        *,
        deadline_s: float,
        record: Record = unrecorded,
        calibrations: Path | None = None,
        results: ResultFiles | None = None,
    ) -> None:
        """``calibrations`` is the folder of the user's calibrations of classify.

        Without ``results``, what is left out of a shortened answer is lost.
        """
        self._router = router
        self._engines = engines
        self._estimator = estimator
        self._deadline_s = deadline_s
        self._record = record
        self._calibrations = calibrations
        self.results = results
        self._tools = {tool.name: tool for tool in TOOLS}
        self.catalogue: Sequence[ToolDefinition] = definitions()

    def serving(self, *tools: Tool[Any]) -> Self:
        """Returns a dispatcher for ``tools`` instead of those that agents may call."""
        other = copy(self)
        other._tools = {tool.name: tool for tool in tools}
        return other

    async def models(self) -> Sequence[Model]:
        return await self._engines.models()

    async def contexts(self) -> Mapping[str, int]:
        """Returns the context of each tier in tokens."""
        return await self._router.contexts()

    async def ready(self) -> Profile:
        """Returns the profile of the engine that would be asked now.

        Raises:
            AgentError: no engine answers.
        """
        return await self._engines.ready()

    async def run(self, call: Call, progress: Progress = silent) -> Result:
        """Returns the whole answer to ``call``.

        Raises:
            AgentError: any failure, with a hint.
        """
        allowed = call.deadline_s or self._deadline_s
        async with self._recording(call) as recording:
            tool, arguments = self._parsed(call)
            try:
                with anyio.fail_after(allowed):
                    recording.work = work = await self._prepare(call, tool, arguments, progress)
                    output = await tool.run(arguments, work.run)
            except TimeoutError:
                raise EngineTimeoutError(
                    f"{call.tool} did not finish within {allowed:g} s",
                    hint="send less at once, or raise [limits] deadline_s",
                ) from None
            fields = await self._shortened(call, tool, arguments, output, work.run)
            recording.receipt = receipt = work.receipt(fields, tool.plain, output.decided_by)
        return Result(fields, receipt, tool.plain if tool.plain in fields else "")

    async def _shortened(
        self, call: Call, tool: Tool[Any], arguments: Arguments, output: Output, run: Run
    ) -> JsonObject:
        """Returns the fields of the answer; what they leave out is in a results file."""
        short = await shortened(
            output.fields,
            output.rows,
            plain=tool.plain,
            count=run.count,
            results=self.results,
            full=call.full or arguments.detail == "full",
        )
        if short.note:
            run.tally.note(short.note)
        return short.fields

    async def complete(self, call: Call) -> tuple[Completion, Receipt]:
        """Returns the model's whole answer to a chat, with tool calls and logprobs, as it is.

        Raises:
            AgentError: any failure, with a hint.
        """
        async with self._recording(call) as recording:
            chat, arguments = self._chat(call)
            recording.work = work = await self._prepare(call, chat, arguments, silent)
            completion = await work.run.ask(request_of(arguments, work.run))
            usage = completion.done.usage
            recording.receipt = receipt = work.receipt({"text": completion.text}, "text", usage=usage)
        return completion, receipt

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[Stream]:
        """Yields the answer to a chat as a ``Stream``. Leaving early stops the engine.

        Raises:
            AgentError: on entering, or while iterating.
        """
        async with self._recording(call) as recording:
            chat, arguments = self._chat(call)
            recording.work = work = await self._prepare(call, chat, arguments, silent)
            async with chat.stream(arguments, work.run) as events:
                answering = _AnswerStream(work, events)
                try:
                    yield answering
                finally:
                    recording.text_sent = answering.text_sent
                    recording.receipt = answering.receipt if answering.done else None

    def _recording(self, call: Call) -> _Recording:
        tool = self._tools.get(call.tool)
        return _Recording(call, self._estimator, self._record, counted=tool is None or tool.counted)

    def _parsed(self, call: Call) -> tuple[Tool[Any], Arguments]:
        tool = self._tools.get(call.tool)
        if tool is None:
            raise UnknownToolError(
                f"there is no tool {call.tool!r}", hint=f"the tools are {', '.join(self._tools)}"
            )
        return tool, call.validated or parse(tool.arguments, tool.name, dict(call.arguments))

    def _chat(self, call: Call) -> tuple[Chat, ChatArguments]:
        tool, arguments = self._parsed(call)
        if not (isinstance(tool, Chat) and isinstance(arguments, ChatArguments)):
            raise UnknownToolError(f"{call.tool} does not stream", hint="call it without streaming")
        return tool, arguments

    async def _prepare(self, call: Call, tool: Tool[Any], arguments: Arguments, progress: Progress) -> _Work:
        started = time.perf_counter()
        deadline = anyio.current_time() + (call.deadline_s or self._deadline_s)
        estimator = await self._estimator.get()
        loaded = await load_sources(call, arguments, estimator) if tool.counted else Loaded(Sources())

        def prompt_tokens(count: Callable[[str], int]) -> int:
            sizes = loaded.sizes(count)
            return tool.prompt_tokens(arguments, sizes, count) + _function_tokens(call, count)

        needs = Needs(
            tier=arguments.tier if arguments.tier != "auto" else call.tier,
            wants=tool.tier(arguments),
            prompt_tokens=prompt_tokens(at_most),
            count_tokens=partial(prompt_tokens, estimator.count),
            max_tokens=tool.max_tokens(arguments),
            splits=tool.splits or bool(loaded.sources.documents),
            hard=partial(tool.is_hard, arguments),
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
            calibrations=self._calibrations,
        )
        run = await tool.fitted(arguments, run)
        return _Work(run, estimator, loaded, started, tool.counted)


class _AnswerStream:
    """A ``Stream`` of an engine's events; its receipt is complete once they have ended."""

    def __init__(self, work: _Work, events: AsyncIterator[Event]) -> None:
        self._work = work
        self._text: list[str] = []
        self._receipt: Receipt | None = None
        self._events = events

    @property
    def events(self) -> AsyncIterator[Event]:
        return self

    @property
    def done(self) -> bool:
        return self._receipt is not None

    @property
    def receipt(self) -> Receipt:
        """Returns the receipt of the whole answer, or of the part sent before the caller left."""
        return self._receipt or self._current_receipt()

    @property
    def text_sent(self) -> str:
        return "".join(self._text)

    def _current_receipt(self, usage: Usage | None = None) -> Receipt:
        return self._work.receipt({"text": self.text_sent}, "text", usage=usage)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._events.__anext__()
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, Done):
            self._work.run.tally.add(event)
            self._receipt = self._current_receipt(event.usage)
        return event


def _function_tokens(call: Call, count: Callable[[str], int]) -> int:
    """Returns the tokens of the functions offered to the model, which are part of its prompt."""
    offered = call.sampling.tools
    return count(compact(list(offered))) if offered else 0
