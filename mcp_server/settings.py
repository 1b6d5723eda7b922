"""The one reader of settings: defaults, the user's file, the project's file, environment, flags.

The user's file is ``config.toml`` in the user's config folder, the project's is
``local-llm-agent.toml`` at the project root; the environment is ``LOCAL_LLM_*``, nested by ``__``.
A project's file comes with the repository, so it may tune engines but cannot widen what the
server reads or where it sends text: see ``PROJECT_SECTIONS`` and ``_stay_home``.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from engines.errors import InvalidArgumentsError
from engines.settings import (
    EngineName,
    Limits,
    LlamaCppSettings,
    OllamaSettings,
    Section,
    TierSettings,
    VllmSettings,
)

APP = "local-llm-agent"
PROJECT_FILE = "local-llm-agent.toml"
CONFIG_VARIABLE = "LOCAL_LLM_CONFIG"
"""Names a file to read in place of the user's."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})

DEFAULT_TIERS: dict[str, dict[str, Any]] = {
    "small": {"max_tokens": 512, "context": 4096, "target_ms": 500, "effort": "low"},
    "main": {"max_tokens": 2048, "context": 16384, "target_ms": 2000},
}

PROJECT_SECTIONS = frozenset({"engine", "tiers", "ollama", "vllm", "llamacpp", "limits", "cache"})
"""What a project's own file may set."""


class SettingsError(InvalidArgumentsError):
    code = "invalid_settings"


class HttpSettings(Section):
    host: str = Field(default="127.0.0.1", description="address to listen on; any but loopback needs a token")
    port: int = Field(default=3160, ge=0, le=65535)
    token: str = Field(
        default="", description="what callers send as `Authorization: Bearer TOKEN`", repr=False
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="further values of the Host header, as HOST or HOST:PORT"
    )
    allowed_origins: tuple[str, ...] = Field(default=(), description="further values of the Origin header")
    max_body_mib: PositiveInt = Field(default=8, description="largest request body, MiB")


class VramSettings(Section):
    total_gib: PositiveFloat = Field(default=16, description="memory of the GPU, GiB")


class LedgerSettings(Section):
    enabled: bool = Field(default=True, description="keep what each call cost and saved, for `stats`")
    days: PositiveInt = Field(default=400, description="how long calls are kept")
    rows: PositiveInt = Field(default=200_000, description="how many calls are kept at most")


class ProjectSettings(Section):
    paths: tuple[Path, ...] = Field(
        default=(), description="the project's folders; the first one is its root"
    )
    adapter: str | None = Field(default=None, description="LoRA adapter of the project")

    @field_validator("paths")
    @classmethod
    def _at_home(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().resolve() for path in paths)


class Settings(BaseSettings):
    """Everything a user may set. Made by ``read``, once, and passed down."""

    model_config = SettingsConfigDict(
        env_prefix="LOCAL_LLM_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    engine: EngineName = Field(
        default="auto", description="auto: the first that answers of vllm, ollama, llamacpp"
    )
    tiers: dict[str, TierSettings] = Field(default_factory=dict[str, TierSettings], validate_default=True)
    ollama: OllamaSettings = OllamaSettings()
    vllm: VllmSettings = VllmSettings()
    llamacpp: LlamaCppSettings = LlamaCppSettings()
    limits: Limits = Limits()
    vram: VramSettings = VramSettings()
    http: HttpSettings = HttpSettings()
    ledger: LedgerSettings = LedgerSettings()
    cache: bool = Field(default=True, description="keep answers and embeddings for equal requests")
    projects: dict[str, ProjectSettings] = Field(default_factory=dict[str, ProjectSettings])

    @field_validator("tiers", mode="before")
    @classmethod
    def _over_the_defaults(cls, tiers: object) -> object:
        if not isinstance(tiers, dict):
            return tiers
        given = cast("dict[str, dict[str, Any]]", tiers)
        names = {**DEFAULT_TIERS, **given}
        return {name: {**DEFAULT_TIERS.get(name, {}), **given.get(name, {})} for name in names}


@dataclass(frozen=True, slots=True)
class Folders:
    """Where this user's files are."""

    cache: Path
    runtime: Path
    config: Path
    data: Path
    """What must not be lost, as caches may."""

    @property
    def models(self) -> Path:
        return self.cache / "models"


def folders() -> Folders:
    """The platform's own places; without a runtime folder (cron, containers) one in the cache."""
    cache = user_cache_path(APP)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Folders(
        cache=cache,
        runtime=Path(runtime, APP) if runtime else cache / "run",
        config=user_config_path(APP),
        data=user_data_path(APP),
    )


def read(root: Path | None = None, **flags: Any) -> Settings:
    """The settings in force for a project at ``root``. ``flags`` win over everything.

    Raises:
        SettingsError: naming the file or variable, the key, and what is wrong.
    """
    user_file = Path(os.environ.get(CONFIG_VARIABLE) or folders().config / "config.toml")
    user = _toml(user_file)
    project = _of_project(root / PROJECT_FILE, user) if root is not None else {}
    try:
        values = _merged(_merged(user, project), EnvSettingsSource(Settings)())
        return Settings.model_validate(_merged(values, flags))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False)]
        raise SettingsError(
            f"the settings are wrong: {'; '.join(faults)}",
            hint=f"look into {user_file}, {PROJECT_FILE} and the LOCAL_LLM_* variables",
        ) from None


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
            hint="those belong into the user's own config.toml: a repository must not widen what is read",
        )
    for section in ("ollama", "vllm"):
        _stay_home(file, section, values, user)
    return values


def _stay_home(file: Path, section: str, values: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """A repository must not send the text it is asked about to a machine its user did not name."""
    url = values.get(section, {}).get("url")
    if url is None or urlsplit(str(url)).hostname in LOOPBACK or url == user.get(section, {}).get("url"):
        return
    raise SettingsError(
        f"{file} may not point {section} at {url}",
        hint=f"put [{section}] url into the user's own config.toml if you trust that server",
    )


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = (
            _merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value)) if both else value
        )
    return merged
