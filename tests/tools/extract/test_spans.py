"""Names and phrases by embedding; the embeddings are fixed here, so that the surrounding text decides."""

from collections.abc import Sequence

import pytest

from engines.base import Embeddings, JsonObject
from tools.extract.fields import Field, read
from tools.extract.layout import Layout
from tools.extract.spans import EXAMPLES, named
from tools.extract.values import plain

pytestmark = pytest.mark.anyio

PERSON = EXAMPLES[0][1].split("|")
CITY = EXAMPLES[2][1].split("|")
ALIKE = (
    {"author", "guest", "Ann Lee", "Bo Park", *PERSON},
    {"city", "Lyon", "New Delhi", *CITY},
    {"title", "The Sea in Winter"},
    {"device", "smart plug"},
)


async def meaning(texts: Sequence[str]) -> Embeddings:
    """Embeds texts of one group as similar, and all others as similar to nothing."""
    axes = len(ALIKE) + len(texts)
    vectors: list[tuple[float, ...]] = []
    for index, text in enumerate(texts):
        axis = next((i for i, group in enumerate(ALIKE) if text in group), len(ALIKE) + index)
        vectors.append(tuple(float(i == axis) for i in range(axes)))
    return Embeddings(tuple(vectors), 0, "told")


def fields(names: Sequence[str]) -> Sequence[Field]:
    """Returns fields of these names; an exclamation mark makes one required."""
    properties: JsonObject = {
        name.strip("!"): {"type": "string" if name.endswith("!") else ["string", "null"]} for name in names
    }
    field = read({"type": "object", "properties": properties, "required": list(properties)})
    assert field is not None
    return field.parts


async def found(text: str, *names: str, topic: Sequence[str] = ()) -> object:
    return plain(await named(fields(names), Layout(text), topic, [], meaning))


async def test_names_go_to_the_field_they_are_like_and_to_no_other() -> None:
    assert await found("Send the form to Ann Lee in New Delhi.", "author", "city") == {
        "author": "Ann Lee",
        "city": "New Delhi",
    }


async def test_a_field_nothing_is_like_stays_empty() -> None:
    assert await found("It rained all week and nobody came.", "author", "city") == {}


async def test_a_title_keeps_the_small_words_inside_of_it() -> None:
    assert await found("I would like to read The Sea in Winter today", "title") == {
        "title": "The Sea in Winter"
    }


async def test_what_stands_before_the_fields_own_word_is_its_value() -> None:
    assert await found("put it on the rainy sunday playlist", "playlist!") == {"playlist": "rainy sunday"}


async def test_counts_limits_and_units_are_distinguished() -> None:
    text = "I give this 4 of 5 points"
    assert await found(text, "rating_value", "best_rating", "rating_unit") == {
        "rating_value": "4",
        "best_rating": "5",
        "rating_unit": "points",
    }


async def test_an_owner_is_a_possessive() -> None:
    assert await found("add it to kim's songs", "song_owner") == {"song_owner": "kim's"}


async def test_the_subject_of_the_question_is_no_answer() -> None:
    assert await found("any guest today?", "guest", topic=["guest"]) == {}


async def test_lists_take_every_name_in_the_order_of_the_text() -> None:
    authors: JsonObject = {"type": "array", "items": {"type": "string"}}
    field = read({"type": "object", "properties": {"author": authors}})
    assert field is not None
    values = await named(field.parts, Layout("We met Bo Park and later Ann Lee."), [], [], meaning)
    assert plain(values) == {"author": ["Bo Park", "Ann Lee"]}


async def test_a_name_that_shows_no_more_is_a_persons_where_persons_and_artists_are_asked_for() -> None:
    assert await found("I met Ann Lee today.", "artist", "person") == {"person": "Ann Lee"}
    assert await found("I met Ann Lee today.", "artist") == {"artist": "Ann Lee"}


async def test_a_type_is_looked_for_by_what_it_is_a_type_of() -> None:
    assert await found("turn off the smart plug please", "device_type") == {"device_type": "smart plug"}
