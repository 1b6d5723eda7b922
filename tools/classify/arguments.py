"""Arguments of classify and its result for one text."""

from dataclasses import dataclass
from typing import Annotated, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from engines.base import JsonObject
from tools.arguments import SourceArguments, names_of, unquoted

LONGEST_LABEL, LONGEST_DESCRIPTION = 200, 2_000
"""Characters; a label is part of every prompt and answer."""
MOST_EXAMPLES, LONGEST_EXAMPLE = 10_000, 20_000
NAMED = 5
"""Unknown labels that an error repeats."""


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(max_length=LONGEST_EXAMPLE)
    label: str = Field(max_length=LONGEST_LABEL)


def _described(value: object) -> object:
    """Turns a list of labels into an object of labels with empty descriptions."""
    held = unquoted(value)
    if not isinstance(held, list | tuple | dict):
        raise ValueError("should be a list of labels, or an object of label: description")
    return names_of(cast("object", held))


class ClassifyArguments(SourceArguments):
    labels: Annotated[
        dict[str, str],
        BeforeValidator(_described),
        WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "object"}]}),
    ] = Field(min_length=1, description="[label] or {label: description}")
    multi: bool = Field(False, description="any number of labels each")
    min_confidence: float | None = Field(None, ge=0, le=1, description="abstain below")
    examples: (
        Annotated[
            list[Example],
            Field(max_length=MOST_EXAMPLES),
            BeforeValidator(unquoted),
            WithJsonSchema({"type": "array", "items": {"type": "object"}}),
        ]
        | None
    ) = Field(None, description="[{text,label}]")

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        if any(not label.strip() for label in self.labels):
            raise ValueError("labels: a label is empty")
        if len(self.labels) < 2 and not self.multi:
            raise ValueError("labels: give at least two, or multi=true")
        long = next((label for label in self.labels if len(label) > LONGEST_LABEL), "")
        if long:
            raise ValueError(
                f"labels: {long[:40]!r}... has {len(long):,} characters, {LONGEST_LABEL} at most"
            )
        if any(len(description) > LONGEST_DESCRIPTION for description in self.labels.values()):
            raise ValueError(f"labels: a description has at most {LONGEST_DESCRIPTION:,} characters")
        known: dict[str, str] = {}
        for example in () if self.multi else self.examples or ():
            other = known.setdefault(example.text.strip(), example.label)
            if other != example.label:
                raise ValueError(
                    f"examples: {example.text.strip()[:40]!r} is both {other!r} and {example.label!r}"
                )
        unknown = {example.label for example in self.examples or ()} - set(self.labels)
        if unknown:
            named = ", ".join(sorted(unknown)[:NAMED])
            raise ValueError(f"examples: labels not in the list: {named}")
        return self


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result for one text. ``labels`` are best first; exactly one unless ``multi``."""

    labels: tuple[str, ...] = ()
    confidence: float = 0.0
    abstained: bool = False
    error: str = ""

    def as_json(self, *, multi: bool) -> JsonObject:
        if self.error:
            return {"error": self.error}
        label: JsonObject = {"labels": list(self.labels)} if multi else {"label": self.labels[0]}
        return {**label, "confidence": round(self.confidence, 3), "abstained": self.abstained}
