"""Finds what is on this machine: the engines that answer, and the agents with their registrations."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from engines.base import Engine, Profile
from engines.errors import AgentError, EngineTimeoutError
from mcp_server.app import engines_of
from mcp_server.cli.context import Start
from mcp_server.clients.catalogue import CLIENTS, CannotRegisterError, Client, Environment, seen_path
from mcp_server.clients.registration import registration

TITLES = {
    "vllm": "vLLM",
    "ollama": "Ollama",
    "llamacpp": "the embedded engine",
    "openai": "the server",
}
"""Engines by the names that people use."""

_PROGRAMS = {"claude-code": "claude"}
"""Commands of clients whose command has another name."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What each engine of the settings answered."""

    profiles: Mapping[str, Profile]
    """By name, in the order in which ``auto`` tries them."""
    errors: Mapping[str, AgentError]

    def answering(self, wanted: str) -> Profile | None:
        """Returns the profile of the engine ``wanted``, which may be ``auto``."""
        return next(iter(self.profiles.values()), None) if wanted == "auto" else self.profiles.get(wanted)


@dataclass(frozen=True, slots=True)
class Agent:
    """A coding agent on this machine."""

    name: str
    client: Client
    scopes: Sequence[str] = field(default=())
    """Where this server is registered: ``project``, ``user``."""
    fault: str = ""
    """Why a settings file cannot be read."""


async def engines(begun: Start, within: float) -> Engines:
    """Asks all engines at once, each for at most ``within`` seconds; stores nothing."""
    profiles: dict[str, Profile] = {}
    errors: dict[str, AgentError] = {}

    async def ask(name: str, engine: Engine) -> None:
        try:
            with anyio.fail_after(within):
                await engine.check()
                profiles[name] = await engine.profile()
        except TimeoutError:
            errors[name] = EngineTimeoutError(f"no answer within {within:g} s")
        except AgentError as error:
            errors[name] = error

    settings = begun.settings.model_copy(update={"cache": False})
    async with engines_of(settings, begun.folders) as opened, anyio.create_task_group() as group:
        for name, engine in opened.each.items():
            group.start_soon(ask, name, engine)
    return Engines(
        {name: profiles[name] for name in opened.each if name in profiles},
        {name: errors[name] for name in opened.each if name in errors},
    )


async def agents(root: Path | None, environ: Environment) -> Sequence[Agent]:
    """Returns the agents that are installed or registered."""
    return await to_thread.run_sync(_agents, root, environ)


def _agents(root: Path | None, environ: Environment) -> Sequence[Agent]:
    found: list[Agent] = []
    for name, client in CLIENTS.items():
        scopes, fault = _registered(client, root, environ)
        if scopes or fault or _is_installed(name, client, environ):
            found.append(Agent(name, client, scopes, fault))
    return found


def _registered(client: Client, root: Path | None, environ: Environment) -> tuple[Sequence[str], str]:
    scopes: list[str] = []
    try:
        for scope in ("project", "user"):
            if scope == "project" and root is None:
                continue
            if registration(client, scope, root, environ).entry() is not None:
                scopes.append(scope)
    except CannotRegisterError as error:
        return scopes, error.message
    return scopes, ""


def _is_installed(name: str, client: Client, environ: Environment) -> bool:
    """Returns whether the client's command is on PATH, or it has settings of its own."""
    file = client.user_file(environ)
    # A hidden file is in the home folder itself, others are in a folder of the client.
    settings = file if file.name.startswith(".") else file.parent
    return settings.exists() or shutil.which(_PROGRAMS.get(name, name), path=seen_path(environ)) is not None


def title(engine: str) -> str:
    """Returns the engine by the name that people use."""
    return TITLES.get(engine, engine)


def short(path: Path | str) -> str:
    """Returns the path with ``~`` for the home folder."""
    home = os.path.expanduser("~")
    text = str(path)
    return "~" + text.removeprefix(home) if text.startswith(home + os.sep) else text


def listed(names: Sequence[str], last: str = "and") -> str:
    """Returns the names as English: ``a, b and c``."""
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end
