"""vLLM-specific request fields and error messages. No I/O."""

import re
from typing import cast

from engines.backends.openai_json import chat_body
from engines.backends.openai_models import DEFAULT_CONTEXT, Served
from engines.base import JsonObject, Request
from engines.errors import AgentError, ContextTooLongError, RequestRefusedError, UnsupportedFeatureError

MAX_LOGPROBS = 20
"""vLLM's default ``--max-logprobs``; more is a 400."""

LORA_HINT = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"

TOO_LONG = re.compile(r"context length is (\d{1,12}) tokens.{0,300}?\b(\d{1,12}) input tokens")
SCHEMA = re.compile(
    r"Grammar error|grammar specification|structured output|Failed to transform json schema|Unsupported JSON"
)


def request_body(request: Request, served: Served, name: str) -> JsonObject:
    body = chat_body(request, name)
    body["max_tokens"] = min(request.max_tokens, served.context or DEFAULT_CONTEXT)
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
