"""The route ``/v1/responses``, for Codex and newer OpenAI clients.

Translates requests to chat completions and engine events to response events. Responses are not stored.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from starlette.routing import Route

from engines.base import Completion, Done, Event, JsonObject, JsonValue, TextDelta, ToolCallDelta
from engines.errors import AgentError, EngineInterruptedError
from shim.caller import caller_of
from shim.dispatcher import Dispatcher, ProjectOf
from shim.encoding import json_bytes, json_text, utf8
from shim.errors import OPENAI_CODE, openai_body
from shim.exchange import Endpoint, Exchange
from shim.openai.routes import NO_ALIASES, Aliases, ChatCompletions
from shim.openai.translate import chat_call
from shim.responses.wire import ResponsesRequest, as_chat, flat_name, offered, parse_responses
from tools.base import Call, Receipt


def routes(dispatcher: Dispatcher, project_of: ProjectOf, aliases: Aliases = NO_ALIASES) -> list[Route]:
    """Returns the route of responses."""
    responses = Responses(dispatcher, project_of, aliases)
    return [Route("/v1/responses", Endpoint(responses, openai_body), methods=["POST"])]


class Responses(ChatCompletions):
    """``POST /v1/responses``, whole or streamed."""

    async def __call__(self, exchange: Exchange) -> None:
        request = parse_responses(exchange.json())
        caller = caller_of(exchange, self._project_of, {})
        chat = as_chat(request)
        call = chat_call(chat, await self._names.target(chat.model or "auto"), caller)
        builder = ResponseBuilder(request)
        if request.stream:
            await self._stream_response(exchange, call, builder)
        else:
            completion, receipt = await self._answer(call)
            for event in events_of(completion):
                builder.add(event)
            await exchange.reply(json_bytes(builder.response(receipt)))

    async def _stream_response(self, exchange: Exchange, call: Call, builder: "ResponseBuilder") -> None:
        """Sends the events; a failure after the first is sent as an event, so that clients do not retry."""
        try:
            async with self._dispatcher.stream(call) as stream:
                async for event in stream.events:
                    await exchange.event(builder.opening() + builder.add(event))
                if builder.done is None:
                    raise EngineInterruptedError(
                        "the engine's answer stopped before its end", hint="ask again"
                    )
                receipt = stream.receipt
        except AgentError as error:
            if not exchange.started:
                raise
            await exchange.last_event(builder.failed(error))
        else:
            await exchange.last_event(builder.completed(receipt))


ECHOED = {"instructions", "max_output_tokens", "model", "temperature", "tool_choice", "tools", "top_p"}
"""Request fields repeated in every response object."""


def events_of(completion: Completion) -> Iterator[Event]:
    """Yields the events equivalent to a whole answer."""
    if completion.text:
        yield TextDelta(completion.text)
    for index, call in enumerate(completion.tool_calls):
        yield ToolCallDelta(index, call.id, call.name, call.arguments)
    yield completion.done


PART: JsonObject = {"content_index": 0}
TEXT: JsonObject = {**PART, "logprobs": []}

EVENTS: dict[str, tuple[str, JsonObject]] = {
    "item.added": ("output_item.added", {}),
    "item.done": ("output_item.done", {}),
    "part.added": ("content_part.added", PART),
    "part.done": ("content_part.done", PART),
    "text.delta": ("output_text.delta", TEXT),
    "text.done": ("output_text.done", TEXT),
    "arguments.delta": ("function_call_arguments.delta", {}),
    "arguments.done": ("function_call_arguments.done", {}),
}
"""Events about output items: name and constant fields."""


def _part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


@dataclass(slots=True)
class _Item:
    """An output item in progress: the text, or a function call if it has a name."""

    id: str
    index: int
    call_id: str = ""
    name: str = ""
    namespace: str = ""
    pieces: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def body(self, *, done: bool) -> JsonObject:
        body: JsonObject = {"id": self.id, "status": "completed" if done else "in_progress"}
        if not self.name:
            content: list[JsonValue] = [_part(self.text)] if done else []
            return {"type": "message", "role": "assistant", "content": content, **body}
        body |= {"namespace": self.namespace} if self.namespace else {}
        call: JsonObject = {"call_id": self.call_id, "name": self.name, "arguments": self.text}
        return {"type": "function_call", **call, **body}


class ResponseBuilder:
    """Builds the response object and its server-sent events from engine events."""

    def __init__(self, request: ResponsesRequest) -> None:
        self.done: Done | None = None
        self._asked = request.model_dump(include=ECHOED)
        self._names = {
            flat_name(space, tool["name"]): (space, tool["name"]) for space, tool in offered(request)
        }
        self._id = f"resp_{secrets.token_hex(16)}"
        self._created = int(time.time())
        self._items: dict[int | None, _Item] = {}
        """By tool call index; ``None`` is the text."""
        self._events = 0

    def opening(self) -> bytes:
        """Returns the opening events on the first call, then nothing."""
        if self._events:
            return b""
        response = self._body("in_progress")
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def add(self, event: Event) -> bytes:
        """Adds ``event`` to the response and returns its server-sent events."""
        match event:
            case TextDelta():
                item, added = self._item(
                    None, lambda: _Item(f"msg_{secrets.token_hex(12)}", len(self._items))
                )
                item.pieces.append(event.text)
                return added + self._of("text.delta", item, delta=event.text)
            case ToolCallDelta():
                item, added = self._item(event.index, lambda: self._call(event))
                item.pieces.append(event.arguments)
                return added + self._of("arguments.delta", item, delta=event.arguments)
            case Done():
                self.done = event
                return b"".join(map(self._closed, self._items.values()))

    def completed(self, receipt: Receipt) -> bytes:
        """Returns the final event of a successful response."""
        response = self.response(receipt)
        return self._event(f"response.{response['status']}", response=response)

    def failed(self, error: AgentError) -> bytes:
        """Returns the final event of a failed response."""
        fault: JsonObject = {"code": OPENAI_CODE.get(error.code, error.code), "message": error.message}
        body = self._body("failed")
        body["error"] = fault
        return self._event("response.failed", response=body)

    def response(self, receipt: Receipt) -> JsonObject:
        """Returns the complete response object."""
        assert self.done is not None
        cut = self.done.finish_reason == "length"
        usage = self.done.usage
        body = self._body("incomplete" if cut else "completed")
        body["incomplete_details"] = {"reason": "max_output_tokens"} if cut else None
        body["output"] = [item.body(done=True) for item in self._items.values()]
        body["usage"] = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
        body["receipt"] = receipt.as_json()
        return body

    def _body(self, status: str) -> JsonObject:
        """Returns the fields common to all states; ``model`` is the requested name."""
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "output": [],
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "parallel_tool_calls": True,
            "store": False,
            **self._asked,
            "model": self._asked["model"] or "auto",
            "tool_choice": self._asked["tool_choice"] or "auto",
            "tools": self._asked["tools"] or [],
        }

    def _call(self, event: ToolCallDelta) -> _Item:
        namespace, name = self._names.get(event.name, ("", event.name))
        return _Item(f"fc_{secrets.token_hex(12)}", len(self._items), event.id, name, namespace)

    def _item(self, key: int | None, new: Callable[[], _Item]) -> tuple[_Item, bytes]:
        """Returns the item of ``key``, and its opening events if it is new."""
        if key in self._items:
            return self._items[key], b""
        item = self._items[key] = new()
        added = self._of("item.added", item, item=item.body(done=False))
        return item, added + (b"" if item.name else self._of("part.added", item, part=_part("")))

    def _closed(self, item: _Item) -> bytes:
        if item.name:
            ended = self._of("arguments.done", item, arguments=item.text, name=item.name)
        else:
            ended = self._of("text.done", item, text=item.text) + self._of(
                "part.done", item, part=_part(item.text)
            )
        return ended + self._of("item.done", item, item=item.body(done=True))

    def _of(self, kind: str, about: _Item, /, **fields: JsonValue) -> bytes:
        """Encodes an event about an item."""
        name, beside = EVENTS[kind]
        return self._event(f"response.{name}", item_id=about.id, output_index=about.index, **beside, **fields)

    def _event(self, kind: str, /, **fields: JsonValue) -> bytes:
        body: JsonObject = {"type": kind, "sequence_number": self._events, **fields}
        self._events += 1
        return utf8(f"event: {kind}\ndata: {json_text(body)}\n\n")
