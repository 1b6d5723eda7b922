"""The router: each rule, and invariants for every request."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engines.backends.scripted.engine import ScriptedEngine
from engines.base import Capabilities, Profile
from engines.errors import ContextTooLongError, EngineUnavailableError, InvalidArgumentsError
from engines.routing import Needs, Router, Tier, decide

SMALL = Tier("small", 512, 4096, 500)
MAIN = Tier("main", 2048, 16384, 2000)
TIERS = [SMALL, MAIN]

tiers = st.lists(
    st.builds(
        Tier,
        name=st.sampled_from(["small", "main", "huge", "tiny"]),
        max_tokens=st.integers(1, 4096),
        context=st.integers(1, 65536),
        target_ms=st.integers(1, 5000),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda tier: tier.name,
)
needs = st.builds(
    Needs,
    tier=st.sampled_from(["auto", "small", "main", "huge", "tiny"]),
    wants=st.sampled_from(["", "small", "main"]),
    prompt_tokens=st.integers(0, 100_000),
    max_tokens=st.none() | st.integers(1, 10_000),
    splits=st.booleans(),
)


@given(tiers, needs)
def test_a_request_that_cannot_be_split_never_exceeds_its_tier(tiers: list[Tier], needs: Needs) -> None:
    assume(not needs.splits)
    try:
        decision = decide(tiers, needs)
    except (ContextTooLongError, InvalidArgumentsError):
        return
    assert needs.prompt_tokens + decision.max_tokens <= decision.tier.context
    assert decision.max_tokens <= decision.tier.max_tokens


@given(tiers, needs)
def test_no_request_is_lost(tiers: list[Tier], needs: Needs) -> None:
    """A request gets a tier, or one of two errors that applies."""
    try:
        assert decide(tiers, needs).tier in tiers
    except InvalidArgumentsError:
        assert needs.tier not in {"auto", *(tier.name for tier in tiers)}
    except ContextTooLongError:
        assert not needs.splits


@given(tiers, needs)
def test_the_same_request_gets_the_same_answer(tiers: list[Tier], needs: Needs) -> None:
    def outcome(order: list[Tier]) -> object:
        try:
            return decide(order, needs)
        except (ContextTooLongError, InvalidArgumentsError) as error:
            return str(error)

    assume(len({tier.context for tier in tiers}) == len(tiers))
    assert outcome(tiers) == outcome(list(tiers)) == outcome(tiers[::-1])


@given(tiers, needs)
def test_what_the_caller_asked_wins_over_everything(tiers: list[Tier], needs: Needs) -> None:
    assume(needs.tier in {tier.name for tier in tiers})
    try:
        decision = decide(tiers, needs)
    except ContextTooLongError:
        return
    assert decision.tier.name == needs.tier


@pytest.mark.parametrize(
    ("needs", "tier"),
    [
        (Needs(), "small"),
        (Needs(prompt_tokens=3584), "small"),
        (Needs(prompt_tokens=3585), "main"),
        (Needs(max_tokens=513), "main"),
        (Needs(max_tokens=100, prompt_tokens=3996), "small"),
        (Needs(tier="main"), "main"),
        (Needs(wants="small", splits=True, prompt_tokens=50_000), "small"),
        (Needs(wants="small", prompt_tokens=5_000), "main"),
        (Needs(splits=True, prompt_tokens=50_000), "main"),
        (Needs(tier="small", splits=True, prompt_tokens=50_000), "small"),
    ],
)
def test_the_first_rule_that_applies_decides(needs: Needs, tier: str) -> None:
    assert decide(TIERS, needs).tier.name == tier


def test_a_request_for_more_tokens_than_any_tier_gives_gets_the_most_there_is() -> None:
    assert decide(TIERS, Needs(max_tokens=10_000)).max_tokens == 2048


def test_a_refusal_names_the_numbers() -> None:
    with pytest.raises(ContextTooLongError) as caught:
        decide(TIERS, Needs(prompt_tokens=20_000))
    for number in ("20000", "2048", "16384"):
        assert number in caught.value.message


@pytest.mark.anyio
async def test_a_tier_has_no_more_context_than_its_model() -> None:
    engine = ScriptedEngine(capabilities=Capabilities(max_context=2048))
    route = await Router(TIERS, lambda tier: engine).pick(Needs(tier="main"))
    assert route.context == 2048
    assert route.max_tokens == 1024


@pytest.mark.anyio
async def test_escalation_goes_to_another_model_only() -> None:
    little, large = ScriptedEngine(model="little"), ScriptedEngine(model="large")
    same = Router(TIERS, lambda tier: little)
    two = Router(TIERS, {"small": little, "main": large}.__getitem__)
    assert await same.above(await same.pick(Needs()), Needs()) is None
    above = await two.above(await two.pick(Needs()), Needs())
    assert above is not None
    assert (above.tier.name, above.profile.model) == ("main", "large")
    assert await two.above(above, Needs()) is None


@pytest.mark.anyio
async def test_a_hard_prompt_goes_to_the_largest_tier_where_that_is_another_model() -> None:
    little, large = ScriptedEngine(model="little"), ScriptedEngine(model="large")
    two = Router(TIERS, {"small": little, "main": large}.__getitem__)
    one = Router(TIERS, lambda tier: little)
    hard = await two.pick(Needs(hard=lambda: True))
    assert hard.tier.name == "main"
    assert "looks hard" in hard.reason
    assert (await two.pick(Needs())).tier.name == "small"
    assert (await one.pick(Needs(hard=lambda: True))).tier.name == "small"


@pytest.mark.anyio
async def test_a_prompt_that_looks_hard_stays_where_its_caller_or_its_tool_wants_it() -> None:
    little, large = ScriptedEngine(model="little"), ScriptedEngine(model="large")
    two = Router(TIERS, {"small": little, "main": large}.__getitem__)
    assert (await two.pick(Needs(hard=lambda: True, tier="small"))).tier.name == "small"
    wanted = await two.pick(Needs(hard=lambda: True, wants="small"))
    assert wanted.tier.name == "small"
    assert "the tool wants it" in wanted.reason


@pytest.mark.anyio
async def test_the_context_of_a_tier_is_its_models_or_the_configured_one_if_no_engine_answers() -> None:
    class Down(ScriptedEngine):
        async def profile(self, model: str = "") -> Profile:
            raise EngineUnavailableError("nothing answers")

    bounded = ScriptedEngine(capabilities=Capabilities(max_context=8192))
    engines = {"small": bounded, "main": Down()}
    assert await Router(TIERS, engines.__getitem__).contexts() == {"small": 4096, "main": 16384}
    engines["main"] = bounded
    assert await Router(TIERS, engines.__getitem__).contexts() == {"small": 4096, "main": 8192}
