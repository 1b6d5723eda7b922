"""Who asks and where, from the headers every route takes."""

from dataclasses import dataclass

from engines.base import JsonObject
from shim.dispatcher import ProjectOf
from shim.errors import WrongFieldError
from shim.exchange import Exchange
from tools.base import Project

TIERS = ("auto", "small", "main")


@dataclass(frozen=True, slots=True)
class Caller:
    project: Project
    agent: str = ""
    tier: str = "auto"


def caller_of(exchange: Exchange, project_of: ProjectOf, arguments: JsonObject) -> Caller:
    """The caller by ``X-Project``, ``X-Agent`` and ``X-Tier`` (or ``x_tier``).

    Raises:
        WrongFieldError: there is no such tier.
        AgentError: what ``project_of`` raises.
    """
    tier = exchange.header(b"x-tier") or exchange.header(b"x_tier") or "auto"
    if tier not in TIERS:
        raise WrongFieldError(f"no tier {tier!r}", param="X-Tier", hint=f"one of {', '.join(TIERS)}")
    return Caller(project_of(exchange.header(b"x-project"), arguments), exchange.header(b"x-agent"), tier)
