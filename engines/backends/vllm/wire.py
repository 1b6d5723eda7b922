"""vLLM-specific request fields, model list and error messages. No I/O."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from engines.backends.openai_json import chat_body, readable
from engines.backends.thinking import ThoughtFilter
from engines.base import Done, Event, JsonObject, Request, TextDelta, ToolCallDelta
from engines.errors import AgentError, ContextTooLongError, RequestRefusedError, UnsupportedFeatureError

DEFAULT_CONTEXT = 4096
"""Context of a compatible server that does not report ``max_model_len``."""

MAX_LOGPROBS = 20
"""vLLM's default ``--max-logprobs``; more is a 400."""

EMPTY = TextDelta("")

LORA_HINT = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"

TOO_LONG = re.compile(r"context length is (\d+) tokens.*?(\d+) input tokens")
SCHEMA = re.compile(
    r"Grammar error|grammar specification|structured output|Failed to transform json schema|Unsupported JSON"
)
BILLIONS = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)([bm])(?![a-z\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """A model or an adapter in ``/v1/models``."""

    name: str
    base: str
    """The model it adapts, empty for a model."""
    context: int
    """Context in tokens; an adapter has its base model's."""
    source: str
    """Folder or repository it was loaded from."""

    @property
    def billions(self) -> float:
        """Billions of weights, from the model's name (``Qwen3-4B``, ``smollm2-135m``); 0 if not named."""
        found = BILLIONS.search(self.name) or BILLIONS.search(self.source)
        return float(found[1]) / (1 if found[2] in "bB" else 1000) if found else 0.0


def read_models(answer: JsonObject) -> Sequence[Served]:
    with readable(answer):
        cards = cast("list[JsonObject]", answer["data"])
        return [_read_card(card, cards) for card in cards]


def _read_card(card: JsonObject, cards: Sequence[JsonObject]) -> Served:
    base = str(card.get("parent") or "")
    source = next((other for other in cards if other["id"] == base), card)
    context = cast("int | None", source.get("max_model_len")) or DEFAULT_CONTEXT
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
        # Models with reasoning levels have no "off"; templates with an off switch have no levels.
        body["reasoning_effort"] = "low" if request.effort == "off" else request.effort
        body["chat_template_kwargs"] = {"enable_thinking": request.effort != "off"}
    return body


def _strict(tool: JsonObject) -> JsonObject:
    """Sets ``strict`` on a required tool: otherwise vLLM does not constrain its arguments."""
    return {**tool, "function": {"strict": True, **cast("JsonObject", tool.get("function") or {})}}


async def normalized(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """Adapts vLLM's ``events`` to the ``Engine`` contract.

    Removes reasoning, which a server without ``--reasoning-parser`` leaves in the text, and the end
    token's logprob; corrects the finish reason of a tool required by name, which vLLM reports as ``stop``.
    """
    thoughts, held, called = ThoughtFilter(), EMPTY, False
    async for event in events:
        ended = isinstance(event, Done) and event.finish_reason != "length"
        if ended:
            held = _without_end(held)
        if held != EMPTY:
            for delta in thoughts.feed(held):
                yield delta
            held = EMPTY
        match event:
            case TextDelta() if event.logprobs:
                held = event
            case TextDelta():
                for delta in thoughts.feed(event):
                    yield delta
            case ToolCallDelta():
                called = True
                yield event
            case Done():
                for delta in thoughts.flush():
                    yield delta
                yield replace(event, finish_reason="tool_calls") if called and ended else event


def _without_end(last: TextDelta) -> TextDelta:
    """Removes the end token, which is not part of the text, from the logprobs of ``last``."""
    text = "".join(token.token for token in last.logprobs[:-1])
    return TextDelta(last.text, last.logprobs[:-1]) if text == last.text else last


def refine(status: int, message: str) -> AgentError | None:
    """Maps vLLM's error messages to errors; the ``refine`` of ``Wire``."""
    if found := TOO_LONG.search(message):
        limit, tokens = found.groups()
        return ContextTooLongError(
            f"the prompt has at least {tokens} tokens, the model takes {limit}", hint="send less text"
        )
    if "LoRA is not enabled" in message:
        return UnsupportedFeatureError(f"vLLM answered {status}: {message}", hint=LORA_HINT)
    if "add_lora" in message:
        return RequestRefusedError(f"vLLM cannot load the adapter: {message}", hint="see the server's log")
    if status == 400 and SCHEMA.search(message):
        return UnsupportedFeatureError(f"vLLM cannot enforce the schema: {message}", hint="leave that out")
    if "--enable-auto-tool-choice" in message:
        return UnsupportedFeatureError(
            f"vLLM does not accept tools: {message}", hint="start vLLM with these options"
        )
    return None
