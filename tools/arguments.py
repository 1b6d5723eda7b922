"""The arguments every tool shares, and how a model of them becomes a compact JSON Schema.

The schema goes into every agent's context, so it carries what an agent needs and no more.
"""

from typing import Annotated, ClassVar, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError


def _listed(value: object) -> object:
    """A single string where a list was meant: agents write that often, and it is unambiguous."""
    return [value] if isinstance(value, str) else value


Strings = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class Arguments(BaseModel):
    """What all four tools take."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    unlisted: ClassVar[frozenset[str]] = frozenset()
    """Fields that are taken but not worth a place in every agent's context."""

    text: str | None = None
    items: Strings | None = None
    paths: Strings | None = Field(None, description="files, folders, globs; read by the server")
    split: str = Field("file", description="file|line|paragraph|jsonl:FIELD")
    tier: str = Field("auto", description="auto|small|main")
    instructions: str | None = Field(None, max_length=8_000)

    @property
    def sources_given(self) -> list[str]:
        return [name for name in ("text", "items", "paths") if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one_source_at_most(self) -> Self:
        if len(self.sources_given) > 1:
            raise ValueError(f"give one of text, items, paths, not {' and '.join(self.sources_given)}")
        return self


A = TypeVar("A", bound=Arguments)


class SourceArguments(Arguments):
    """The arguments of a tool that cannot work without a source."""

    @model_validator(mode="after")
    def _one_source_at_least(self) -> Self:
        if not self.sources_given:
            raise ValueError("give one of text, items, paths")
        return self


def parse(kind: type[A], tool: str, values: object) -> A:
    """``values`` as ``kind``.

    Raises:
        InvalidArgumentsError: naming every field that does not fit.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False)
        ]
        known = ", ".join(name for name in cast("JsonObject", compact_schema(kind)["properties"]))
        raise InvalidArgumentsError(f"{tool}: {'; '.join(faults)}", hint=f"{tool} takes: {known}") from None


def compact_schema(kind: type[Arguments]) -> JsonObject:
    """The JSON Schema of ``kind`` without titles, nulls and defaults an agent does not need."""
    schema = cast("JsonObject", kind.model_json_schema())
    properties = cast("JsonObject", schema["properties"])
    for name in kind.unlisted:
        del properties[name]
    return cast("JsonObject", _compact(schema, schema.get("$defs")))


# What an agent need not read: a call that breaks these limits is told so.
_NOISE = frozenset({
    "title", "default", "$defs", "additionalProperties", "minLength", "maxLength", "minItems", "minimum",
    "maximum", "minProperties",
})  # fmt: skip


def _compact(node: JsonValue, definitions: JsonValue) -> JsonValue:
    if isinstance(node, list):
        return [_compact(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node and isinstance(definitions, dict):
        return _compact(definitions[str(node["$ref"]).rsplit("/", 1)[-1]], definitions)
    options = node.get("anyOf")
    if isinstance(options, list):
        kept = [option for option in options if option != {"type": "null"}]
        if len(kept) == 1 and isinstance(kept[0], dict):
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return _compact({**kept[0], **rest}, definitions)
    return {
        key: {name: _compact(each, definitions) for name, each in value.items()}
        if key == "properties" and isinstance(value, dict)
        else _compact(value, definitions)
        for key, value in node.items()
        if key not in _NOISE
    }
