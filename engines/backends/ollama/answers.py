"""Pydantic models of Ollama's answers, with the fields that are read."""

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


class FunctionCall(BaseModel):
    id: str = ""
    function: Function


class ChatMessage(BaseModel):
    """A delta of the answer. Reasoning is in ``thinking``, which is not read."""

    content: str = ""
    tool_calls: Sequence[FunctionCall] | None = None


class Line(BaseModel):
    """One line of a streamed ``/api/chat``; the last one has ``done`` set and contains the counters."""

    message: ChatMessage
    done: bool = False
    done_reason: str = ""
    logprobs: Sequence[Position] | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0


class Details(BaseModel):
    parent_model: str = ""


class ShowResponse(BaseModel):
    """The answer of ``/api/show``."""

    details: Details
    model_info: dict[str, JsonValue]
    capabilities: frozenset[str] = frozenset()
    modelfile: str = ""
    parameters: str = ""


class Installed(BaseModel):
    name: str
    details: Details
    capabilities: frozenset[str] = frozenset({"completion"})


class Tags(BaseModel):
    models: Sequence[Installed]


class Version(BaseModel):
    version: str
