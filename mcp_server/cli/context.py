"""Start-up shared by all commands: settings, folders, project, console and error output."""

import argparse
import gc
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import AgentError, InvalidArgumentsError
from mcp_server.app import App, build
from mcp_server.folders import Folders, folders
from mcp_server.project import here
from mcp_server.settings import Settings, read
from tools.base import Project

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Start:
    """Settings, folders and project of one command."""

    settings: Settings
    folders: Folders
    project: Project


def start(options: argparse.Namespace, **flags: Mapping[str, Any]) -> Start:
    """Reads settings from flags, environment and files, and finds the project of the working folder.

    Raises:
        SettingsError: a file or variable is wrong.
    """
    if options.engine:
        flags["engine"] = options.engine
    environ, cwd = os.environ, Path.cwd()
    root = here({}, environ, cwd).root
    settings = read(root, **flags)
    return Start(settings, folders(), here(settings.projects, environ, cwd, options.project))


@asynccontextmanager
async def started(options: argparse.Namespace, **flags: Any) -> AsyncGenerator[tuple[App, Project]]:
    """Opens the app for one command."""
    begun = start(options, **flags)
    async with build(begun.settings, begun.folders) as app:
        # Start-up objects live until exit; scanning them again took 1/15 of the CPU under load.
        gc.freeze()
        yield app, begun.project


def plain_console() -> "Console":
    """Returns a console on standard output without markup: ``[llamacpp]`` is text, not a style."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def fail(error: AgentError, *, as_json: bool) -> int:
    """Prints the error and its hint as text or JSON; returns the exit code."""
    if as_json:
        print(json.dumps({"error": error.as_json()}, ensure_ascii=False))
    else:
        print(f"local-llm-agent: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
    return 2 if isinstance(error, InvalidArgumentsError) else 1
