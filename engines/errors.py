"""The error hierarchy of the project.

    AgentError
      InvalidArgumentsError      caller       the arguments do not fit the tool
        UnknownToolError         caller
      ContextTooLongError        caller       the text does not fit any tier
      UnknownModelError          caller       the engine does not have that model
      UnsupportedFeatureError    caller       the engine cannot do what was asked (a schema keyword, tools)
      RequestRefusedError        caller       the engine answered that the request is wrong
      EngineBusyError            busy         no slot in time; carries ``retry_after``
      EngineUnavailableError     unavailable  nothing answers
        ModelNotPulledError      unavailable  the embedded model's file is not downloaded yet
        ModelNotLoadedError      unavailable  the engine has the model, but cannot load it
        EngineInterruptedError   unavailable  the connection broke in the middle of an answer
      EngineTimeoutError         timeout      no answer before the deadline
      InvalidAnswerError         internal     the model's answer failed validation twice
      EngineProtocolError        internal     the engine's answer cannot be read

Each transport maps the five kinds in one table, so a new error needs no change there. Other
packages define their subclasses of ``AgentError`` in the modules that raise them.
"""

from typing import ClassVar, Literal

Kind = Literal["caller", "busy", "unavailable", "timeout", "internal"]

RETRYABLE: frozenset[Kind] = frozenset({"busy", "unavailable", "timeout"})


class AgentError(Exception):
    """Base error: ``message``, ``hint`` (what to do next) and ``kind`` (who can fix it)."""

    kind: ClassVar[Kind] = "internal"
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after
        """Seconds after which the same call may succeed; ``None`` when unknown."""

    @property
    def retryable(self) -> bool:
        return self.kind in RETRYABLE

    def as_json(self) -> dict[str, str | float | bool]:
        """Returns the JSON fields that every transport reports."""
        fields: dict[str, str | float | bool] = {
            "code": self.code,
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }
        return fields if self.retry_after is None else {**fields, "retry_after": round(self.retry_after, 1)}


class InvalidArgumentsError(AgentError):
    kind = "caller"
    code = "invalid_arguments"


class UnknownToolError(InvalidArgumentsError):
    code = "unknown_tool"


class ContextTooLongError(AgentError):
    kind = "caller"
    code = "context_too_long"


class UnknownModelError(AgentError):
    kind = "caller"
    code = "unknown_model"


class UnsupportedFeatureError(AgentError):
    kind = "caller"
    code = "unsupported_feature"


class RequestRefusedError(AgentError):
    kind = "caller"
    code = "request_refused"


class EngineBusyError(AgentError):
    kind = "busy"
    code = "engine_busy"


class EngineUnavailableError(AgentError):
    kind = "unavailable"
    code = "engine_unavailable"


class ModelNotPulledError(EngineUnavailableError):
    code = "model_not_pulled"


class ModelNotLoadedError(EngineUnavailableError):
    code = "model_not_loaded"


class EngineInterruptedError(EngineUnavailableError):
    code = "engine_interrupted"


class EngineTimeoutError(AgentError):
    kind = "timeout"
    code = "engine_timeout"


class InvalidAnswerError(AgentError):
    code = "invalid_answer"


class EngineProtocolError(AgentError):
    code = "engine_protocol"
