"""Settings of the engines: plain models, nested in ``mcp_server.settings.Settings``.

They are separate from the backends so that reading settings imports no client library.
"""

import os
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)

from engines.base import Effort

EngineName = Literal["auto", "ollama", "vllm", "llamacpp", "openai", "scripted"]

AUTO = "auto"
"""In place of a model's name: the engine chooses."""


class Section(BaseModel):
    """Base of the tables in the settings file: frozen, unknown keys are errors, values are in no message."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TierSettings(Section):
    max_tokens: PositiveInt = Field(description="maximum of answer tokens")
    context: PositiveInt = Field(description="maximum of prompt and answer tokens")
    target_ms: PositiveInt = Field(description="target latency of a call, milliseconds")
    engine: EngineName | None = Field(default=None, description="engine of this tier; default: `engine`")
    model: str = Field(default="", description="model of this tier; default: the engine's")
    effort: Effort | None = Field(default=None, description="reasoning effort of a reasoning model")


def _ollama_url() -> str:
    """Returns the address in Ollama's own variable, else Ollama's default."""
    host = os.environ.get("OLLAMA_HOST", "").strip()
    # A server told to listen on all addresses is reached on loopback.
    return host.replace("0.0.0.0", "127.0.0.1") or "http://127.0.0.1:11434"


class OllamaSettings(Section):
    url: str = Field(
        default_factory=_ollama_url,
        description="address of Ollama; Ollama's own `OLLAMA_HOST` is the default",
    )
    model: str = Field(
        default=AUTO,
        description="model when the tier names none; auto: the one that is loaded, else gpt-oss:20b, else "
        "the best that fits `[vram] total_gib`",
    )
    embedding: str = Field(
        default=AUTO, description="embedding model; auto: the best installed, multilingual first; empty: none"
    )
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


class OpenAiSettings(Section):
    url: str = Field(
        default="http://127.0.0.1:1234/v1",
        description="address of a server with OpenAI's API: LM Studio, llama.cpp's server and others",
    )
    api_key: SecretStr | None = Field(default=None, description="the server's API key, if it wants one")
    model: str = Field(
        default="", description="model when the tier names none; empty: the first chat model served"
    )
    embedding: str = Field(
        default=AUTO, description="embedding model; auto: the first served that is named as one; empty: none"
    )
    context: NonNegativeInt = Field(
        default=0, description="context of the model in tokens; 0: what the server reports, else 4096"
    )

    @field_validator("api_key")
    @classmethod
    def _one_line(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value().strip() if key else ""
        if not (text.isascii() and (text.isprintable() or not text)):
            raise ValueError("an API key is one line of ASCII characters")
        return SecretStr(text) if text else None


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
