"""Reads project, agent and tier of a request from its headers."""

from dataclasses import dataclass

from engines.base import JsonObject
from shim.dispatcher import ProjectOf
from shim.errors import WrongFieldError
from shim.exchange import Exchange
from tools.base import Project

TIERS = ("auto", "small", "main")


@dataclass(frozen=True, slots=True)
class Caller:
    """Project, agent and tier of a request."""

    project: Project
    agent: str = ""
    tier: str = "auto"


def caller_of(exchange: Exchange, project_of: ProjectOf, arguments: JsonObject) -> Caller:
    """Returns the caller from ``X-Project``, ``X-Agent`` and ``X-Tier`` (or ``x_tier``).

    Raises:
        WrongFieldError: the tier is unknown.
        AgentError: what ``project_of`` raises.
    """
    tier = exchange.header(b"x-tier") or exchange.header(b"x_tier") or "auto"
    if tier not in TIERS:
        raise WrongFieldError(f"no tier {tier!r}", param="X-Tier", hint=f"one of {', '.join(TIERS)}")
    return Caller(project_of(exchange.header(b"x-project"), arguments), exchange.header(b"x-agent"), tier)
