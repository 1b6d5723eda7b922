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
    quantization_level: str = ""


class Tensor(BaseModel):
    name: str
    shape: Sequence[int]


class ShowResponse(BaseModel):
    """The answer of ``/api/show``."""

    details: Details
    model_info: dict[str, JsonValue]
    capabilities: frozenset[str] = frozenset()
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    tensors: Sequence[Tensor] | None = None


class Installed(BaseModel):
    name: str
    details: Details
    capabilities: frozenset[str] = frozenset({"completion"})
    size: int = 0
    digest: str = ""
    remote_host: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether Ollama sends its requests to another host: a model of Ollama's cloud."""
        return bool(self.remote_host) or self.name.endswith(("-cloud", ":cloud"))


class Tags(BaseModel):
    models: Sequence[Installed]


class Loaded(BaseModel):
    name: str
    context_length: int = 0


class Running(BaseModel):
    """The answer of ``/api/ps``."""

    models: Sequence[Loaded]


class Version(BaseModel):
    version: str
