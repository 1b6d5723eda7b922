"""Parses tool calls from a model's text, and builds the schema of required calls.

llama.cpp parses calls in the format of the model's template. Some models, such as Qwen2.5-Coder, write the
same JSON into a code fence instead, which llama.cpp returns as text.
"""

import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import cast

from engines.base import Done, Event, JsonObject, JsonValue, Request, TextDelta, ToolCallDelta

OPENINGS = ("{", "[", "```", "<tool_call>", "<tools>", "<function_call>")
"""Prefixes of a text that may be a call."""
OPENING = re.compile(r"\s*+(?:```\w*+|<\w+>)?+\s*+(?=[\[{])")
CLOSING = re.compile(r"\s*(?:```|</\w+>)?\s*")


def required_tools(request: Request) -> tuple[JsonObject, ...]:
    """Returns the tools of which one must be called; empty if the model may choose."""
    choice = request.tool_choice
    if choice == "required":
        return request.tools
    wanted = _function(choice).get("name") if isinstance(choice, dict) else None
    return tuple(tool for tool in request.tools if wanted and _function(tool).get("name") == wanted)


def schema_of(tools: Sequence[JsonObject]) -> JsonObject:
    """Returns the JSON Schema of a call of one of ``tools``."""
    calls: list[JsonValue] = []
    definitions: JsonObject = {}
    for tool in tools:
        function = _function(tool)
        parameters = dict(cast("JsonObject", function.get("parameters") or {"type": "object"}))
        definitions |= cast("JsonObject", parameters.pop("$defs", {}))
        properties: JsonObject = {"name": {"const": function["name"]}, "arguments": parameters}
        calls.append(
            {
                "type": "object",
                "properties": properties,
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return {"anyOf": calls, "$defs": definitions}


async def parse_tool_calls(
    events: AsyncIterator[Event], tools: Sequence[JsonObject]
) -> AsyncGenerator[Event]:
    """Passes ``events`` through, with calls in the text as tool calls; holds possible calls back."""
    names = {str(_function(tool)["name"]) for tool in tools}
    held: list[TextDelta] | None = []
    text = ""
    async for event in events:
        if isinstance(event, TextDelta) and held is not None:
            held.append(event)
            text = (text + event.text).lstrip()
            if not _may_be_call(text):
                for delta in held:
                    yield delta
                held = None
            continue
        if held:
            calls = read_calls(text, names) if isinstance(event, Done) else []
            for delta in calls or held:
                yield delta
            if calls and isinstance(event, Done):
                event = replace(event, finish_reason="tool_calls")
        held = None
        yield event


def read_calls(text: str, names: set[str]) -> list[ToolCallDelta]:
    """Returns the calls of tools in ``names`` at the start of ``text``; ignores the text after them."""
    calls: list[ToolCallDelta] = []
    decoder, at = json.JSONDecoder(), 0
    while opening := OPENING.match(text, at):
        try:
            value, at = cast("tuple[JsonValue, int]", decoder.raw_decode(text, opening.end()))
        except ValueError:
            break
        for call in value if isinstance(value, list) else [value]:
            if not isinstance(call, dict) or call.get("name") not in names:
                return calls
            arguments = json.dumps(call.get("arguments", {}), ensure_ascii=False)
            name = str(call["name"])
            calls.append(ToolCallDelta(len(calls), f"call_{secrets.token_hex(8)}", name, arguments))
        closing = CLOSING.match(text, at)
        at = closing.end() if closing else at
    return calls


def _may_be_call(text: str) -> bool:
    return text.startswith(OPENINGS) or any(opening.startswith(text) for opening in OPENINGS)


def _function(tool: JsonObject) -> JsonObject:
    return cast("JsonObject", tool.get("function") or {})
