"""Chooses tier, engine, model and adapter of a call, with the reason.

``decide`` is pure: the same needs over the same tiers give the same answer. ``Router`` adds
the context windows and models that the engines report.

The tier, by the first rule that applies:

1. the caller's choice (``tier`` argument, header, model name);
2. the tool's preference, if the request fits there;
3. the largest tier for a prompt that looks hard, if it has another model than the smallest;
4. the smallest tier that the request fits into.

A text too long for every tier is split by tools that can split, and refused with the token counts by
the others. Text is never truncated.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from engines.base import Effort, Engine, Profile
from engines.errors import AgentError, ContextTooLongError, InvalidArgumentsError

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of requests: token limits, target latency, and optionally its own model."""

    name: str
    max_tokens: int
    context: int
    target_ms: int
    model: str = ""
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """Requirements of a call: requested tier, token counts, model and adapter."""

    tier: str = AUTO
    """The tier the caller chose: ``auto`` or a tier's name."""
    wants: str = ""
    """A preferred tier, overridden by the caller's choice; empty for none."""
    why: str = "the tool wants it"
    """The reason for ``wants``, shown in the route's reason."""
    prompt_tokens: int = 0
    """Tokens of the prompt; with ``count_tokens``, at most that many."""
    count_tokens: Callable[[], int] | None = None
    """Counts the tokens of the prompt; called only if the upper bound fits not every tier."""
    max_tokens: int | None = None
    """Answer tokens the caller asked for; ``None``: the tier's limit."""
    splits: bool = False
    """Whether the tool can split its text over several requests."""
    hard: Callable[[], bool] = lambda: False
    """Whether the prompt looks too hard for a small model; called only if tiers differ in model."""
    model: str = ""
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    tier: Tier
    max_tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The tier, engine and model of a call, and its token limits."""

    tier: Tier
    engine: Engine
    profile: Profile
    model: str
    """For ``Request.model``: empty unless the caller or the tier names one, or it is the second model."""
    max_tokens: int
    context: int
    adapter: str | None
    reason: str


def decide(tiers: Sequence[Tier], needs: Needs) -> Decision:
    """Picks one of ``tiers`` (their ``context`` already bounded by the engine's). A pure function.

    Raises:
        InvalidArgumentsError: the requested tier does not exist.
        ContextTooLongError: the request fits no tier and cannot be split.
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
    """Whether prompt and answer fit the context, and the answer the tier's limit."""
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
    at_most = "at most " if needs.count_tokens else ""
    size = f"{at_most}{needs.prompt_tokens}+{answer} of {tier.context} tokens"
    return Decision(tier, answer, f"{tier.name}: {reason} ({size})")


class Router:
    """Chooses a ``Route``. ``engine_of`` returns the engine of a tier, opened by its owner."""

    def __init__(self, tiers: Sequence[Tier], engine_of: Callable[[str], Engine]) -> None:
        self._tiers = tuple(tiers)
        self._engine_of = engine_of

    @property
    def tiers(self) -> Mapping[str, Tier]:
        return {tier.name: tier for tier in self._tiers}

    async def contexts(self) -> Mapping[str, int]:
        """Returns the context of each tier in tokens; the configured one if its engine does not answer."""
        found: dict[str, int] = {}
        for tier in self._tiers:
            found[tier.name] = tier.context
            with suppress(AgentError):
                profile = await self._engine_of(tier.name).profile(tier.model)
                found[tier.name] = _bounded(tier, profile.capabilities.max_context).context
        return found

    async def pick(self, needs: Needs) -> Route:
        """Returns the route of a call.

        Raises:
            AgentError: as ``decide``, or the engine's error when it does not answer.
        """
        known: dict[tuple[Engine, str], Profile] = {}
        profiles: dict[str, Profile] = {}
        models = {tier.name: needs.model or tier.model for tier in self._tiers}
        for tier in self._tiers:
            of = self._engine_of(tier.name), models[tier.name]
            profiles[tier.name] = known[of] = known.get(of) or await of[0].profile(of[1])
        smallest = min(self._tiers, key=lambda tier: tier.context).name
        if len(self._tiers) > 1 and not models[smallest] and (second := profiles[smallest].small_model):
            models[smallest] = second
            profiles[smallest] = await self._engine_of(smallest).profile(second)
        bounded = [_bounded(tier, profiles[tier.name].capabilities.max_context) for tier in self._tiers]
        decision = decide(bounded, _counted(self._promoted(needs, profiles), bounded))
        name = decision.tier.name
        return self._route(decision, profiles[name], needs, models[name])

    def _promoted(self, needs: Needs, profiles: Mapping[str, Profile]) -> Needs:
        """Prefers the largest tier for a hard prompt, if that tier has another model."""
        by_size = sorted(self._tiers, key=lambda tier: tier.context)
        smallest, largest = profiles[by_size[0].name], profiles[by_size[-1].name]
        if needs.wants or _same_model(smallest, largest) or not needs.hard():
            return needs
        return replace(needs, wants=by_size[-1].name, why="the prompt looks hard")

    async def above(self, route: Route, needs: Needs) -> Route | None:
        """Returns the route to the next larger tier with another model, to retry a poor answer."""
        for tier in sorted(self._tiers, key=lambda tier: tier.context):
            if tier.context <= self.tiers[route.tier.name].context:
                continue
            profile = await self._engine_of(tier.name).profile(tier.model)
            if _same_model(profile, route.profile):
                continue
            bounded = _bounded(tier, profile.capabilities.max_context)
            answer = _answer_tokens(bounded, needs)
            decision = Decision(bounded, answer, f"{tier.name}: asked once more")
            return self._route(decision, profile, needs, needs.model or tier.model)
        return None

    def _route(self, decision: Decision, profile: Profile, needs: Needs, model: str) -> Route:
        tier = decision.tier
        why = f"; {profile.model}: {profile.reason}" if profile.reason else ""
        return Route(
            tier=tier,
            engine=self._engine_of(tier.name),
            profile=profile,
            model=model,
            max_tokens=decision.max_tokens,
            context=tier.context,
            adapter=needs.adapter,
            reason=decision.reason + why,
        )


def _counted(needs: Needs, tiers: Sequence[Tier]) -> Needs:
    """Returns ``needs`` with counted tokens if the upper bound may be decisive."""
    fits = all(needs.prompt_tokens + _answer_tokens(tier, needs) <= tier.context for tier in tiers)
    if needs.count_tokens is None or fits:
        return needs
    return replace(needs, prompt_tokens=needs.count_tokens(), count_tokens=None)


def _same_model(one: Profile, other: Profile) -> bool:
    return (one.engine, one.model) == (other.engine, other.model)


@lru_cache
def _bounded(tier: Tier, context: int) -> Tier:
    """Returns ``tier`` limited to the ``context`` of its model."""
    context = min(tier.context, context)
    return Tier(
        name=tier.name,
        max_tokens=min(tier.max_tokens, context // 2),
        context=context,
        target_ms=tier.target_ms,
        model=tier.model,
        effort=tier.effort,
    )
