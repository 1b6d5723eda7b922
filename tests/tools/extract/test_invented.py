"""A value that the text does not hold is listed as unsupported, even where the schema forbids null."""

import json

import pytest

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import JsonObject, JsonValue
from tests.tools.pipeline.test_dispatch import dispatching
from tools.base import Call

pytestmark = pytest.mark.anyio

TEXT = "The meeting was moved. Nobody knows when it takes place, or where."
INVENTED: list[tuple[str, JsonObject, JsonValue]] = [
    ("text", {"type": "string"}, "Berlin"),
    ("date", {"type": "string", "format": "date"}, "2024-03-14"),
    ("time", {"type": "string", "format": "date-time"}, "2024-03-14T10:00:00Z"),
    ("pattern", {"type": "string", "pattern": "^\\\\d{4}-\\\\d{2}$".replace("\\\\", "\\")}, "2024-03"),
    ("length", {"type": "string", "minLength": 3}, "Berlin"),
    ("integer", {"type": "integer"}, 2024),
    ("number", {"type": "number", "minimum": 1}, 34.5),
    ("list", {"type": "array", "minItems": 1, "items": {"type": "string"}}, ["Berlin"]),
    ("described", {"type": "string", "description": "date as YYYY-MM-DD"}, "14 March 2024"),
    ("record", {
        "type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}, {"day": "Monday"}),
    ("reference", {"$ref": "#/$defs/Day"}, "2024-03-14"),
    ("alternatives", {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "Monday"),
    ("email", {"type": "string", "format": "email"}, "ada@example.org"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "schema", "value"), INVENTED, ids=[name for name, _, _ in INVENTED])
async def test_an_invented_value_is_listed(name: str, schema: JsonObject, value: JsonValue) -> None:
    whole: JsonObject = {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "$defs": {"Day": {"type": "string", "format": "date"}},
    }
    engine = ScriptedEngine([json.dumps({name: value})])
    async with dispatching(engine) as dispatcher:
        result = await dispatcher.run(Call("extract", {"text": TEXT, "schema": whole}))
    unsupported = result.fields["unsupported"]
    assert isinstance(unsupported, list)
    assert len(unsupported) == 1
    assert f"/{name}" in json.dumps(unsupported)
    assert result.fields["evidence"] == {}
