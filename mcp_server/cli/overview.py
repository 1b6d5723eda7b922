"""What ``local-llm-agent`` without a command prints: what is there, and the next two commands to run."""

import argparse
import os
from collections.abc import Sequence
from textwrap import fill

from engines.errors import AgentError, EngineTimeoutError, ModelNotPulledError, UnknownModelError
from mcp_server.cli import survey
from mcp_server.cli.context import Start, fail, start
from mcp_server.cli.survey import Agent, listed, title
from mcp_server.version import VERSION

WITHIN_S = 0.4
"""Time an engine has to answer; with the start of Python less than a second."""

WIDTH = 80

CLASSIFY = 'local-llm-agent classify --labels "bug,feature,question" "It crashes on save"'


NO_MODEL = (ModelNotPulledError, UnknownModelError)
"""Errors of an engine that could answer if it had a model."""


async def overview(options: argparse.Namespace) -> int:
    """Prints engines, model and agents of this machine, and two commands."""
    try:
        begun = start(options)
    except AgentError as error:
        return fail(error, as_json=False)
    engines = await survey.engines(begun, WITHIN_S)
    agents = await survey.agents(begun.project.root, os.environ)
    answers = models(begun, engines)
    print(f"local-llm-agent {VERSION}: a local model that does simple work for coding agents\n")
    found = {"model": answers or "none yet", "engines": _engines(engines), "agents": _agents(agents)}
    for name, text in found.items():
        print(fill(text, WIDTH, initial_indent=f"  {name:9}", subsequent_indent=" " * 11))
    print("\nnext:")
    for line in _next(bool(answers), agents):
        print(f"  {line}")
    print("\nmore: local-llm-agent doctor (what works), local-llm-agent --help (all commands)")
    return 0


def models(begun: Start, engines: survey.Engines) -> str:
    """Returns the models that would answer, with their engines; empty if a tier has none."""
    found: list[str] = []
    tiers = sorted(begun.settings.tiers.values(), key=lambda tier: tier.context)
    for tier in tiers:
        profile = engines.answering(tier.engine or begun.settings.engine)
        if profile is None:
            return ""
        second = profile.small_model if tier is tiers[0] and len(tiers) > 1 else ""
        found.append(f"{tier.model or second or profile.model} in {title(profile.engine)}")
    return listed(list(dict.fromkeys(found)))


def _engines(engines: survey.Engines) -> str:
    states: dict[str, list[str]] = {"ready": list(engines.profiles)}
    for name, error in engines.errors.items():
        states.setdefault(_state(error), []).append(name)
    return "; ".join(
        f"{listed([title(name) for name in names])} {state}" for state, names in states.items() if names
    )


def _state(error: AgentError) -> str:
    if isinstance(error, EngineTimeoutError):
        return "slow to answer"
    return "without a model" if isinstance(error, NO_MODEL) else "not running"


def _agents(agents: Sequence[Agent]) -> str:
    registered = [agent.client.title for agent in agents if agent.scopes]
    others = [agent.client.title for agent in agents if not agent.scopes]
    states = (("registered", registered), ("not registered", others))
    return "; ".join(f"{state}: {', '.join(names)}" for state, names in states if names) or "none found"


def _next(ready: bool, agents: Sequence[Agent]) -> Sequence[str]:
    """Returns the two commands to run next."""
    unregistered = [agent.client.title for agent in agents if not agent.scopes and not agent.fault]
    if not ready or unregistered:
        does = [] if ready else ["get a model"]
        does += ["register with agents"] if unregistered else []
        return [f"local-llm-agent setup    # {listed(does)}; asks first", CLASSIFY]
    if not agents:
        return [CLASSIFY, "local-llm-agent register --help    # add it to a coding agent"]
    return [CLASSIFY, "local-llm-agent stats    # what was saved"]
