"""``docs/openai.md`` tells what becomes of each field of a chat completion."""

import re
from pathlib import Path

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from engines.base import JsonObject
from shim.errors import WrongFieldError
from shim.openai.wire import ChatRequest, parse_chat

PAGE = Path(__file__).parent.parent.parent / "docs" / "openai.md"
TOLD = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
USER: JsonObject = {"messages": [{"role": "user", "content": "x"}]}


def test_every_field_that_is_read_is_told_and_no_other_is() -> None:
    assert {name for name, fate in TOLD.items() if fate in {"kept", "refused"}} == set(
        ChatRequest.model_fields
    )


def test_every_field_of_openai_is_told() -> None:
    known = {*CompletionCreateParamsBase.__annotations__, "stream"}
    assert known <= set(TOLD)


@pytest.mark.parametrize("name", [name for name, fate in TOLD.items() if fate == "ignored"])
def test_an_ignored_field_changes_nothing(name: str) -> None:
    assert parse_chat({**USER, name: {"any": ["value"]}}) == parse_chat(USER)


@pytest.mark.parametrize("name", [name for name, fate in TOLD.items() if fate == "refused"])
def test_a_refused_field_says_what_to_do(name: str) -> None:
    with pytest.raises(WrongFieldError) as refused:
        parse_chat({**USER, name: 2})
    assert refused.value.param == name
    assert refused.value.hint
    assert parse_chat({**USER, name: 1})
