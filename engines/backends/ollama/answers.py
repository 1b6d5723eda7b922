"""Ollama's answers, as far as they are read."""

from collections.abc import Sequence

from pydantic import BaseModel, JsonValue


class Token(BaseModel):
    token: str
    logprob: float


class Position(Token):
    top_logprobs: Sequence[Token] = ()


class Function(BaseModel):
    name: str
    arguments: dict[str, JsonValue]


class Called(BaseModel):
    id: str = ""
    function: Function


class Said(BaseModel):
    """A piece of the answer. Ollama puts what the model thinks in ``thinking``, which is left out here."""

    content: str = ""
    tool_calls: Sequence[Called] | None = None


class Line(BaseModel):
    """One line of a streamed ``/api/chat``; the counters come with the one that is ``done``."""

    message: Said
    done: bool = False
    done_reason: str = ""
    logprobs: Sequence[Position] | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0


class Details(BaseModel):
    family: str = ""
    parent_model: str = ""


class Shown(BaseModel):
    """What ``/api/show`` says of a model."""

    details: Details
    model_info: dict[str, JsonValue]
    capabilities: frozenset[str] = frozenset()
    modelfile: str = ""
    parameters: str = ""


class Installed(BaseModel):
    name: str
    size: int = 0
    details: Details
    capabilities: frozenset[str] = frozenset({"completion"})


class Tags(BaseModel):
    models: Sequence[Installed]


class Version(BaseModel):
    version: str
