"""Edits of TOML leave all other bytes unchanged."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_server.clients.toml_table import TomlTableError, drop, parse, put

ENTRY: dict[str, Any] = {
    "command": 'a "b" \\',
    "args": ["stdio"],
    "tool_timeout_sec": 330,
    "env": {"A-b": "1"},
}

lines = st.sampled_from([
    'model = "gpt" # inline', "# a comment", "", "  ", "[ projects.'/home/me' ]\ntrust_level = \"trusted\"",
    "[mcp_servers.other]\ncommand = 'x'", "[mcp_servers.other.env]\nA = '1'", "[mcp_servers]",
    "[[list]]\na = [\n  1, # one\n]", "[notes]\ntext = '''\n[mcp_servers.ours-not]\n'''",
])  # fmt: skip


# Examples are slow on a loaded machine or under coverage.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def documents(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    parts = draw(st.lists(lines, max_size=6, unique=True))
    text = "\n".join(parts) + draw(st.sampled_from(["", "\n", "\n\n"]))
    try:
        parse(text)
    except TomlTableError:
        text = ""
    return text.replace("\n", newline)


@patient
@given(documents())
def test_adding_changes_one_thing_and_removing_gives_back_every_byte(text: str) -> None:
    value = parse(text)
    added = put(text, "mcp_servers", "ours", ENTRY)
    assert parse(added) == {**value, "mcp_servers": {**value.get("mcp_servers", {}), "ours": ENTRY}}
    assert drop(added, "mcp_servers", "ours") == text


@patient
@given(documents())
def test_an_update_is_as_if_it_had_been_added_so(text: str) -> None:
    once = put(text, "mcp_servers", "ours", ENTRY)
    assert put(once, "mcp_servers", "ours", {"command": "y"}) == put(
        text, "mcp_servers", "ours", {"command": "y"}
    )


@patient
@given(documents())
def test_a_table_that_others_were_written_after_is_cut_out_of_the_middle(text: str) -> None:
    newline = "\r\n" if "\r\n" in text else "\n"
    later = f"{newline}# the next one's{newline}[later]{newline}a = 1{newline}"
    added = put(text, "mcp_servers", "ours", ENTRY)
    if added.endswith("\n"):
        assert drop(added + later, "mcp_servers", "ours") == text + later


def test_tables_inside_ours_go_with_it() -> None:
    text = "a = 1\n[mcp_servers.ours]\ncommand = 'x'\n[mcp_servers.ours.env]\nA = '1'\n[b]\nc = 1\n"
    assert drop(text, "mcp_servers", "ours") == "a = 1\n[b]\nc = 1\n"


def test_a_line_separator_in_a_string_ends_no_line() -> None:
    text = "[mcp_servers.ours]\ncommand = 'x\u2028# y'\n\n# of the next one\n[b]\nc = 1\n"
    assert drop(text, "mcp_servers", "ours") == "\n# of the next one\n[b]\nc = 1\n"


def test_a_quoted_header_is_the_same_table() -> None:
    text = 'a = 1\n\n[ "mcp_servers" . \'ours\' ] # mine\ncommand = "x"\n'
    assert drop(text, "mcp_servers", "ours") == "a = 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "a = ",
        "mcp_servers = 1",
        "mcp_servers = { other = { command = 'x' } }",
        "[mcp_servers]\nours = { command = 'x' }",
        "[mcp_servers]\nours.command = 'x'",
    ],
)
def test_a_form_with_no_place_for_the_table_is_refused(text: str) -> None:
    with pytest.raises(TomlTableError):
        put(text, "mcp_servers", "ours", ENTRY)


def test_a_header_inside_a_string_is_not_taken_for_ours() -> None:
    text = "[mcp_servers]\nours = { command = 'x' }\n[notes]\ntext = '''\n[mcp_servers.ours]\n'''\n"
    with pytest.raises(TomlTableError):
        drop(text, "mcp_servers", "ours")


def test_what_is_not_there_cannot_be_taken_out() -> None:
    with pytest.raises(TomlTableError, match=r"mcp_servers\.ours"):
        drop("", "mcp_servers", "ours")


def test_toml_has_no_null() -> None:
    with pytest.raises(TomlTableError, match="null"):
        put("", "mcp_servers", "ours", {"a": None})
