"""The ``register`` command: adds, shows or removes this server in a client's settings."""

import argparse
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread

from engines.base import JsonObject
from engines.errors import AgentError
from mcp_server.cli.context import fail
from mcp_server.clients import catalogue as clients
from mcp_server.clients import wsl
from mcp_server.clients.catalogue import CLIENTS, CannotRegisterError, Client, Launch
from mcp_server.clients.registration import Outcome, Registration, registration
from mcp_server.project import here
from mcp_server.settings import LOOPBACK


async def register(options: argparse.Namespace) -> int:
    """Writes, shows or removes the entry in one client's settings file."""
    return await to_thread.run_sync(_register, options)


def _register(options: argparse.Namespace) -> int:
    try:
        client = CLIENTS[options.client]
        environ = wsl.environment(os.environ) if options.windows else os.environ
        place = registration(client, options.scope, here({}, os.environ, Path.cwd()).root, environ)
        if options.remove:
            return _print_outcome(options, place, place.remove())
        launch = _launch(options)
        # No variable of Windows reaches the server in WSL, so the entry names none.
        entry = client.entry(launch, {} if options.windows else os.environ)
        if options.print:
            print(f"{client.title} reads this from {place.file}:", file=sys.stderr)
            print(place.snippet(entry), end="")
            return 0
        return _print_outcome(options, place, place.add(entry), entry, _notes(client, launch))
    except AgentError as error:
        return fail(error, as_json=options.json)


def _launch(options: argparse.Namespace) -> Launch:
    if options.http:
        return clients.http(options.http, options.token_env, options.project)
    if options.token_env:
        raise CannotRegisterError(
            "--token-env needs --http: a server started by the client has no token",
            hint="add --http URL, or leave --token-env out",
        )
    flags = [f"--{name}={value}" for name in ("engine", "project") if (value := getattr(options, name))]
    started = Launch(clients.command(os.environ), ("stdio", *flags))
    return wsl.launch(started, os.environ) if options.windows else started


def _notes(client: Client, launch: Launch) -> list[str]:
    notes = [client.note]
    if launch.command == wsl.COMMAND:
        notes.append("the server uses the settings in WSL; variables set on Windows do not reach it")
    if launch.token_env and launch.token_env not in os.environ:
        notes.append(f"{launch.token_env} is not set here; {client.title} reads the token from it")
    if launch.url and not launch.token_env and urlsplit(launch.url).hostname not in LOOPBACK:
        notes.append("a server on another machine needs a token: add --token-env NAME")
    return notes


def _print_outcome(
    options: argparse.Namespace,
    place: Registration,
    outcome: Outcome,
    entry: JsonObject | None = None,
    notes: list[str] | None = None,
) -> int:
    backup = str(place.backup) if outcome == "added" and place.backup.exists() else None
    if options.json:
        print(json.dumps({"outcome": outcome, "file": str(place.file), "entry": entry, "backup": backup}))
        return 0
    print(f"{place.client.title}: {outcome}, {place.file}")
    if backup:
        print(f"  backup: {backup}")
    for note in notes or ():
        print(f"  {note}")
    return 0
