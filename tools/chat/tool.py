"""chat: one turn with the local model, over the caller's own messages and files."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, NotRequired, Self

import anyio.to_thread
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator, with_config

# pydantic refuses typing.TypedDict before Python 3.12
from typing_extensions import TypedDict

from engines.base import Done, Event, EventStream, JsonObject, Message, Request, Role, TextDelta, ToolCall
from engines.errors import ContextTooLongError, InvalidArgumentsError
from engines.middleware.wrapper import ObservedStream
from tools.arguments import Arguments, Object, Prompt, unquoted
from tools.base import Sampling
from tools.chat.answered import LONGEST, REFUSAL, is_answered
from tools.pipeline.free_text import ask_for_text
from tools.pipeline.passages import GAP, PASSAGE, first_page
from tools.pipeline.prompts import fenced
from tools.pipeline.run import Run
from tools.pipeline.structured import parse_answer, validator_of
from tools.sources.chunks import Chunk
from tools.sources.documents import Document, Sources
from tools.sources.evidence import EvidenceIndex
from tools.tool import Output, Tool

TEMPERATURE = 0.0
"""Default; delegated work should be repeatable, and callers can ask for another value."""

MESSAGE_OVERHEAD = 16
"""Tokens of the chat template around a message, and of the delimiters around a document, rounded up."""


MAKES = re.compile(
    r"\b(?:write|create|design|implement|build|develop|prove|optimi[sz]e|debug|plan|analy[sz]e|compare"
    r"|script|program|app|code|algorithm|architecture)\b",
    re.IGNORECASE,
)
"""Words of a prompt that asks to make or work out something rather than for information.

Measured with ``benchmarks/difficulty.py``.
"""


MOST_MESSAGES = 20_000
MOST_CALLS = 1_000
LONGEST_ID = 10_000
"""Characters; some clients keep the state of a model in the id of a tool call."""
LONGEST_NAME = 500


Identity = Annotated[str, Field(max_length=LONGEST_ID)]

IGNORING = ConfigDict(extra="ignore")
"""Fields that OpenAI's clients add to messages are dropped, as other servers do."""


@with_config(IGNORING)
class WireFunction(TypedDict):
    name: Annotated[str, Field(max_length=LONGEST_NAME)]
    arguments: NotRequired[Prompt]


@with_config(IGNORING)
class WireToolCall(TypedDict):
    id: NotRequired[Identity]
    function: WireFunction


@with_config(IGNORING)
class ChatMessage(TypedDict):
    """A message as OpenAI's clients write it, content as plain text."""

    role: Role
    content: NotRequired[Prompt | None]
    tool_calls: NotRequired[Annotated[list[WireToolCall], Field(max_length=MOST_CALLS)] | None]
    tool_call_id: NotRequired[Identity | None]


def _message(wire: ChatMessage) -> Message:
    calls = tuple(
        ToolCall(call.get("id", ""), call["function"]["name"], call["function"].get("arguments", ""))
        for call in wire.get("tool_calls") or ()
    )
    return Message(wire["role"], wire.get("content") or "", calls, wire.get("tool_call_id") or "")


class ChatArguments(Arguments):
    unlisted: ClassVar[frozenset[str]] = frozenset({"split", "detail"})

    prompt: Prompt | None = None
    messages: (
        Annotated[
            list[ChatMessage],
            Field(max_length=MOST_MESSAGES),
            BeforeValidator(unquoted),
            WithJsonSchema({"type": "array", "items": {"type": "object"}}),
        ]
        | None
    ) = Field(None, description="[{role,content}] instead of prompt")
    system: Prompt | None = None
    schema_: Object | None = Field(None, alias="schema", description="JSON Schema of the answer")
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(TEMPERATURE, ge=0, le=2)

    @model_validator(mode="after")
    def _something_to_answer(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give one of prompt, messages")
        if not (self.prompt or self.messages):
            raise ValueError("prompt or messages is empty")
        return self


class Chat(Tool[ChatArguments]):
    name = "chat"
    description = (
        "Ask the local model a simple question, optionally about files (paths). "
        "For rewording, explaining, drafting. Not for hard reasoning."
    )
    splits = False
    plain = "text"
    arguments = ChatArguments

    async def fitted(self, arguments: ChatArguments, run: Run) -> Run:
        documents = run.sources.documents
        if not documents:
            return run
        sizes = [run.count(document.text) for document in documents]
        free = run.route.context - run.route.max_tokens - self.prompt_tokens(arguments, (), run.count)
        overhead = MESSAGE_OVERHEAD * len(documents)
        if sum(sizes) + overhead <= free:
            return run
        if free < PASSAGE + MESSAGE_OVERHEAD:
            raise ContextTooLongError(
                f"the question leaves {free} of {run.route.context} tokens for the text",
                hint="send fewer messages, or ask for fewer max_tokens",
            )
        question = conversation(arguments, Sources())[-1].content
        count = await run.exact_count()
        if free - overhead >= PASSAGE:
            page = await first_page(run, documents, [question], free - overhead, count)
        else:  # So many files that only some are sent: each is counted with its delimiters.
            page = await first_page(
                run, documents, [question], free, lambda text: count(text) + MESSAGE_OVERHEAD
            )
        return replace(run, sources=replace(run.sources, documents=tuple(page)))

    async def run(self, arguments: ChatArguments, run: Run) -> Output:
        request = request_of(arguments, run)
        if arguments.schema_ is not None:
            return Output({"data": await run.ask_json(request, arguments.schema_)})
        documents = run.sources.documents
        # All of the prompt but the delimiters is the caller's.
        theirs = [message.content for message in conversation(arguments, Sources())]
        source = "\n".join([*theirs, *(document.text for document in documents)])
        answer = await ask_for_text(run, request, ours="", source=source)
        if not documents or request.tools:
            return Output({"text": answer})
        if not await is_answered(run, request, answer):
            return Output({"text": REFUSAL, "unsupported": answer})
        where = await anyio.to_thread.run_sync(_place, answer, documents)
        return Output({"text": answer, "evidence": where} if where else {"text": answer})

    def stream(self, arguments: ChatArguments, run: Run) -> EventStream:
        """Returns the engine's events as they come. With a schema, the text is validated before ``Done``."""
        stream = run.stream(request_of(arguments, run))
        schema = arguments.schema_
        return stream if schema is None else _Validated(stream, schema)

    def prompt_tokens(
        self, arguments: ChatArguments, documents: Sequence[int], count: Callable[[str], int]
    ) -> int:
        texts = [message.content for message in conversation(arguments, Sources())]
        return sum(map(count, texts)) + sum(documents) + MESSAGE_OVERHEAD * (len(texts) + len(documents))

    def is_hard(self, arguments: ChatArguments) -> bool:
        return MAKES.search(conversation(arguments, Sources())[-1].content) is not None

    def max_tokens(self, arguments: ChatArguments) -> int | None:
        return arguments.max_tokens


def _place(answer: str, documents: Sequence[Document]) -> str:
    """Returns where a short answer stands, as ``path:line``; empty if its words are its own."""
    if len(answer) > LONGEST:
        return ""
    for document in documents:
        line = EvidenceIndex([Chunk(document, document.text, document.line)]).find(answer.strip(" .\"'\n"))
        if line is not None and GAP not in document.text:
            return f"{document.path}:{line}" if document.path else f"{line}"
    return ""


def request_of(arguments: ChatArguments, run: Run) -> Request:
    """Returns the engine request of a chat, with the options of the OpenAI endpoint."""
    if arguments.schema_ is not None:
        validator_of(arguments.schema_)
    sampling: Sampling = run.call.sampling
    request = run.request(conversation(arguments, run.sources))
    return replace(
        request,
        schema=arguments.schema_,
        temperature=arguments.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=sampling.stop,
        logprobs=sampling.logprobs,
        tools=sampling.tools,
        tool_choice=sampling.tool_choice,
        effort=sampling.effort or request.effort,
    )


def conversation(arguments: ChatArguments, sources: Sources) -> list[Message]:
    """Returns the messages to send: system first, files before the question about them."""
    messages = [_message(message) for message in arguments.messages or ()]
    if arguments.prompt is not None:
        messages.append(Message("user", arguments.prompt))
    context = "\n\n".join(
        # The path is inside the fence, so that a file name cannot inject instructions.
        fenced(f"{document.path}\n\n{document.text}" if document.path else document.text)
        for document in sources.documents
    )
    if context:
        messages[-1] = _before(context, messages[-1])
    system = "\n".join(filter(None, (arguments.system, arguments.instructions)))
    return [Message("system", system), *messages] if system else messages


def _before(context: str, question: Message) -> Message:
    if question.role != "user":
        raise InvalidArgumentsError(
            "with text, items or paths the last message must be the user's",
            hint="end messages with a question",
        )
    return Message("user", f"{context}\n\n{question.content}")


class _Validated(ObservedStream):
    def __init__(self, stream: EventStream, schema: JsonObject) -> None:
        super().__init__(stream)
        self._validator = validator_of(schema)
        self._text: list[str] = []

    def on_event(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, Done) and event.finish_reason != "tool_calls":
            parse_answer("".join(self._text), self._validator)
