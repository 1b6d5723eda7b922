"""Which tier, engine, model and adapter a call gets, decided in one place and explained.

``decide`` is pure: the same needs over the same tiers give the same answer. ``Router`` adds
what only the engines know (their real context window, their model) and nothing else.

The tier, by the first rule that applies:

1. what the caller asked (``tier`` argument, header, model name);
2. what the tool wants, if the request fits there;
3. the largest tier for a prompt that looks hard, if it has another model than the smallest;
4. the smallest tier that the request fits into.

A text too long for every tier is split by tools that can, and refused with the numbers by those
that cannot. Nothing is ever cut.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from engines.base import Effort, Engine, Profile
from engines.errors import ContextTooLongError, InvalidArgumentsError

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of work: how much it may read and write, and how fast it should be."""

    name: str
    max_tokens: int
    context: int
    target_ms: int
    model: str = ""
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a call asks of the router."""

    tier: str = AUTO
    """The caller's wish: ``auto`` or a tier's name."""
    wants: str = ""
    """A tier's name, weaker than the caller's wish; empty for none."""
    why: str = "the tool wants it"
    """Who wants it."""
    prompt_tokens: int = 0
    max_tokens: int | None = None
    """Answer tokens the caller asked for; ``None``: what the tier allows."""
    splits: bool = False
    """Whether the tool can split its text over several requests."""
    hard: Callable[[], bool] = lambda: False
    """Whether the prompt looks like more than a small model can do; asked only where it matters."""
    model: str = ""
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    tier: Tier
    max_tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes and the limits it has there."""

    tier: Tier
    engine: Engine
    profile: Profile
    model: str
    """For ``Request.model``: empty unless the caller or the tier names one."""
    max_tokens: int
    context: int
    adapter: str | None
    reason: str


def decide(tiers: Sequence[Tier], needs: Needs) -> Decision:
    """Pick among ``tiers`` (their ``context`` already bounded by the engine's).

    Raises:
        InvalidArgumentsError: the wished tier does not exist.
        ContextTooLongError: the request fits nowhere and cannot be split.
    """
    by_size = sorted(tiers, key=lambda tier: tier.context)
    named = {tier.name: tier for tier in by_size}
    if needs.tier != AUTO and needs.tier not in named:
        raise InvalidArgumentsError(
            f"there is no tier {needs.tier!r}", hint=f"use auto or one of: {', '.join(named)}"
        )
    if needs.tier != AUTO:
        return _settle(named[needs.tier], needs, "the caller asked for it")
    wanted = named.get(needs.wants)
    if wanted is not None and (needs.splits or _fits(wanted, needs)):
        return _settle(wanted, needs, needs.why)
    for tier in by_size:
        if _fits(tier, needs):
            return _settle(tier, needs, "the smallest that the request fits into")
    return _settle(by_size[-1], needs, "the largest")


def _answer_tokens(tier: Tier, needs: Needs) -> int:
    return tier.max_tokens if needs.max_tokens is None else min(needs.max_tokens, tier.max_tokens)


def _fits(tier: Tier, needs: Needs) -> bool:
    """Prompt and answer fit the window, and the tier allows an answer as long as was asked for."""
    asked = needs.max_tokens if needs.max_tokens is not None else tier.max_tokens
    return asked <= tier.max_tokens and needs.prompt_tokens + asked <= tier.context


def _settle(tier: Tier, needs: Needs, reason: str) -> Decision:
    answer = _answer_tokens(tier, needs)
    if not needs.splits and needs.prompt_tokens + answer > tier.context:
        raise ContextTooLongError(
            f"the prompt has about {needs.prompt_tokens} tokens and the answer may take {answer}, "
            f"but the {tier.name} tier has a context of {tier.context}",
            hint="send less text or ask for fewer max_tokens; summarize and extract split long texts",
        )
    size = f"{needs.prompt_tokens}+{answer} of {tier.context} tokens"
    return Decision(tier, answer, f"{tier.name}: {reason} ({size})")


class Router:
    """Chooses a ``Route``; the engines are given, one per tier, and stay open elsewhere."""

    def __init__(self, tiers: Sequence[Tier], engine_of: Callable[[str], Engine]) -> None:
        self._tiers = tuple(tiers)
        self._engine_of = engine_of

    @property
    def tiers(self) -> Mapping[str, Tier]:
        return {tier.name: tier for tier in self._tiers}

    async def pick(self, needs: Needs) -> Route:
        """The route of a call.

        Raises:
            AgentError: as ``decide``, or the engine's own when it does not answer.
        """
        known: dict[tuple[Engine, str], Profile] = {}
        profiles: dict[str, Profile] = {}
        for tier in self._tiers:
            of = self._engine_of(tier.name), needs.model or tier.model
            profiles[tier.name] = known[of] = known.get(of) or await of[0].profile(of[1])
        bounded = [_bounded(tier, profiles[tier.name].capabilities.max_context) for tier in self._tiers]
        decision = decide(bounded, self._promoted(needs, profiles))
        return self._route(decision, profiles[decision.tier.name], needs)

    def _promoted(self, needs: Needs, profiles: Mapping[str, Profile]) -> Needs:
        """``needs`` wanting the largest tier, for a hard prompt that another model can take there."""
        by_size = sorted(self._tiers, key=lambda tier: tier.context)
        smallest, largest = profiles[by_size[0].name], profiles[by_size[-1].name]
        if needs.wants or _same_model(smallest, largest) or not needs.hard():
            return needs
        return replace(needs, wants=by_size[-1].name, why="the prompt looks hard")

    async def above(self, route: Route, needs: Needs) -> Route | None:
        """The next larger tier with another model, for an answer ``route`` could not give well."""
        for tier in sorted(self._tiers, key=lambda tier: tier.context):
            if tier.context <= self.tiers[route.tier.name].context:
                continue
            profile = await self._engine_of(tier.name).profile(tier.model)
            if _same_model(profile, route.profile):
                continue
            bounded = _bounded(tier, profile.capabilities.max_context)
            answer = _answer_tokens(bounded, needs)
            return self._route(Decision(bounded, answer, f"{tier.name}: asked once more"), profile, needs)
        return None

    def _route(self, decision: Decision, profile: Profile, needs: Needs) -> Route:
        tier = decision.tier
        return Route(
            tier=tier,
            engine=self._engine_of(tier.name),
            profile=profile,
            model=needs.model or tier.model,
            max_tokens=decision.max_tokens,
            context=tier.context,
            adapter=needs.adapter,
            reason=decision.reason,
        )


def _same_model(one: Profile, other: Profile) -> bool:
    return (one.engine, one.model) == (other.engine, other.model)


@lru_cache
def _bounded(tier: Tier, context: int) -> Tier:
    """``tier`` with no more than the ``context`` its model has."""
    context = min(tier.context, context)
    return Tier(
        name=tier.name,
        max_tokens=min(tier.max_tokens, context // 2),
        context=context,
        target_ms=tier.target_ms,
        model=tier.model,
        effort=tier.effort,
    )
