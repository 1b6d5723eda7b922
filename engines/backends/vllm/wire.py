"""What vLLM takes and says in its own way: fields, list of models, refusals. Nothing here waits."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from engines.backends.openai_json import chat_body, readable
from engines.backends.thinking import Spoken
from engines.base import Done, Event, JsonObject, Request, TextDelta, ToolCallDelta
from engines.errors import AgentError, ContextTooLongError, RequestRefusedError, UnsupportedFeatureError

UNTOLD_CONTEXT = 4096
"""Of a server that speaks the same protocol but does not tell its context, as vLLM does."""

MAX_LOGPROBS = 20
"""vLLM's default ``--max-logprobs``; more is a 400."""

NOTHING = TextDelta("")

LORA_HINT = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"

TOO_LONG = re.compile(r"context length is (\d+) tokens.*?(\d+) input tokens")
SCHEMA = re.compile(
    r"Grammar error|grammar specification|structured output|Failed to transform json schema|Unsupported JSON"
)
BILLIONS = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)([bm])(?![a-z\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """A model or an adapter, as ``/v1/models`` lists it."""

    name: str
    base: str
    """The model it adapts, empty for a model."""
    context: int
    """Tokens; of an adapter, those of its base."""
    source: str
    """Folder or repository it was loaded from."""

    @property
    def billions(self) -> float:
        """The size most models carry in their name (``Qwen3-4B``, ``smollm2-135m``), 0 without one."""
        told = BILLIONS.search(self.name) or BILLIONS.search(self.source)
        return float(told[1]) / (1 if told[2] in "bB" else 1000) if told else 0.0


def read_models(answer: JsonObject) -> Sequence[Served]:
    with readable(answer):
        cards = cast("list[JsonObject]", answer["data"])
        return [_read_card(card, cards) for card in cards]


def _read_card(card: JsonObject, cards: Sequence[JsonObject]) -> Served:
    base = str(card.get("parent") or "")
    bearer = next((other for other in cards if other["id"] == base), card)
    context = cast("int | None", bearer.get("max_model_len")) or UNTOLD_CONTEXT
    return Served(str(card["id"]), base, context, str(card.get("root") or ""))


def request_body(request: Request, served: Served, name: str) -> JsonObject:
    body = chat_body(request, name)
    body["max_tokens"] = min(request.max_tokens, served.context)
    if request.logprobs is not None:
        body["top_logprobs"] = min(request.logprobs, MAX_LOGPROBS)
    if request.choices:
        body["structured_outputs"] = {"choice": list(request.choices)}
    elif request.schema == {}:
        body["response_format"] = {"type": "json_object"}
    elif request.schema is not None:
        schema: JsonObject = {"name": "answer", "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.tools and request.tool_choice not in (None, "auto", "none"):
        body["tools"] = [_strict(tool) for tool in request.tools]
    if request.effort is not None:
        # Models that think in levels know no "off"; templates that can switch it off know no levels.
        body["reasoning_effort"] = "low" if request.effort == "off" else request.effort
        body["chat_template_kwargs"] = {"enable_thinking": request.effort != "off"}
    return body


def _strict(tool: JsonObject) -> JsonObject:
    """A tool that must be called: without ``strict`` vLLM lets its arguments be any JSON."""
    return {**tool, "function": {"strict": True, **cast("JsonObject", tool.get("function") or {})}}


async def as_promised(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """``events`` as the contract has them.

    Without thoughts, which a server without ``--reasoning-parser`` leaves in the text; without the end
    token's probability; ended by ``tool_calls`` where vLLM says ``stop`` of a tool demanded by name.
    """
    spoken, held, called = Spoken(), NOTHING, False
    async for event in events:
        ended = isinstance(event, Done) and event.finish_reason != "length"
        if ended:
            held = _without_end(held)
        if held != NOTHING:
            for delta in spoken.pass_on(held):
                yield delta
            held = NOTHING
        match event:
            case TextDelta() if event.logprobs:
                held = event
            case TextDelta():
                for delta in spoken.pass_on(event):
                    yield delta
            case ToolCallDelta():
                called = True
                yield event
            case Done():
                for delta in spoken.rest():
                    yield delta
                yield replace(event, finish_reason="tool_calls") if called and ended else event


def _without_end(last: TextDelta) -> TextDelta:
    """``last`` without a token that is none of its text. A busy server puts it beside others."""
    said = "".join(token.token for token in last.logprobs[:-1])
    return TextDelta(last.text, last.logprobs[:-1]) if said == last.text else last


def refine(status: int, message: str) -> AgentError | None:
    """vLLM's refusals, in our words."""
    if told := TOO_LONG.search(message):
        room, asked = told.groups()
        return ContextTooLongError(
            f"the prompt has at least {asked} tokens, the model takes {room}", hint="send less text"
        )
    if "LoRA is not enabled" in message:
        return UnsupportedFeatureError(f"vLLM answered {status}: {message}", hint=LORA_HINT)
    if "add_lora" in message:
        return RequestRefusedError(f"vLLM cannot load the adapter: {message}", hint="see the server's log")
    if status == 400 and SCHEMA.search(message):
        return UnsupportedFeatureError(f"vLLM cannot keep the schema: {message}", hint="leave that out")
    if "--enable-auto-tool-choice" in message:
        return UnsupportedFeatureError(f"vLLM has no tools: {message}", hint="start vLLM with these options")
    return None
