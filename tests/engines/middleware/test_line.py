"""The rule who is next, without an event loop and on a clock of its own."""

import math
from collections import Counter

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.base import Tags
from engines.middleware.admission import PATIENCE_S, Line, Waiter
from engines.middleware.slots import Places, Ranks
from tests.engines.middleware.asking import Clock

TIERS = st.sampled_from(["small", "main", "huge"])
AGENTS = st.sampled_from(["ann", "bob", "cyd"])


class Admission(RuleBasedStateMachine):
    """Requests come, end and give up in any order, with any weight, and time passes."""

    @initialize(count=st.integers(1, 5), pool=st.sampled_from([math.inf, 10]))
    def start(self, count: int, pool: float) -> None:
        self.clock = Clock()
        self.places = Places(count, pool=pool)
        self.line = Line(self.places, self.clock)
        self.present: list[Waiter] = []

    @property
    def running(self) -> list[Waiter]:
        return [waiter for waiter in self.present if waiter.place is not None]

    @rule(tier=TIERS, agent=AGENTS, weight=st.integers(0, 12), pause=st.floats(0, 3))
    def join(self, tier: str, agent: str, weight: int, pause: float) -> None:
        self.clock.now += pause
        self.present.append(self.line.join(Tags(tier=tier, agent=agent), weight))

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(self.present))
        self.present.remove(waiter)
        self.line.leave(waiter)

    @invariant()
    def no_more_run_than_there_are_places(self) -> None:
        assert len({waiter.place for waiter in self.running}) == len(self.running) <= self.places.count

    @invariant()
    def one_place_is_kept_for_the_small_tier(self) -> None:
        others = [waiter for waiter in self.running if not waiter.lane.small]
        assert len(others) <= max(1, self.places.count - 1)

    @invariant()
    def what_runs_fits_the_pool_or_is_alone(self) -> None:
        heavy = [waiter.weight for waiter in self.running if waiter.weight]
        assert sum(heavy) <= self.places.pool or len(heavy) == 1

    @invariant()
    def nobody_waits_beside_a_place_they_could_have(self) -> None:
        waiting = [waiter for waiter in self.present if waiter.place is None]
        assert len(waiting) == self.line.waiting
        if self.places.pool == math.inf and waiting:
            free = self.places.count - len(self.running)
            kept_free = self.places.count > 1 and 0 not in {waiter.place for waiter in self.running}
            assert free <= kept_free
            assert not (kept_free and any(waiter.lane.small for waiter in waiting))

    def teardown(self) -> None:
        if not hasattr(self, "line"):
            return
        expected = len(self.present)
        served = 0
        while running := self.running:
            served += 1
            self.present.remove(running[0])
            self.line.leave(running[0])
        assert served == expected, "a request was lost"


TestAdmission = Admission.TestCase
TestAdmission.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 8), min_size=2, max_size=5), st.sampled_from(["small", "main"]))
def test_agents_are_served_in_turn_however_many_requests_each_has(requests: list[int], tier: str):
    clock = Clock()
    line = Line(Places(1), clock)
    first = line.join(Tags(tier=tier, agent="first"))
    agents = {f"agent {n}": number for n, number in enumerate(requests)}
    waiting: list[Waiter] = []
    for agent, number in agents.items():
        waiting += [line.join(Tags(tier=tier, agent=agent)) for _ in range(number)]
    served: Counter[str] = Counter()
    line.leave(first)
    while running := next((waiter for waiter in waiting if waiter.place is not None), None):
        clock.now += 0.7
        served[running.lane.key[2]] += 1
        still_waiting = [agent for agent, number in agents.items() if served[agent] < number]
        counts = [served[agent] for agent in still_waiting]
        assert not counts or max(served.values()) - min(counts) <= 1
        waiting.remove(running)
        line.leave(running)
    assert not waiting


def test_small_requests_go_first():
    clock = Clock()
    line = Line(Places(1), clock)
    running = line.join(Tags(tier="small"))
    main = line.join(Tags(tier="main"))
    clock.now += PATIENCE_S / 2
    small = line.join(Tags(tier="small"))
    line.leave(running)
    assert small.place is not None
    assert main.place is None


def test_a_main_request_whose_patience_is_over_goes_before_small_ones_that_came_later():
    clock = Clock()
    line = Line(Places(1), clock)
    running = line.join(Tags(tier="small"))
    main = line.join(Tags(tier="main"))
    clock.now += PATIENCE_S + 0.1
    small = line.join(Tags(tier="small"))
    line.leave(running)
    assert main.place is not None
    assert small.place is None


def test_a_small_request_behind_an_older_main_one_takes_only_the_kept_place():
    clock = Clock()
    line = Line(Places(2), clock)
    running = line.join(Tags(tier="main"))
    main = line.join(Tags(tier="main"))
    clock.now += PATIENCE_S + 0.1
    first, second = line.join(Tags(tier="small")), line.join(Tags(tier="small"))
    assert (first.place, second.place) == (0, None)
    line.leave(running)
    assert main.place == 1


def test_with_a_single_place_none_is_kept():
    assert Line(Places(1)).join(Tags(tier="main")).place == 0


def test_a_request_larger_than_the_pool_runs_alone():
    line = Line(Places(3, pool=10))
    light = line.join(Tags(tier="main"), 1)
    heavy = line.join(Tags(tier="main"), 50)
    assert heavy.place is None
    line.leave(light)
    assert heavy.place is not None
    assert line.join(Tags(tier="main"), 1).place is None


class CrowdedPlaces(Places):
    """Places others wait for too, in processes a test makes up."""

    def __init__(self, count: int, elsewhere: Ranks) -> None:
        super().__init__(count)
        self.elsewhere = elsewhere
        self.told: list[Ranks] = []

    def waiting_elsewhere(self) -> Ranks:
        return self.elsewhere

    def tell(self, ranks: Ranks) -> None:
        self.told.append(ranks)


def test_whoever_waits_longer_in_another_process_goes_first():
    clock = Clock()
    places = CrowdedPlaces(2, Ranks(small=clock.now - 1))
    line = Line(places, clock)
    waiter = line.join(Tags(tier="small"))
    assert waiter.place is None
    assert places.told == [Ranks(small=clock.now)]
    places.elsewhere = Ranks(small=clock.now + 1)
    line.deal()
    assert waiter.place is not None
    assert places.told[-1] == Ranks()


def test_a_main_request_of_another_process_does_not_keep_small_ones_from_their_place():
    clock = Clock()
    line = Line(CrowdedPlaces(4, Ranks(main=clock.now - 1)), clock)
    assert line.join(Tags(tier="small")).place == 0
    assert line.join(Tags(tier="main")).place is None
