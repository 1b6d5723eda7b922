"""Builds chat requests for llama.cpp's server, and rejects features it would ignore silently."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.llamacpp import grammar
from engines.backends.llamacpp.tools import required_tools, schema_of
from engines.backends.openai_json import chat_body
from engines.base import Event, JsonObject, JsonValue, Request, TextDelta
from engines.errors import AgentError, UnsupportedFeatureError
from engines.models.gguf_header import read_header
from engines.models.pull import ModelCard, context_of, parameters_of

THINKS = re.compile(r"enable_thinking|<\|channel\|>|add_generation_prompt.*<think>", re.DOTALL)
"""Matches chat templates of reasoning models."""
SCHEMA_ERROR = re.compile(r"JSON schema error at .*|failed to parse grammar", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a model, read from its file without loading it."""

    name: str
    context: int
    parameters: float
    tools: bool
    """Its chat template supports tools; llama.cpp drops them from the prompt otherwise."""
    thinks: bool


def read_facts(card: ModelCard, path: Path) -> Facts:
    template = str(read_header(path).metadata.get("tokenizer.chat_template", ""))
    return Facts(
        card.name,
        card.context or context_of(path),
        card.parameters or parameters_of(path),
        tools="tools" in template,
        thinks=bool(THINKS.search(template)),
    )


def body_of(request: Request, facts: Facts, adapters: Sequence[str]) -> JsonObject:
    """Returns the body of a chat completion; ``adapters`` are those loaded by the process, in its order.

    Raises:
        UnsupportedFeatureError: the model does not support a feature of the request.
    """
    _refuse(request, facts)
    called = required_tools(request)
    if called and facts.thinks:
        # llama.cpp parses the calls of such models, but cannot require a tool by name.
        request = replace(request, tools=called, tool_choice="required")
    elif called:
        # The tools are in the prompt, and constrained decoding requires a call of one of them.
        request = replace(request, tools=called, tool_choice="none", schema=schema_of(called))
    elif request.tool_choice == "none":
        request = replace(request, tools=())
    body = chat_body(request, facts.name)
    if request.logprobs is not None:
        # With 0 it omits the chosen token, too.
        body["top_logprobs"] = max(request.logprobs, 1)
    if request.choices:
        body["grammar"] = grammar.of_choices(request.choices)
    elif request.schema is not None and (facts.thinks or (request.tools and not called)):
        # Our grammar would forbid reasoning, or a call, before the JSON.
        schema: JsonObject = request.schema or {"type": "object"}
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    elif request.schema is not None:
        body["grammar"] = grammar.of_schema(request.schema)
    if request.effort is not None:
        level = "low" if request.effort == "off" else request.effort
        body["chat_template_kwargs"] = {"enable_thinking": request.effort != "off", "reasoning_effort": level}
    if adapters:
        body["lora"] = _scales(adapters, request.adapter)
    return body


def _scales(adapters: Sequence[str], chosen: str | None) -> list[JsonValue]:
    """Returns a scale for each adapter, 0 if not chosen: an omitted one may apply from the same batch."""
    return [{"id": number, "scale": float(name == chosen)} for number, name in enumerate(adapters)]


def _refuse(request: Request, facts: Facts) -> None:
    if request.tools and not facts.tools:
        raise UnsupportedFeatureError(
            f"{facts.name} does not support tools",
            hint="use a larger model, such as qwen2.5-coder-1.5b, or use a schema",
        )
    if request.choices and facts.thinks:
        raise UnsupportedFeatureError(
            f"{facts.name} reasons before it answers, so choices are not supported",
            hint="use a schema with enum instead",
        )


def refine_error(status: int, message: str) -> AgentError | None:
    """Maps schema errors of llama.cpp's converter; the ``refine`` of ``Wire``."""
    if found := SCHEMA_ERROR.search(message):
        return UnsupportedFeatureError(
            f"llama.cpp cannot enforce this schema: {found[0]}", hint="simplify the schema"
        )
    return None


async def check_grammar_applied(
    events: AsyncIterator[Event], schema: JsonObject
) -> AsyncGenerator[Event, None]:
    """Passes ``events`` through; raises if the grammar of ``schema`` was not applied.

    Raises:
        UnsupportedFeatureError: llama.cpp generates freely when llguidance refuses a grammar.
    """
    begun = False
    async for event in events:
        if isinstance(event, TextDelta) and event.text and not begun:
            begun = True
            if grammar.is_violated_by(event.text):
                keywords = grammar.unsupported_keywords(schema)
                found = ", ".join(keywords) or "no keyword is known to be the reason"
                raise UnsupportedFeatureError(
                    f"llama.cpp cannot enforce this schema: {found}",
                    hint="use no lookaround, \\b or back-reference in `pattern`; some value must satisfy it",
                )
        yield event
