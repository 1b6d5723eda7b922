"""This user's folders. Imports no settings, so that a process that needs only a path stays small."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_data_path

from engines.system import runtime_folder

APP = "local-llm-agent"
CONFIG_VARIABLE = "LOCAL_LLM_CONFIG"
"""Environment variable with the path of a file to read instead of the user's."""


@dataclass(frozen=True, slots=True)
class Folders:
    """This user's folders."""

    cache: Path
    runtime: Path
    config: Path
    data: Path
    """Persistent files, such as the ledger."""

    @property
    def models(self) -> Path:
        return self.cache / "models"

    @property
    def results(self) -> Path:
        return self.cache / "results"

    @property
    def calibrations(self) -> Path:
        return self.data / "calibrations"


def folders() -> Folders:
    """Returns the platform's folders."""
    cache = user_cache_path(APP)
    return Folders(
        cache=cache,
        runtime=runtime_folder(APP, cache),
        config=user_config_path(APP),
        data=user_data_path(APP),
    )


def user_file(environ: Mapping[str, str]) -> Path:
    """Returns the path of the user's settings file, which may not exist."""
    named = environ.get(CONFIG_VARIABLE)
    return Path(named) if named else folders().config / "config.toml"
