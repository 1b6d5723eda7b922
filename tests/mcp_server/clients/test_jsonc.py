"""Edits of JSON with comments leave all other bytes unchanged."""

import json
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_server.clients.jsonc import JsoncError, drop, parse, put

ENTRY: dict[str, Any] = {"command": "x", "args": ["stdio"]}
PATH = ("mcpServers", "ours")

space = st.sampled_from(["", " ", "\n", "\n  ", "\t", "\r\n    ", " // note, {\n", "/* , } */", "\n\n"])
names = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=6)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just(1.5e-7))


# Examples are slow on a loaded machine or under coverage.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Draws a text for ``value`` with comments, white space and trailing commas."""

    def gap() -> str:
        return draw(space)

    if isinstance(value, dict):
        value = cast("dict[str, Any]", value)
        pairs = [f"{gap()}{json.dumps(k)}{gap()}:{gap()}{draw(written(v))}" for k, v in value.items()]
        return (
            "{"
            + f"{gap()},".join(pairs)
            + gap()
            + ("," if pairs and draw(st.booleans()) else "")
            + gap()
            + "}"
        )
    if isinstance(value, list):
        value = cast("list[Any]", value)
        items = [gap() + draw(written(each)) for each in value]
        return (
            "["
            + f"{gap()},".join(items)
            + gap()
            + ("," if items and draw(st.booleans()) else "")
            + gap()
            + "]"
        )
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


trees = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(names, deeper, max_size=3),
    max_leaves=8,
)
others = st.dictionaries(names.filter(lambda name: name != "mcpServers"), trees, max_size=3)
servers = st.dictionaries(names.filter(lambda name: name != "ours"), trees, min_size=1, max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, Any]:
    table: dict[str, Any] = {"mcpServers": draw(servers)}
    beside: dict[str, Any] = draw(others)
    value = table | beside if draw(st.booleans()) else beside | table
    lead = draw(st.sampled_from(["", "\n", "// head\n"]))
    return lead + draw(written(value)) + draw(st.sampled_from(["", "\n", "\r\n", " // end"])), value


@patient
@given(documents())
def test_what_people_type_is_read(document: tuple[str, Any]) -> None:
    text, value = document
    assert parse(text).value == value


@patient
@given(documents())
def test_adding_changes_one_thing_and_removing_gives_back_every_byte(document: tuple[str, Any]) -> None:
    text, value = document
    added = put(text, PATH, ENTRY)
    assert parse(added).value == {**value, "mcpServers": {**value["mcpServers"], "ours": ENTRY}}
    assert drop(added, PATH) == text


@patient
@given(documents())
def test_a_table_that_was_made_for_the_entry_goes_with_it(document: tuple[str, Any]) -> None:
    text, value = document
    added = put(text, ("servers of ours", "ours"), ENTRY)
    assert parse(added).value == {**value, "servers of ours": {"ours": ENTRY}}
    assert drop(added, ("servers of ours", "ours")) == text


@patient
@given(documents(), trees)
def test_an_update_changes_the_entry_alone(document: tuple[str, Any], other: Any) -> None:
    text, value = document
    changed: dict[str, Any] = {"command": "y", "env": {"A": other}}
    updated = put(put(text, PATH, ENTRY), PATH, changed)
    assert parse(updated).value == {**value, "mcpServers": {**value["mcpServers"], "ours": changed}}
    assert drop(updated, PATH) == text


def test_the_entry_is_indented_as_its_neighbours_are() -> None:
    text = '{\n\t"mcpServers": {\n\t\t"a": {} // keep\n\t}\n}\n'
    assert put(text, PATH, {"command": "x"}) == (
        '{\n\t"mcpServers": {\n\t\t"a": {}, // keep\n\t\t"ours": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n'
    )


def test_a_file_on_one_line_stays_on_one_line() -> None:
    text = '{"mcpServers": {"a": {}}}'
    assert put(text, PATH, {"command": "x"}) == '{"mcpServers": {"a": {}, "ours": {"command": "x"}}}'


def test_lines_end_as_they_did() -> None:
    added = put('{\r\n  "a": 1\r\n}\r\n', PATH, ENTRY)
    assert added.count("\r\n") == added.count("\n")


def test_of_two_members_with_one_name_readers_see_the_last() -> None:
    text = '{"mcpServers": {"a": 1}, "mcpServers": {"b": 2}}'
    assert parse(put(text, PATH, ENTRY)).value == {"mcpServers": {"b": 2, "ours": ENTRY}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a" 1}',
        '{"a": 1 "b": 2}',
        "{a: 1}",
        '{"a": }',
        '["x"',
        '["x" 1]',
        '{"a": 1} x',
        '"\n"',
        "/* open",
        '"\\x"',
    ],
)
def test_what_is_no_json_is_refused_by_line(text: str) -> None:
    with pytest.raises(JsoncError, match=r"^line \d+: "):
        parse(text)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(JsoncError, match="deep"):
        parse("[" * 100_000)


@pytest.mark.parametrize("text", ["[]", '{"mcpServers": []}', '{"mcpServers": null}'])
def test_there_must_be_objects_on_the_way(text: str) -> None:
    with pytest.raises(JsoncError, match="object"):
        put(text, PATH, ENTRY)


def test_what_is_not_there_cannot_be_taken_out() -> None:
    with pytest.raises(JsoncError, match=r"mcpServers\.ours"):
        drop('{"mcpServers": {}}', PATH)
