"""Reads settings from defaults, the user's file, the project's file, environment and flags.

The user's file is ``config.toml`` in the user's config folder, the project's is
``local-llm-agent.toml`` at the project root; the environment is ``LOCAL_LLM_*``, nested by ``__``.
A project's file comes with the repository and is not trusted: it may tune engines, but not change what
the server reads, where it sends text or which files it loads as models. See ``PROJECT_SECTIONS``,
``_check_url`` and ``_check_models``.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from engines.errors import InvalidArgumentsError
from engines.settings import (
    EngineName,
    Limits,
    LlamaCppSettings,
    OllamaSettings,
    OpenAiSettings,
    Section,
    TierSettings,
    VllmSettings,
)
from mcp_server.folders import CONFIG_VARIABLE, user_file

PROJECT_FILE = "local-llm-agent.toml"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})

DEFAULT_TIERS: dict[str, dict[str, Any]] = {
    "small": {"max_tokens": 512, "context": 4096, "target_ms": 500, "effort": "low"},
    "main": {"max_tokens": 2048, "context": 16384, "target_ms": 2000},
}

PROJECT_SECTIONS = frozenset({"engine", "tiers", "ollama", "vllm", "llamacpp", "openai", "limits", "cache"})
"""Top-level keys that a project's file may set."""

ENVIRONMENT = "environment"
FLAGS = "command line"
Source = tuple[str, Mapping[str, Any]]
"""Name and values of a source of settings."""


class SettingsError(InvalidArgumentsError):
    """A setting is wrong; the message names its source and key."""

    code = "invalid_settings"


def _origin(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z][\w+.-]*://[^\s/?#@*,]+", text):
        raise ValueError("name an origin as scheme://host or scheme://host:port, without path or wildcard")
    return text.lower()


class HttpSettings(Section):
    host: str = Field(default="127.0.0.1", description="address to listen on; any but loopback needs a token")
    port: int = Field(default=3160, ge=0, le=65535, description="port to listen on; 0 for a free one")
    token: str = Field(
        default="", description="token that callers send as `Authorization: Bearer TOKEN`", repr=False
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="additional allowed Host headers, as HOST or HOST:PORT"
    )
    allowed_origins: tuple[str, ...] = Field(default=(), description="additional allowed Origin headers")
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(),
        description="origins of web pages that may call from a browser (CORS), as https://app.example; "
        "no wildcards",
    )
    max_body_mib: PositiveInt = Field(default=8, description="largest request body, MiB")
    workers: int = Field(
        default=1, ge=1, le=64, description="server processes, which share the port; not on Windows"
    )


class StdioSettings(Section):
    through: str = Field(
        default="", description="address of a running `serve`; `stdio` then only forwards to it"
    )


class VramSettings(Section):
    total_gib: PositiveFloat = Field(default=16, description="memory of the GPU, GiB")


class LedgerSettings(Section):
    enabled: bool = Field(default=True, description="record what each call cost and saved, for `stats`")
    days: PositiveInt = Field(default=400, description="days after which calls are deleted")
    rows: PositiveInt = Field(default=200_000, description="maximum of stored calls")


class ProjectSettings(Section):
    paths: tuple[Path, ...] = Field(
        default=(), description="the project's folders; the first one is its root"
    )
    adapter: str | None = Field(default=None, description="LoRA adapter of the project")

    @field_validator("paths")
    @classmethod
    def _absolute(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        expanded = [Path(os.path.expanduser(path)) for path in paths]
        if any(not path.is_absolute() for path in expanded):
            raise ValueError(
                "a folder must be absolute or begin with ~/, because a server may start in any folder"
            )
        return tuple(path.resolve() for path in expanded)


class Settings(BaseSettings):
    """All settings; created once by ``read`` and passed down."""

    model_config = SettingsConfigDict(
        env_prefix="LOCAL_LLM_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    engine: EngineName = Field(
        default="auto",
        description="vllm, ollama, llamacpp, openai; auto: the first that answers of vllm, ollama, llamacpp",
    )
    tiers: dict[str, TierSettings] = Field(default_factory=dict[str, TierSettings], validate_default=True)
    ollama: OllamaSettings = Field(default_factory=OllamaSettings)
    vllm: VllmSettings = VllmSettings()
    llamacpp: LlamaCppSettings = LlamaCppSettings()
    openai: OpenAiSettings = OpenAiSettings()
    limits: Limits = Limits()
    vram: VramSettings = VramSettings()
    http: HttpSettings = HttpSettings()
    stdio: StdioSettings = StdioSettings()
    ledger: LedgerSettings = LedgerSettings()
    cache: bool = Field(default=True, description="cache answers and embeddings of repeated requests")
    projects: dict[str, ProjectSettings] = Field(default_factory=dict[str, ProjectSettings])
    aliases: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict[str, str],
        description='other names of models in `/v1`, as in the example above; `"*"`: any unknown name',
    )

    @field_validator("aliases")
    @classmethod
    def _without_circles(cls, aliases: dict[str, str]) -> dict[str, str]:
        for alias in aliases:
            chain = [alias]
            while (name := aliases.get(chain[-1])) is not None:
                chain.append(name)
                if name in chain[:-1]:
                    raise ValueError(f"{' -> '.join(chain)} is a circle")
        return aliases

    @field_validator("tiers", mode="before")
    @classmethod
    def _merge_defaults(cls, tiers: object) -> object:
        if not isinstance(tiers, dict):
            return tiers
        return _merged(DEFAULT_TIERS, cast("dict[str, Any]", tiers))


def read(root: Path | None = None, **flags: Any) -> Settings:
    """Returns the settings for a project at ``root``; ``flags`` take precedence over everything.

    Raises:
        SettingsError: naming the file or variable, the key, and what is wrong.
    """
    own = user_file(os.environ)
    if os.environ.get(CONFIG_VARIABLE) and not own.exists():
        raise SettingsError(f"{own} does not exist", hint=f"{CONFIG_VARIABLE} names it: correct or unset it")
    user = _toml(own)
    project = _of_project(root / PROJECT_FILE, user) if root is not None else {}
    sources = [
        (str(own), user),
        (PROJECT_FILE, project),
        (ENVIRONMENT, _of_environment()),
        (FLAGS, flags),
    ]
    values: dict[str, Any] = {}
    for _, given in sources:
        values = _merged(values, given)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["type"], fault["msg"], sources) for fault in error.errors()]
        raise SettingsError("; ".join(faults), hint="correct or remove it") from None


def _fault(loc: Sequence[str | int], kind: str, message: str, sources: Sequence[Source]) -> str:
    """Describes the fault at ``loc`` with the source that set it: the last that sets most of the path."""
    name, _ = max(reversed(sources), key=lambda source: _known(source[1], loc))
    if name == ENVIRONMENT:
        name = "LOCAL_LLM_" + "__".join(map(str, loc)).upper()
    return f"{name}: {'.'.join(map(str, loc))}: {'no such setting' if kind == 'extra_forbidden' else message}"


def _known(values: object, loc: Sequence[str | int]) -> int:
    """Returns how many keys of ``loc`` exist in ``values``."""
    if not loc or not isinstance(values, Mapping) or loc[0] not in values:
        return 0
    return 1 + _known(cast("Mapping[str | int, object]", values)[loc[0]], loc[1:])


def _of_environment() -> dict[str, Any]:
    for name in os.environ:
        section, _, key = name.upper().removeprefix("LOCAL_LLM_").partition("_")
        if (
            name.upper().startswith("LOCAL_LLM_")
            and key
            and key[0] != "_"
            and section.lower() in Settings.model_fields
        ):
            raise SettingsError(
                f"{name} is not a setting",
                hint=f"use two underscores between section and key: LOCAL_LLM_{section}__{key}",
            )
    try:
        return EnvSettingsSource(Settings)()
    except ValueError as error:
        raise SettingsError(str(error), hint="check the LOCAL_LLM_* variables") from None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}", hint="fix or remove the file") from None


def _of_project(file: Path, user: Mapping[str, Any]) -> dict[str, Any]:
    values = _toml(file)
    beyond = sorted(set(values) - PROJECT_SECTIONS)
    if beyond:
        raise SettingsError(
            f"{file} may not set {', '.join(beyond)}",
            hint="set them in the user's own config.toml: a repository may not change what the server reads",
        )
    for section in ("ollama", "vllm", "openai"):
        _check_url(file, section, values, user)
    _check_models(file, values, user)
    return values


def _check_url(file: Path, section: str, values: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Refuses a project's engine URL that is neither loopback nor set by the user."""
    url = _url(values, section)
    if url is None or _host(url) in LOOPBACK or url == _url(user, section):
        return
    raise SettingsError(
        f"{file} may not set {section}.url to {url}",
        hint=f"if you trust that server, set {section}.url in the user's own config.toml",
    )


def _check_models(file: Path, values: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Refuses model files and the scripted engine in a project's file.

    Loaders of weights are not hardened against malicious files.
    """
    own = list(_models(user))
    for key, model in _models(values):
        if (key, model) not in own and (model.endswith(".gguf") and not model.startswith("hf:")):
            raise SettingsError(
                f"{file} may not set {key} to the file {model}",
                hint="if you trust that file, set {key} in the user's own config.toml",
            )
    if "scripted" in {engine for _, engine in _strings(values, "engine")}:
        raise SettingsError(f"{file} may not choose the scripted engine", hint="it is for tests")


def _models(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("model", "embedding", "adapters"):
        yield from _strings(values, name)


def _strings(values: Mapping[str, Any], name: str, at: str = "") -> Iterator[tuple[str, str]]:
    """Yields every string under a key ``name`` at any depth, with its dotted key."""
    for key, value in values.items():
        below = f"{at}.{key}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _strings(cast("Mapping[str, Any]", value), "" if key == name else name, below)
        elif isinstance(value, str) and name in ("", key):
            yield below, value


def _url(values: Mapping[str, Any], section: str) -> str | None:
    table = values.get(section)
    url = cast("dict[str, object]", table).get("url") if isinstance(table, dict) else None
    return None if url is None else str(url)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = (
            _merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value)) if both else value
        )
    return merged
