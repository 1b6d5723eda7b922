"""Every argument has a bound: what is too large is refused by name, and at once."""

import time
from typing import cast

import pytest

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError
from tools.arguments import MOST_ARGUMENTS, parse
from tools.catalog import TOOLS
from tools.sources.files import MAX_FILE_BYTES

LONG = "x" * 4_000_000
MANY: list[JsonValue] = ["x"] * 1_000_000
SECONDS = 1.0
MESSAGE = 500
"""Characters of an error's message."""

NEEDED: dict[str, JsonObject] = {
    "classify": {"text": "x", "labels": ["a", "b"]},
    "extract": {"text": "x", "fields": ["a"]},
    "summarize": {"text": "x"},
    "chat": {"prompt": "x"},
}
INSTEAD = {"items": "text", "paths": "text", "schema": "fields", "messages": "prompt"}
"""The argument that cannot be given with the one in question."""
SOURCES = {"text", "items"}
"""What may be as long as a file."""


ARGUMENTS = [
    (tool.name, field.alias or name) for tool in TOOLS for name, field in tool.arguments.model_fields.items()
]


def refused(tool: str, name: str, value: JsonValue) -> str:
    [kind] = [each.arguments for each in TOOLS if each.name == tool]
    values = {key: given for key, given in NEEDED[tool].items() if key != INSTEAD.get(name)}
    started = time.perf_counter()
    with pytest.raises(InvalidArgumentsError) as caught:
        parse(kind, tool, {**values, name: value})
    assert time.perf_counter() - started < SECONDS
    assert len(caught.value.message) < MESSAGE
    return caught.value.message


@pytest.mark.parametrize(("tool", "name"), ARGUMENTS)
def test_a_string_of_4_mb_is_refused(tool: str, name: str) -> None:
    long = LONG * 5 if name in SOURCES else LONG
    assert name in refused(tool, name, long)


@pytest.mark.parametrize(("tool", "name"), ARGUMENTS)
def test_a_list_of_a_million_entries_is_refused(tool: str, name: str) -> None:
    assert name in refused(tool, name, MANY)


@pytest.mark.parametrize(("tool", "name"), ARGUMENTS)
def test_a_list_of_a_million_wrong_entries_is_refused(tool: str, name: str) -> None:
    wrong: list[JsonValue] = [cast("JsonValue", [])] * 1_000_000
    assert name in refused(tool, name, wrong)


@pytest.mark.parametrize(
    ("tool", "name", "value"),
    [
        ("classify", "items", ["x" * (MAX_FILE_BYTES + 1)]),
        ("summarize", "paths", [LONG]),
        ("classify", "labels", ["a", LONG]),
        ("classify", "labels", {"a": LONG, "b": ""}),
        ("classify", "labels", {LONG: "", "b": ""}),
        ("classify", "labels", '["a", "' + LONG + '"]'),
        ("classify", "labels", dict.fromkeys(map(str, range(1_000_000)), "x")),
        ("classify", "examples", [{"text": LONG, "label": "a"}]),
        ("classify", "examples", [{"text": "x", "label": LONG}]),
        ("classify", "examples", [{"text": "x", "label": f"{n}{'y' * 190}"} for n in range(9_000)]),
        ("extract", "fields", {"a": LONG}),
        ("extract", "fields", {LONG: "a"}),
        ("extract", "fields", dict.fromkeys(map(str, range(1_000_000)), "x")),
        ("extract", "schema", {"type": "object", "description": LONG}),
        ("extract", "schema", {"enum": MANY}),
        ("extract", "schema", '{"enum": ["' + LONG + '"]}'),
        ("extract", "schema", "[" * 4_000_000),
        ("chat", "messages", [{"role": "user", "content": LONG}]),
        ("chat", "messages", [{"role": LONG, "content": "x"}]),
        ("chat", "messages", [{"role": "tool", "content": "x", "tool_call_id": LONG}]),
        ("chat", "messages", [{"role": "assistant", "tool_calls": [{"function": {"name": LONG}}]}]),
        ("chat", "messages", [{"role": "assistant", "tool_calls": [{"function": {"name": "x"}}] * 5_000}]),
    ],
)  # fmt: skip
def test_what_is_inside_an_argument_has_a_bound(tool: str, name: str, value: JsonValue) -> None:
    assert name in refused(tool, name, value)


@pytest.mark.parametrize("tool", NEEDED)
def test_a_million_unknown_arguments_are_refused_together(tool: str) -> None:
    [kind] = [each.arguments for each in TOOLS if each.name == tool]
    started = time.perf_counter()
    with pytest.raises(InvalidArgumentsError, match=f"more than {MOST_ARGUMENTS} arguments"):
        parse(kind, tool, dict.fromkeys(map(str, range(1_000_000)), 1))
    assert time.perf_counter() - started < SECONDS
