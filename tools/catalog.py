"""The list of the four tools and their definitions, in the order agents see them."""

from dataclasses import dataclass
from typing import Any

from engines.base import JsonObject
from tools.arguments import compact_schema
from tools.chat.tool import Chat
from tools.classify.tool import Classify
from tools.extract.tool import Extract
from tools.summarize.tool import Summarize
from tools.tool import Tool

# Each tool has its own argument type; the dispatcher parses with ``tool.arguments``.
TOOLS: tuple[Tool[Any], ...] = (Classify(), Extract(), Summarize(), Chat())


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """Name, description and schemas of a tool, as transports list it."""

    name: str
    description: str
    input_schema: JsonObject
    output_schema: JsonObject | None
    plain: str


def definitions() -> tuple[ToolDefinition, ...]:
    return tuple(
        ToolDefinition(
            tool.name, tool.description, compact_schema(tool.arguments), tool.output_schema, tool.plain
        )
        for tool in TOOLS
    )
