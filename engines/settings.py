"""Settings of the engines: plain models, nested in ``mcp_server.settings.Settings``.

They are separate from the backends so that reading settings imports no client library.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from engines.base import Effort

EngineName = Literal["auto", "ollama", "vllm", "llamacpp", "scripted"]


class Section(BaseModel):
    """Base of the tables in the settings file: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TierSettings(Section):
    max_tokens: PositiveInt = Field(description="maximum of answer tokens")
    context: PositiveInt = Field(description="maximum of prompt and answer tokens")
    target_ms: PositiveInt = Field(description="target latency of a call, milliseconds")
    engine: EngineName | None = Field(default=None, description="engine of this tier; default: `engine`")
    model: str = Field(default="", description="model of this tier; default: the engine's")
    effort: Effort | None = Field(default=None, description="reasoning effort of a reasoning model")


class OllamaSettings(Section):
    url: str = Field(default="http://127.0.0.1:11434", description="address of Ollama")
    model: str = Field(default="gpt-oss:20b", description="model when the tier names none")
    embedding: str = Field(default="all-minilm", description="embedding model; empty for none")
    keep_alive: str = Field(default="30m", description="how long Ollama keeps the model loaded after a call")


class VllmSettings(Section):
    url: str = Field(
        default="http://127.0.0.1:8000/v1", description="address of vLLM, or of a router for several"
    )
    model: str = Field(default="", description="model when the tier names none; empty: the first served")
    api_key: str = Field(default="", description="the server's --api-key, if it has one", repr=False)
    max_loras: PositiveInt = Field(default=4, description="maximum of adapters loaded at run time")
    adapters: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="adapter name -> path on the vLLM server, loaded when first requested",
    )


class LlamaCppSettings(Section):
    model: str = Field(
        default="auto",
        description="a name of `models list`, or a path to a GGUF file; auto: the best model that is pulled",
    )
    embedding: str = Field(default="all-minilm-l6-v2", description="embedding model; empty for none")
    context: PositiveInt = Field(default=16384, description="context in tokens, shared by all requests")
    parallel: PositiveInt = Field(default=4, description="maximum of parallel requests")
    threads: int = Field(default=0, description="CPU threads; 0: one per core")
    gpu_layers: int = Field(default=-1, description="layers on the GPU; -1: all that fit")
    idle_seconds: PositiveFloat = Field(default=300, description="idle seconds after which the engine exits")
    adapters: dict[str, str] = Field(default_factory=dict[str, str], description="adapter name -> GGUF file")


class Limits(Section):
    concurrency: PositiveInt = Field(
        default=4, description="slots: maximum of parallel requests at an engine"
    )
    queue: PositiveInt = Field(default=64, description="maximum of requests waiting for a slot")
    deadline_s: PositiveFloat = Field(
        default=300, description="deadline in seconds of a call that names none"
    )
