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
    max_tokens: PositiveInt = Field(description="answer tokens at most")
    context: PositiveInt = Field(description="prompt and answer tokens at most")
    target_ms: PositiveInt = Field(description="time a call should take, milliseconds")
    engine: EngineName | None = Field(default=None, description="engine of this tier, else the common one")
    model: str = Field(default="", description="model of this tier, else the engine's default")
    effort: Effort | None = Field(default=None, description="how long a reasoning model may think")


class OllamaSettings(Section):
    url: str = Field(default="http://127.0.0.1:11434", description="where Ollama listens")
    model: str = Field(default="gpt-oss:20b", description="model when the tier names none")
    embedding: str = Field(default="all-minilm", description="embedding model; empty for none")
    keep_alive: str = Field(default="30m", description="how long Ollama keeps the model loaded after a call")


class VllmSettings(Section):
    url: str = Field(
        default="http://127.0.0.1:8000/v1", description="where vLLM, or a router before several, listens"
    )
    model: str = Field(default="", description="model when the tier names none; empty: the first one served")
    api_key: str = Field(default="", description="the server's --api-key, if it has one", repr=False)
    max_loras: PositiveInt = Field(default=4, description="adapters loaded at run time at most")
    adapters: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="adapter name -> path on the vLLM server, loaded when first asked for",
    )


class LlamaCppSettings(Section):
    model: str = Field(
        default="auto",
        description="a name of `models list`, or a path to a GGUF file; auto: the best that is pulled",
    )
    embedding: str = Field(default="all-minilm-l6-v2", description="embedding model; empty for none")
    context: PositiveInt = Field(default=16384, description="tokens of context shared by all requests")
    parallel: PositiveInt = Field(default=4, description="requests worked on at the same time")
    threads: int = Field(default=0, description="CPU threads, 0 for one per core")
    gpu_layers: int = Field(default=-1, description="layers on the GPU, -1 for all that fit")
    idle_seconds: PositiveFloat = Field(
        default=300, description="the engine stops after this long without work"
    )
    adapters: dict[str, str] = Field(default_factory=dict[str, str], description="adapter name -> GGUF file")


class Limits(Section):
    concurrency: PositiveInt = Field(default=4, description="requests at an engine at the same time")
    queue: PositiveInt = Field(default=64, description="requests waiting for a place at most")
    deadline_s: PositiveFloat = Field(
        default=300, description="seconds a call may take when it names no deadline"
    )
