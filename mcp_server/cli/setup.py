"""The ``setup`` command: gets a model and registers with the agents of this machine, after asking once."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from engines import system
from engines.base import JsonObject, JsonValue
from engines.errors import AgentError
from engines.models.pull import find
from mcp_server.cli import models, overview, survey
from mcp_server.cli.context import Start, fail, start
from mcp_server.cli.survey import listed, short, title
from mcp_server.clients import catalogue as clients
from mcp_server.clients.catalogue import Launch
from mcp_server.clients.registration import Registration, registration

WITHIN_S = 5.0
"""Time an engine has to answer: a busy one is worth waiting for before a model is downloaded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is there, and what is to be done."""

    present: Sequence[str]
    """Sentences about what needs nothing."""
    problems: Sequence[str]
    """Sentences about what only the user can do."""
    pull: Sequence[str]
    """Models to download."""
    register: Sequence[tuple[str, Registration]]
    """Names of agents, and where this server will be added."""

    @property
    def is_empty(self) -> bool:
        return not (self.pull or self.register)


async def setup(options: argparse.Namespace) -> int:
    """Shows the plan, asks, and carries it out; the exit code is 1 if something is left to do."""
    try:
        begun = start(options)
        plan = await _plan(begun, options)
        if options.json and not options.yes:
            print(json.dumps(_as_json(plan, done=plan.is_empty)))
            return 0 if plan.is_empty else 1
        if not options.json:
            _show(plan, begun.folders.models)
        if plan.is_empty:
            return 1 if plan.problems else 0
        if not (options.yes or await _confirmed(_commands(plan, options))):
            return 1
        return await _carry_out(plan, begun, options)
    except AgentError as error:
        return fail(error, as_json=options.json)


async def _plan(begun: Start, options: argparse.Namespace) -> Plan:
    engines = await survey.engines(begun, WITHIN_S)
    agents = await survey.agents(begun.project.root, os.environ)
    answers = overview.models(begun, engines)
    present = [f"model: {answers}"] if answers else []
    present += [f"{agent.client.title}: registered" for agent in agents if agent.scopes]
    problems = [f"{agent.client.title}: {agent.fault}" for agent in agents if agent.fault]
    pull: Sequence[str] = ()
    if not answers:
        pull = _missing(begun, engines, present.append, small=options.small)
        problems += [] if pull else _faults(begun, engines)
    register = [
        (agent.name, registration(agent.client, options.scope, begun.project.root, os.environ))
        for agent in agents
        if not agent.scopes and not agent.fault
    ]
    if register:
        try:
            clients.command(os.environ)
        except clients.CannotRegisterError as error:
            problems.append(f"agents are not registered: {error.message}; {error.hint}")
            register = []
    return Plan(present, problems, pull, register)


def _missing(
    begun: Start, engines: survey.Engines, note: Callable[[str], None], *, small: bool
) -> Sequence[str]:
    """Returns the embedded engine's models that are not on this machine, if the settings allow it."""
    if "llamacpp" not in engines.errors:
        return ()
    folder = begun.folders.models
    needed = models.needed(begun, note, small=small)
    return [name for name in needed if not models.is_here(find(name), folder)]


def _faults(begun: Start, engines: survey.Engines) -> Sequence[str]:
    """Returns why the engines that the settings name do not answer."""
    wanted = {tier.engine or begun.settings.engine for tier in begun.settings.tiers.values()}
    return [
        f"{title(name)}: {error.message}; {error.hint}"
        for name, error in engines.errors.items()
        if name in wanted or "auto" in wanted
    ]


def _show(plan: Plan, folder: Path) -> None:
    for line in plan.present:
        print(line)
    for line in plan.problems:
        print(f"to do by hand: {line}")
    if plan.is_empty:
        print("nothing is left to do here" if not plan.problems else "setup can do nothing else")
        return
    print("\nsetup will")
    if plan.pull:
        sizes = [f"{name} ({_size(find(name).size)})" for name in plan.pull]
        print(f"  download {listed(sizes)} to {short(folder)}")
    for _, place in plan.register:
        print(f"  add local-llm-agent to {place.client.title}: {short(place.file)}")


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size else "size unknown"


async def _confirmed(commands: Sequence[str]) -> bool:
    """Asks on the terminal; without one, says how to do it."""
    if not (sys.stdin and sys.stdin.isatty()):
        print("\nnothing is done yet, as there is no terminal to ask on. Run: local-llm-agent setup --yes")
        print("or step by step:")
        print("\n".join(f"  {command}" for command in commands))
        return False
    print("\ndo this? [Y/n] ", end="", flush=True)
    if not system.WINDOWS:
        # Ctrl-C cancels this wait, but does not end input(); on Windows it does.
        await anyio.wait_readable(sys.stdin)
    agreed = _answer() in ("", "y", "yes")
    if not agreed:
        print("nothing is changed")
    return agreed


def _answer() -> str:
    """Reads a line from the terminal; the end of input is a no."""
    try:
        return input().strip().lower()
    except EOFError:
        return "no"


def _commands(plan: Plan, options: argparse.Namespace) -> Sequence[str]:
    """Returns the commands that do the same."""
    pulled = [f"local-llm-agent models pull {' '.join(plan.pull)}"] if plan.pull else []
    return pulled + [f"local-llm-agent register {name} --scope {options.scope}" for name, _ in plan.register]


async def _carry_out(plan: Plan, begun: Start, options: argparse.Namespace) -> int:
    tell = models.tell if options.json else print
    if plan.pull:
        await models.pull(begun, plan.pull, tell)
    failed = await to_thread.run_sync(_register, plan, tell) if plan.register else 0
    if options.json:
        print(json.dumps(_as_json(plan, done=not failed and not plan.problems)))
    else:
        print(f"\ntry it: {overview.CLASSIFY}")
    return 1 if failed or plan.problems else 0


def _register(plan: Plan, tell: Callable[[str], None]) -> int:
    """Adds the entries; returns how many failed. A failure does not stop the others."""
    launch, failed = Launch(clients.command(os.environ), ("stdio",)), 0
    for _, place in plan.register:
        try:
            outcome = place.add(place.client.entry(launch, os.environ))
            tell(f"{place.client.title}: {outcome}, {short(place.file)}\n  {place.client.note}")
        except AgentError as error:
            tell(f"{place.client.title}: {error.message}\n  {error.hint}")
            failed += 1
    return failed


def _as_json(plan: Plan, *, done: bool) -> JsonObject:
    places: list[JsonValue] = [{"client": name, "file": str(place.file)} for name, place in plan.register]
    return {"done": done, "pull": list[JsonValue](plan.pull), "register": places,
            "problems": list[JsonValue](plan.problems)}  # fmt: skip
