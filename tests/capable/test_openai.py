"""Tests ``/v1`` with a capable model: structured output, tool calls and streams."""

import json
from collections.abc import AsyncGenerator

import anyio
import pytest
from openai import AsyncOpenAI
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
    ChatCompletionToolChoiceOptionParam,
)
from pydantic import BaseModel

from tests.capable.asking import BOTH, DEADLINE_S, LARGER_ONLY, PERSON
from tests.test_transports_agree import ServedProject

pytestmark = [pytest.mark.anyio, pytest.mark.capable]


def tool(name: str, description: str, *arguments: str) -> ChatCompletionFunctionToolParam:
    parameters: dict[str, object] = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


TOOLS = [
    tool("weather", "The weather of a city now", "city"),
    tool("send_mail", "Send a mail", "to", "text"),
]
OSLO = "What is the weather in Oslo now?"


@pytest.fixture
async def client(served: ServedProject) -> AsyncGenerator[AsyncOpenAI, None]:
    url = f"{served.url}/v1"
    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=DEADLINE_S) as openai:
        yield openai


async def called(
    client: AsyncOpenAI, prompt: str, tool_choice: ChatCompletionToolChoiceOptionParam
) -> tuple[str, dict[str, str]]:
    """Returns name and arguments of the one function that the model calls for ``prompt``."""
    with anyio.fail_after(DEADLINE_S):
        answer = await client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": prompt}],
            tools=TOOLS,
            tool_choice=tool_choice,
            max_tokens=100,
            temperature=0,
        )
    assert answer.choices[0].finish_reason == "tool_calls", answer.choices[0].message.content
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    return call.function.name, json.loads(call.function.arguments)


@BOTH
async def test_a_response_format_is_kept_and_filled_rightly(client: AsyncOpenAI) -> None:
    class Person(BaseModel):
        name: str
        age: int
        city: str

    with anyio.fail_after(DEADLINE_S):
        answer = await client.chat.completions.parse(
            model="auto",
            messages=[{"role": "user", "content": f"{PERSON}\n\nWho is the text about?"}],
            response_format=Person,
            temperature=0,
        )
    found = answer.choices[0].message.parsed
    assert found is not None
    assert (found.name, found.age) == ("Maria Lopez", 34)
    assert found.city.startswith("Valencia")


@BOTH
@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("Name the seven days of the week.", "wednesday"),
        ("Di en español los siete días de la semana.", "miércoles"),
    ],
    ids=["English", "Spanish"],
)
async def test_an_answer_is_streamed_and_ends_with_its_usage(
    client: AsyncOpenAI, prompt: str, word: str
) -> None:
    with anyio.fail_after(DEADLINE_S):
        stream = await client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=80,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        *chunks, last = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert word in "".join(pieces).lower()
    assert last.usage is not None
    assert 10 <= len(pieces) <= last.usage.completion_tokens <= 80
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


@BOTH
@pytest.mark.parametrize("choice", ["auto", "required"])
async def test_the_function_that_fits_is_called(
    client: AsyncOpenAI, choice: ChatCompletionToolChoiceOptionParam
) -> None:
    assert await called(client, OSLO, choice) == ("weather", {"city": "Oslo"})


@LARGER_ONLY
async def test_a_spanish_question_calls_the_function_too(client: AsyncOpenAI) -> None:
    assert await called(client, "¿Qué tiempo hace ahora en Sevilla?", "auto") == (
        "weather",
        {"city": "Sevilla"},
    )


@LARGER_ONLY
async def test_a_function_with_two_arguments_gets_both(client: AsyncOpenAI) -> None:
    name, arguments = await called(
        client, "Send a mail to ana@example.com that says: the build is green.", "auto"
    )
    assert (name, arguments["to"]) == ("send_mail", "ana@example.com")
    assert "build is green" in arguments["text"]


@BOTH
async def test_the_function_that_is_named_is_the_one_called(client: AsyncOpenAI) -> None:
    named: ChatCompletionToolChoiceOptionParam = {"type": "function", "function": {"name": "weather"}}
    name, arguments = await called(client, "Mail ana@example.com about the weather in Oslo.", named)
    assert (name, arguments) == ("weather", {"city": "Oslo"})


@LARGER_ONLY
async def test_the_result_of_a_function_is_put_into_words(client: AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": OSLO},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "-4 degrees, snow"},
    ]
    with anyio.fail_after(DEADLINE_S):
        answer = await client.chat.completions.create(
            model="auto", messages=messages, tools=TOOLS, tool_choice="none", max_tokens=60, temperature=0
        )
    assert not answer.choices[0].message.tool_calls
    assert "snow" in (answer.choices[0].message.content or "")
