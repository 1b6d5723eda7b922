"""State of one call while its tool runs: sources, route, token usage; sends the engine requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engines.base import (
    Completion,
    Done,
    Embeddings,
    EventStream,
    JsonObject,
    JsonValue,
    Message,
    Profile,
    Request,
    Tags,
)
from engines.errors import AgentError, InvalidAnswerError, UnsupportedFeatureError
from engines.routing import Needs, Route, Router
from tools.base import Call, Progress, TokenCounts
from tools.pipeline.bounded import FEW, bounded
from tools.pipeline.structured import parse_answer, validator_of
from tools.sources.documents import Sources


@dataclass(slots=True)
class Tally:
    """Usage of the engines in one call; the source of its receipt."""

    prompt: int = 0
    completion: int = 0
    asked: int = 0
    cached: int = 0
    last: Done | None = None
    embedding: str = ""
    escalated: bool = False
    notes: list[str] = field(default_factory=list[str])

    def add(self, done: Done) -> None:
        self.asked += 1
        self.cached += done.cached
        if not done.cached:
            self.prompt += done.usage.prompt_tokens
            self.completion += done.usage.completion_tokens
        self.last = done
        self.note(*done.notes)

    def note(self, *notes: str) -> None:
        self.notes += [note for note in notes if note not in self.notes]

    @property
    def tokens(self) -> TokenCounts:
        return TokenCounts(prompt=self.prompt, completion=self.completion)


@dataclass(frozen=True, slots=True)
class Run:
    """What a tool works with. Every engine request of the call goes through it."""

    call: Call
    sources: Sources
    needs: Needs
    route: Route
    router: Router
    deadline: float
    """On anyio's clock, seconds."""
    count: Callable[[str], int]
    """Estimates the tokens of a text."""
    progress: Progress
    tally: Tally
    calibrations: Path | None = None
    """Folder of the user's calibrations of classify; ``None``: only those shipped."""

    @property
    def profile(self) -> Profile:
        return self.route.profile

    def request(self, messages: Sequence[Message], *, max_tokens: int | None = None) -> Request:
        """Returns a request for this call's route; tools set the rest with ``dataclasses.replace``."""
        route = self.route
        return Request(
            messages=tuple(messages),
            max_tokens=min(max_tokens or route.max_tokens, route.max_tokens),
            model=route.model,
            adapter=route.adapter,
            effort=route.tier.effort,
            deadline=self.deadline,
            tags=Tags(self.call.tool, route.tier.name, self.call.project.name, self.call.agent),
        )

    def rerouted(self, request: Request) -> Request:
        """Returns ``request`` with its route-dependent fields set for this run."""
        return replace(self.request(request.messages), schema=request.schema, choices=request.choices)

    async def ask(self, request: Request) -> Completion:
        """Sends ``request`` and returns the whole answer; counts its usage."""
        completion = await self.route.engine.complete(request)
        self.tally.add(completion.done)
        return completion

    def stream(self, request: Request) -> EventStream:
        return self.route.engine.stream(request)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Returns embeddings of ``texts``; counts their usage."""
        embeddings = await self.route.engine.embed(texts, deadline=self.deadline)
        self.tally.asked += 1
        self.tally.prompt += embeddings.tokens
        self.tally.embedding = embeddings.model
        return embeddings

    async def ask_json(self, request: Request, schema: JsonObject) -> JsonValue:
        """Returns an answer that validates under ``schema``.

        Uses the engine's constrained decoding and always validates. An invalid answer is repaired once, then
        the next tier is asked once if it is another model. A model whose answer was cut gets limits where the
        schema has none.

        Raises:
            InvalidAnswerError: every attempt was invalid.
        """
        validator = validator_of(schema)
        request = replace(request, schema=schema)
        completion = await self.ask(request)
        try:
            return parse_answer(completion.text, validator)
        except InvalidAnswerError as error:
            fault = error
        repair = _repair(request, completion, fault)
        if completion.done.finish_reason == "length":
            repair = _limited(repair, schema, FEW)
            self.tally.note(
                f"the answer was truncated, so lists were limited to {FEW} items, and strings in length"
            )
        attempts: list[tuple[Run, Request]] = [(self, repair)]
        larger = await self.next_tier()
        if larger is not None:
            attempts.append((larger, larger.rerouted(request)))
        for run, attempt in attempts:
            try:
                completion = await run.ask(attempt)
                return parse_answer(completion.text, validator)
            except InvalidAnswerError as error:
                fault = error
            except UnsupportedFeatureError:
                if attempt.schema == schema:
                    raise
        raise InvalidAnswerError(
            f"{fault.message} (asked {1 + len(attempts)} times)",
            hint=_cut_hint(completion.done) or "simplify the schema, send less text, or ask tier=main",
        )

    async def next_tier(self) -> "Run | None":
        """Returns this run on the next larger tier, if that is another model; counts as an escalation."""
        if self.tally.escalated or self.needs.tier != "auto":
            return None
        try:
            route = await self.router.above(self.route, self.needs)
        except AgentError as error:
            self.tally.note(f"not escalated: {error.message}")
            return None
        if route is None:
            return None
        self.tally.escalated = True
        return replace(self, route=route)

    async def exact_count(self) -> Callable[[str], int]:
        """Returns a token counter for chunking, scaled to the engine's own tokenizer where it has one."""
        sample = max((document.text for document in self.sources.documents), key=len, default="")[:20_000]
        estimated = self.count(sample)
        # A quarter of the context fits by any count.
        if 4 * estimated < self.route.context or not self.profile.capabilities.tokenize:
            return self.count
        try:
            exact = await self.route.engine.count_tokens(sample, model=self.route.model)
        except UnsupportedFeatureError:
            return self.count
        scale = exact / estimated
        return lambda text: round(self.count(text) * scale) + 1


def _limited(request: Request, schema: JsonObject, items: int) -> Request:
    return replace(request, schema=bounded(schema, request.max_tokens, items))


def _repair(request: Request, completion: Completion, fault: AgentError) -> Request:
    """Returns the request with the invalid answer and its fault added; with a larger limit if it was cut."""
    complaint = f"That is not valid: {fault.message}. Answer again with the corrected JSON only."
    if completion.done.finish_reason == "length":
        complaint = "That was too long. Answer again with shorter, complete JSON."
    invalid = Message("assistant", completion.text[-2_000:])
    return replace(request, messages=(*request.messages, invalid, Message("user", complaint)))


def _cut_hint(done: Done) -> str:
    return (
        "the answer was cut; ask for fewer fields or a larger tier" if done.finish_reason == "length" else ""
    )
