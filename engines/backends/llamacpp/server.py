"""Finds or starts the embedded engine's process, one per configuration and user.

A process is alive if and only if it holds its file lock.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import platformdirs

from engines import system
from engines.backends.deadline import before
from engines.backends.llamacpp import child
from engines.errors import EngineUnavailableError
from engines.locks import held, is_held
from engines.models.pull import context_of, find, path_of
from engines.settings import LlamaCppSettings

if TYPE_CHECKING:
    from engines.backends.llamacpp.child import Config, State

PROGRAM = (Path(child.__file__), Path(system.__file__))
"""The files of the process that clients depend on."""
START_S = 120.0
POLL_S = 0.02
SPAWN_S = 30.0
LOG_LINES = 6
WINDOW = 2048
"""Upper limit of an embedding model's window in tokens: a batch must fit one text."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    url: str
    embedding_url: str
    lock: Path
    key: str = field(repr=False)

    def is_alive(self) -> bool:
        return is_held(self.lock)


def default_folder() -> Path:
    return system.runtime_folder("local-llm-agent", platformdirs.user_cache_path("local-llm-agent"))


def configuration(settings: LlamaCppSettings, *, model: str, models_folder: Path | None) -> "Config":
    """Returns the configuration of the process for ``model``; the default model's also serves embeddings.

    Raises:
        UnknownModelError: a model of the settings is neither in the catalogue nor a path.
        ModelNotPulledError: its file is missing.
        EngineUnavailableError: xllamacpp is not installed.
    """
    chat = path_of(find(model), models_folder)
    beside = settings.embedding if model == settings.model else ""
    embedding = path_of(find(beside), models_folder) if beside else None
    adapters = list(adapters_of(settings).values()) if model == settings.model else []
    config: Config = {
        "fingerprint": "",
        "model": model,
        "path": str(chat),
        "adapters": [str(path) for path in adapters],
        "context": settings.context,
        "parallel": settings.parallel,
        "embedding": beside,
        "embedding_path": str(embedding or ""),
        "embedding_window": window_of(embedding) if embedding else 0,
        "threads": settings.threads,
        "gpu_layers": settings.gpu_layers,
        "idle_seconds": settings.idle_seconds,
    }
    files = [path for path in (chat, embedding, *PROGRAM, *adapters) if path]
    return {**config, "fingerprint": _fingerprint(config, files)}


def adapters_of(settings: LlamaCppSettings) -> dict[str, Path]:
    """Returns the adapters whose files exist, in the order in which llama.cpp numbers them."""
    paths = {name: Path(path).expanduser() for name, path in settings.adapters.items()}
    return {name: path for name, path in paths.items() if path.is_file()}


@functools.cache
def window_of(embedding: Path) -> int:
    """Returns the embedding model's window in tokens. Reads the file once."""
    return min(context_of(embedding) or WINDOW, WINDOW)


def package_version() -> str:
    """Returns the version of xllamacpp.

    Raises:
        EngineUnavailableError: it is not installed.
    """
    try:
        return importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        raise EngineUnavailableError("xllamacpp is not installed", hint="pip install xllamacpp") from None


def _fingerprint(config: "Config", files: list[Path]) -> str:
    """Returns the fingerprint; a new package or model file changes it, and needs a new process."""
    version = package_version()
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    what = {key: value for key, value in config.items() if key != "idle_seconds"}
    return hashlib.sha256(json.dumps([what, stats, version]).encode()).hexdigest()[:16]


def is_running(config: "Config", folder: Path) -> bool:
    """Whether a process with this configuration is running."""
    return is_held(_stem(config, folder).with_suffix(".lock"))


def _stem(config: "Config", folder: Path) -> Path:
    return folder / f"llamacpp-{config['fingerprint']}"


async def attach(config: "Config", folder: Path, *, deadline: float) -> ServerAddress:
    """Returns the address of the process for ``config``; starts it if needed.

    Raises:
        EngineUnavailableError: it does not start; the message ends with its last log lines.
        EngineTimeoutError: it was not ready before ``deadline``, or not within two minutes.
    """
    _make_private(folder)
    stem = _stem(config, folder)
    with before(min(deadline, anyio.current_time() + START_S), "the embedded engine to start"):
        async with held(stem.with_suffix(".start")):
            return await _find_or_start(config, stem)


async def _find_or_start(config: "Config", stem: Path) -> ServerAddress:
    lock, log = stem.with_suffix(".lock"), stem.with_suffix(".log")
    started = False
    while True:
        # In this order: a state file without a live process is stale.
        if is_held(lock):
            if address := _read_state(stem.with_suffix(".json"), lock):
                return address
        elif started:
            raise EngineUnavailableError(
                f"the embedded engine does not start: {_last_lines(log)}", hint=f"its log is {log}"
            )
        else:
            await anyio.to_thread.run_sync(system.remove, stem.with_suffix(".json"))
            await anyio.to_thread.run_sync(_spawn, config, stem.parent, log)
            started = True
        await anyio.sleep(POLL_S)


def _spawn(config: "Config", folder: Path, log: Path) -> None:
    """Starts the process; on return it holds its lock, or has failed and logged why."""
    output = system.open_private(log, truncate=True)
    try:
        with system.spawn_detached(child.command("launch"), folder=folder, log=output) as launcher:
            try:
                launcher.communicate(json.dumps(config).encode(), timeout=SPAWN_S)
            except subprocess.TimeoutExpired:
                launcher.kill()
    finally:
        os.close(output)


def _read_state(path: Path, lock: Path) -> ServerAddress | None:
    try:
        state: State = json.loads(path.read_bytes())
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while it is being removed
        return None
    return ServerAddress(state["url"], state["embedding_url"], lock, state["key"])


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " ".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])


def _make_private(folder: Path) -> None:
    """Makes the folder private: it contains the API key, and other users must not replace files."""
    try:
        system.make_own_folder(folder)
        folder.chmod(0o700)
    except OSError as error:
        raise EngineUnavailableError(
            f"no private folder for the embedded engine: {error}",
            hint="set XDG_RUNTIME_DIR to a private folder",
        ) from error
