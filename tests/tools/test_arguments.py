"""Arguments: errors name the field; loose but unambiguous notations are accepted."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import tokens
from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError
from mcp_server.protocol.server import INSTRUCTIONS, listed
from tools.arguments import Arguments, compact_schema, parse
from tools.catalog import TOOLS, definitions
from tools.chat.tool import ChatArguments
from tools.classify.arguments import ClassifyArguments
from tools.extract.tool import ExtractArguments
from tools.summarize.tool import SummarizeArguments

KINDS: dict[str, type[Arguments]] = {tool.name: tool.arguments for tool in TOOLS}

MAX_DEFINITION_TOKENS = 900
MAX_DESCRIPTION_BYTES = 2_048
"""Where hosts cut."""

CLASSIFY: JsonObject = {"labels": ["a", "b"], "text": "x"}


def refused(tool: str, arguments: object) -> InvalidArgumentsError:
    with pytest.raises(InvalidArgumentsError) as caught:
        parse(KINDS[tool], tool, arguments)
    return caught.value


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("classify", {**CLASSIFY, "text": 3}, "text: "),
        ("classify", {"labels": ["a", "b"], "items": []}, "items: "),
        ("classify", {"labels": ["a", "b"], "items": ["x", 3]}, "items.1: "),
        ("classify", {"labels": ["a", "b"], "paths": []}, "paths: "),
        ("classify", {"labels": ["a", "b"], "paths": [None]}, "paths.0: "),
        ("classify", {"labels": ["a", "b"]}, "give one of text, items, paths"),
        ("classify", {"labels": ["a", "b"], "text": None}, "give one of text, items, paths"),
        ("classify", {**CLASSIFY, "items": ["y"]}, "give one of text, items, paths, not text and items"),
        ("classify", {**CLASSIFY, "paths": "y"}, "give one of text, items, paths, not text and paths"),
        ("classify", {**CLASSIFY, "paths": "y", "items": "z"}, "not text and items and paths"),
        ("classify", {**CLASSIFY, "label": "a"}, "label: "),
        ("classify", {**CLASSIFY, "instructions": "x" * 8_001}, "instructions: "),
        ("classify", {**CLASSIFY, "split": 3}, "split: "),
        ("classify", {**CLASSIFY, "tier": 3}, "tier: "),
        ("classify", {"text": "x"}, "labels: "),
        ("classify", {"text": "x", "labels": []}, "labels: "),
        ("classify", {"text": "x", "labels": 3}, "labels: "),
        ("classify", {"text": "x", "labels": {"a": 1, "b": "c"}}, "labels.a: "),
        ("classify", {"text": "x", "labels": ["a"]}, "labels: give at least two"),
        ("classify", {"text": "x", "labels": ["a", " "]}, "labels: a label is empty"),
        ("classify", {"text": "x", "labels": [str(n) for n in range(1_001)]}, "labels: "),
        ("classify", {**CLASSIFY, "min_confidence": 1.1}, "min_confidence: "),
        ("classify", {**CLASSIFY, "min_confidence": "high"}, "min_confidence: "),
        ("classify", {**CLASSIFY, "multi": "maybe"}, "multi: "),
        ("classify", {**CLASSIFY, "examples": [{"text": "x"}]}, "examples.0.label: "),
        ("classify", {**CLASSIFY, "examples": [{"text": "x", "label": "c"}]}, "labels not in the list: c"),
        ("extract", {"text": "x"}, "give one of schema, fields"),
        ("extract", {"text": "x", "schema": {}, "fields": {"a": "b"}}, "give one of schema, fields"),
        ("extract", {"text": "x", "schema": [1]}, "schema: "),
        ("extract", {"text": "x", "fields": {}}, "fields: should have at least 1 item, not 0"),
        ("classify", {"items": [], "labels": ["a", "b"]}, "items: should have at least 1 item, not 0"),
        ("extract", {"text": "x", "fields": {"a": 3}}, "fields.a: "),
        ("extract", {"text": "x", "fields": {"a": "b"}, "many": "lots"}, "many: "),
        ("summarize", {"text": "x", "max_words": 0}, "max_words: "),
        ("summarize", {"text": "x", "max_words": 2_001}, "max_words: "),
        ("summarize", {"text": "x", "style": "haiku"}, "style: "),
        ("summarize", {"text": "x", "focus": "y" * 2_001}, "focus: "),
        ("summarize", {}, "give one of text, items, paths"),
        ("chat", {}, "give one of prompt, messages"),
        ("chat", {"prompt": "x", "messages": []}, "give one of prompt, messages"),
        ("chat", {"prompt": ""}, "prompt or messages is empty"),
        ("chat", {"messages": []}, "prompt or messages is empty"),
        ("chat", {"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: "),
        ("chat", {"prompt": "x", "temperature": 2.1}, "temperature: "),
        ("chat", {"prompt": "x", "max_tokens": 0}, "max_tokens: "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tool: str, arguments: JsonObject, named: str) -> None:
    error = refused(tool, arguments)
    assert error.message.startswith(f"{tool}: ")
    assert named in error.message
    assert error.hint.startswith(f"{tool} takes: ")
    assert error.kind == "caller"


def test_everything_that_does_not_fit_is_named_at_once() -> None:
    error = refused("classify", {"labels": [], "text": 1, "min_confidence": 2, "lables": 1})
    for field in ("labels: ", "text: ", "min_confidence: ", "lables: "):
        assert field in error.message


@pytest.mark.parametrize("arguments", [None, [], "text", 3])
def test_arguments_are_an_object(arguments: object) -> None:
    assert refused("classify", arguments).message.startswith("classify: arguments: ")


def test_a_string_is_a_list_of_one() -> None:
    assert parse(SummarizeArguments, "summarize", {"paths": "a.md"}).paths == ["a.md"]
    assert parse(SummarizeArguments, "summarize", {"items": "text"}).items == ["text"]


def test_a_list_or_an_object_quoted_as_json_is_taken_as_what_it_holds() -> None:
    assert parse(SummarizeArguments, "summarize", {"paths": '["a.md", "b.md"]'}).paths == ["a.md", "b.md"]
    assert parse(ClassifyArguments, "classify", {**CLASSIFY, "labels": '["a", "b"]'}).labels == {
        "a": "",
        "b": "",
    }
    assert (
        parse(ClassifyArguments, "classify", {**CLASSIFY, "labels": '{"a": "1", "b": "2"}'}).labels["b"]
        == "2"
    )
    examples = '[{"text": "x", "label": "a"}]'
    assert parse(ClassifyArguments, "classify", {**CLASSIFY, "examples": examples}).examples
    assert parse(ExtractArguments, "extract", {"text": "x", "schema": '{"type": "object"}'}).schema_
    assert parse(ChatArguments, "chat", {"messages": '[{"role": "user", "content": "x"}]'}).messages


def test_a_string_that_only_looks_like_json_stays_one() -> None:
    assert parse(SummarizeArguments, "summarize", {"paths": "[a-c]*.md"}).paths == ["[a-c]*.md"]
    assert parse(SummarizeArguments, "summarize", {"items": '{"a": 1}'}).items == ['{"a": 1}']
    assert parse(SummarizeArguments, "summarize", {"text": '["a"]'}).text == '["a"]'


def test_fields_without_descriptions_are_a_list() -> None:
    parsed = parse(ExtractArguments, "extract", {"text": "x", "fields": ["version", "date"]})
    assert parsed.fields == {"version": "", "date": ""}


def test_a_misspelt_argument_gets_the_right_name_as_hint() -> None:
    assert (
        "lables: there is no such argument, did you mean labels?"
        in refused("classify", {"text": "x", "lables": ["a"]}).message
    )


def test_a_refusal_is_as_short_however_long_what_was_refused() -> None:
    message = refused("classify", {**CLASSIFY, **{f"{n}{'x' * 500}": 1 for n in range(50)}}).message
    assert "and 45 more" in message
    assert len(message) < 800


@pytest.mark.parametrize("arguments", [None, {"messages": ["x"]}, {"prompt": 3, "nonsense": 1}])
def test_a_refusal_names_nothing_of_the_code(arguments: object) -> None:
    message = refused("chat", arguments).message
    assert not any(word in message for word in ("Arguments", "ChatMessage", "Extra inputs", "instance"))


def test_labels_are_a_list_or_an_object() -> None:
    assert parse(ClassifyArguments, "classify", CLASSIFY).labels == {"a": "", "b": ""}
    described = {**CLASSIFY, "labels": {"a": "first", "b": "second"}}
    assert parse(ClassifyArguments, "classify", described).labels == {"a": "first", "b": "second"}


def test_one_label_is_enough_where_any_number_fits() -> None:
    assert parse(ClassifyArguments, "classify", {"text": "x", "labels": ["a"], "multi": True}).multi


def test_chat_needs_no_source() -> None:
    assert parse(ChatArguments, "chat", {"prompt": "x"}).sources_given == []


JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)
FIELDS = sorted({name for kind in KINDS.values() for name in (*kind.model_fields, "schema")})


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6) | JSON)
def test_any_arguments_are_taken_or_refused(tool: str, arguments: JsonValue) -> None:
    try:
        parsed = parse(KINDS[tool], tool, arguments)
    except InvalidArgumentsError:
        return
    assert len(parsed.sources_given) <= 1


# What every agent carries in its context


def test_all_definitions_together_are_small(tmp_path: Path) -> None:
    tools = [listed(tool).model_dump(by_alias=True, exclude_none=True) for tool in definitions()]
    count = tokens.load(tmp_path).count(json.dumps(tools, ensure_ascii=False, separators=(",", ":")))
    assert count <= MAX_DEFINITION_TOKENS


def test_no_host_cuts_the_descriptions_of_the_tools() -> None:
    descriptions = [INSTRUCTIONS, *(tool.description for tool in definitions())]
    assert max(len(text.encode()) for text in descriptions) < MAX_DESCRIPTION_BYTES


def test_only_the_tools_are_listed_that_only_read() -> None:
    for tool in definitions():
        annotations = listed(tool).annotations
        assert annotations is not None
        assert annotations.read_only_hint


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_listed_schema_names_the_fields_an_agent_needs(tool: object) -> None:
    kind = KINDS[tool.name]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    schema = compact_schema(kind)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert {"text", "items", "paths"} <= set(properties)
    assert set(properties) == {
        field.alias or name for name, field in kind.model_fields.items() if name not in kind.unlisted
    }
    noise = json.dumps(schema)
    for word in ('"title"', '"default"', '"$ref"', '"$defs"', '"null"', "schema_"):
        assert word not in noise
