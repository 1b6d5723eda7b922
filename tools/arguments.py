"""Shared tool arguments, their validation, and the compact JSON Schema made from them.

The schema is part of every agent's context, so it contains only what an agent needs.
"""

import difflib
import json
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError
from tools.sources.documents import MAX_DOCUMENTS
from tools.sources.files import MAX_FILE_BYTES, MAX_FILES

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_FAULTS = 5
"""Faults listed in one error; the rest are counted."""
LONGEST_NAME = 80
"""Characters of an argument's name that an error repeats; the caller chose the name."""
MOST_ARGUMENTS = 100
"""Arguments of one call, known or not."""
MOST_NAMES = 1_000
"""Labels, or fields."""
LONGEST_PROMPT = 2_000_000
"""Characters of a message to the model: more than the context of any model takes."""
LONGEST_PATH = 4_096
LONGEST_SCHEMA = 200_000
"""Characters of a JSON Schema as JSON."""


def unquoted(value: object) -> object:
    """Parses ``value`` if it is a list or object quoted as JSON text; agents often quote those."""
    if not (isinstance(value, str) and value.lstrip()[:1] in ("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _listed(value: object) -> object:
    """Wraps a single string in a list; agents often write one where a list is expected."""
    held = unquoted(value)
    if isinstance(held, list):
        return cast("list[object]", held)
    return [value] if isinstance(value, str) else value


def names_of(value: object) -> object:
    """Turns a list of names into an object of names with empty descriptions."""
    size = len(cast("list[object]", value)) if isinstance(value, list | tuple | dict) else 0
    if size > MOST_NAMES:
        raise ValueError(f"should have at most {MOST_NAMES:,} items, not {size:,}")
    if isinstance(value, list | tuple):
        return {str(name): "" for name in cast("list[object]", value)}
    return cast("object", value)


def short(value: object) -> object:
    """Refuses an object that is long as JSON; before it is validated, which is slower than writing it."""
    try:
        size = len(json.dumps(value))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if size > LONGEST_SCHEMA:
        raise ValueError(f"should have at most {LONGEST_SCHEMA:,} characters, not {size:,}")
    return value


# The limits of a list come before its ``BeforeValidator``, so that they are checked while it is read.
Texts = Annotated[
    list[Annotated[str, Field(max_length=MAX_FILE_BYTES)]],
    Field(min_length=1, max_length=MAX_DOCUMENTS),
    BeforeValidator(_listed),
]
Paths = Annotated[
    list[Annotated[str, Field(max_length=LONGEST_PATH)]],
    Field(min_length=1, max_length=MAX_FILES),
    BeforeValidator(_listed),
]
Object = Annotated[JsonObject, BeforeValidator(short), BeforeValidator(unquoted)]
Prompt = Annotated[str, Field(max_length=LONGEST_PROMPT)]
Detail = Literal["auto", "full"]
"""``auto``: a long answer is shortened, and all of it is in a results file; ``full``: it is not."""


class Arguments(BaseModel):
    """Base class of the arguments of all four tools."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    unlisted: ClassVar[frozenset[str]] = frozenset()
    """Fields that are accepted but left out of the schema that agents see."""

    text: Annotated[str, Field(max_length=MAX_FILE_BYTES)] | None = None
    items: Texts | None = None
    paths: Paths | None = Field(None, description="files, folders, globs")
    split: str = Field("file", max_length=200, description="file|line|paragraph|jsonl:FIELD")
    tier: str = Field("auto", max_length=200, description="auto|small|main")
    instructions: str | None = Field(None, max_length=8_000)
    detail: Detail = "auto"

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
    """Arguments of a tool that requires text, items or paths."""

    @model_validator(mode="after")
    def _one_source_at_least(self) -> Self:
        if not self.sources_given:
            raise ValueError("give one of text, items, paths")
        return self


def parse(kind: type[A], tool: str, values: object) -> A:
    """Returns ``values`` validated as ``kind``.

    Raises:
        InvalidArgumentsError: names every field that does not fit.
    """
    if isinstance(values, dict) and len(cast("JsonObject", values)) > MOST_ARGUMENTS:
        raise InvalidArgumentsError(
            f"{tool}: has more than {MOST_ARGUMENTS} arguments", hint="send only those that the tool has"
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        known = list(cast("JsonObject", compact_schema(kind)["properties"]))
        faults = [_fault_text(fault, known) for fault in error.errors(include_url=False)]
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise InvalidArgumentsError(
            f"{tool}: {'; '.join(faults[:MOST_FAULTS] + more)}", hint=f"{tool} takes: {', '.join(known)}"
        ) from None


def _fault_text(fault: "ErrorDetails", known: list[str]) -> str:
    """Returns one validation fault as text that names the call's field, not our classes."""
    name = ".".join(map(str, fault["loc"]))
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    match fault["type"]:
        case "extra_forbidden":
            meant = difflib.get_close_matches(name[:LONGEST_NAME], known, 1)
            return f"{shown}: there is no such argument" + (f", did you mean {meant[0]}?" if meant else "")
        case "missing":
            return f"{shown}: is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{shown or 'arguments'}: should be an object"
        case "too_short" | "too_long":
            return f"{shown}: {fault['msg'][fault['msg'].index('should') :].replace(' after validation', '')}"
        case _:
            message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
            return f"{shown}: {message}" if shown else message


def compact_schema(kind: type[Arguments]) -> JsonObject:
    """Returns the JSON Schema of ``kind`` without titles, nulls and defaults an agent does not need."""
    schema = cast("JsonObject", kind.model_json_schema())
    properties = cast("JsonObject", schema["properties"])
    for name in kind.unlisted:
        del properties[name]
    return cast("JsonObject", _compact(schema, schema.get("$defs")))


# Left out of the compact schema: a call that breaks these limits gets an error that says so.
_NOISE = frozenset({
    "title", "default", "$defs", "additionalProperties", "minLength", "maxLength", "minItems", "maxItems",
    "minimum", "maximum", "minProperties", "maxProperties", "propertyNames",
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
