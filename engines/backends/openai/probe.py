"""Finds out what a model on an unknown server can do, with tiny requests.

Servers ignore what they do not know, so each answer is checked for what only a server with the feature
would answer.
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from engines.base import Completion, JsonObject, Message, Request
from engines.errors import AgentError, EngineUnavailableError

LONGEST = 200
"""Answer tokens of a probe; a server without the feature answers with a few words."""

SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"fruit": {"type": "string", "enum": ["kiwi"]}},
    "required": ["fruit"],
    "additionalProperties": False,
}
CHOICES = ("kiwi", "mango")
TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "eat",
        "description": "Eats a fruit",
        "parameters": {
            "type": "object",
            "properties": {"fruit": {"enum": ["kiwi"]}},
            "required": ["fruit"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """Features that a model on a server was seen to have."""

    json_schema: bool = False
    choice: bool = False
    logprobs: bool = False
    tools: bool = False


EVERYTHING = Abilities(json_schema=True, choice=True, logprobs=True, tools=True)
"""For the requests of a probe."""


async def probe(
    ask: Callable[[Request], Awaitable[Completion]], check: Callable[[], Awaitable[None]]
) -> Abilities:
    """Returns what the model can do; ``check`` raises if the server does not answer any more.

    Raises:
        AgentError: the model does not answer at all, or not in time.
    """

    async def attempt(**fields: object) -> Completion | None:
        try:
            return await ask(_request(**fields))
        except EngineUnavailableError:
            await check()
            return None
        except AgentError as error:
            if error.retryable:
                raise
            return None

    await ask(_request(max_tokens=1))
    plain = await attempt(logprobs=1, max_tokens=2)
    object_ = await attempt(schema=SCHEMA)
    choice = await attempt(choices=CHOICES)
    called = await attempt(tools=(TOOL,), tool_choice="required")
    return Abilities(
        json_schema=object_ is not None and _is_kiwi(object_.text),
        choice=choice is not None and choice.text in CHOICES,
        logprobs=plain is not None and bool(plain.logprobs),
        tools=called is not None and any(call.name == "eat" for call in called.tool_calls),
    )


def _request(**fields: object) -> Request:
    message = Message("user", "Say hello.")
    return replace(Request((message,), max_tokens=LONGEST), **fields)


def _is_kiwi(text: str) -> bool:
    with suppress(ValueError):
        return json.loads(text) == {"fruit": "kiwi"}
    return False
