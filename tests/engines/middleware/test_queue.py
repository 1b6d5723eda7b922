"""Tests the order of the queue, without an event loop and with a fake clock."""

import math
from collections import Counter

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.base import Tags
from engines.middleware.admission import PATIENCE_S, Queue, Waiter
from engines.middleware.slots import Ranks, Slots
from tests.engines.middleware.fakes import Clock

TIERS = st.sampled_from(["small", "main", "huge"])
AGENTS = st.sampled_from(["ann", "bob", "cyd"])


class Admission(RuleBasedStateMachine):
    """Requests arrive, end and are cancelled in any order, with any weight and timing."""

    @initialize(count=st.integers(1, 5), pool=st.sampled_from([math.inf, 10]))
    def start(self, count: int, pool: float) -> None:
        self.clock = Clock()
        self.slots = Slots(count, pool=pool)
        self.queue = Queue(self.slots, self.clock)
        self.present: list[Waiter] = []

    @property
    def running(self) -> list[Waiter]:
        return [waiter for waiter in self.present if waiter.slot is not None]

    @rule(tier=TIERS, agent=AGENTS, weight=st.integers(0, 12), pause=st.floats(0, 3))
    def join(self, tier: str, agent: str, weight: int, pause: float) -> None:
        self.clock.now += pause
        self.present.append(self.queue.join(Tags(tier=tier, agent=agent), weight))

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from(self.present))
        self.present.remove(waiter)
        self.queue.leave(waiter)

    @invariant()
    def no_more_run_than_there_are_slots(self) -> None:
        assert len({waiter.slot for waiter in self.running}) == len(self.running) <= self.slots.count

    @invariant()
    def one_slot_is_reserved_for_the_small_tier(self) -> None:
        others = [waiter for waiter in self.running if not waiter.lane.small]
        assert len(others) <= max(1, self.slots.count - 1)

    @invariant()
    def what_runs_fits_the_pool_or_is_alone(self) -> None:
        heavy = [waiter.weight for waiter in self.running if waiter.weight]
        assert sum(heavy) <= self.slots.pool or len(heavy) == 1

    @invariant()
    def nobody_waits_beside_a_slot_they_could_have(self) -> None:
        waiting = [waiter for waiter in self.present if waiter.slot is None]
        assert len(waiting) == self.queue.waiting
        if self.slots.pool == math.inf and waiting:
            free = self.slots.count - len(self.running)
            reserved_free = self.slots.count > 1 and 0 not in {waiter.slot for waiter in self.running}
            assert free <= reserved_free
            assert not (reserved_free and any(waiter.lane.small for waiter in waiting))

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        expected = len(self.present)
        served = 0
        while running := self.running:
            served += 1
            self.present.remove(running[0])
            self.queue.leave(running[0])
        assert served == expected, "a request was lost"


TestAdmission = Admission.TestCase
TestAdmission.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 8), min_size=2, max_size=5), st.sampled_from(["small", "main"]))
def test_agents_are_served_in_turn_however_many_requests_each_has(requests: list[int], tier: str):
    clock = Clock()
    queue = Queue(Slots(1), clock)
    first = queue.join(Tags(tier=tier, agent="first"))
    agents = {f"agent {n}": number for n, number in enumerate(requests)}
    waiting: list[Waiter] = []
    for agent, number in agents.items():
        waiting += [queue.join(Tags(tier=tier, agent=agent)) for _ in range(number)]
    served: Counter[str] = Counter()
    queue.leave(first)
    while running := next((waiter for waiter in waiting if waiter.slot is not None), None):
        clock.now += 0.7
        served[running.lane.key[2]] += 1
        still_waiting = [agent for agent, number in agents.items() if served[agent] < number]
        counts = [served[agent] for agent in still_waiting]
        assert not counts or max(served.values()) - min(counts) <= 1
        waiting.remove(running)
        queue.leave(running)
    assert not waiting


def test_small_requests_go_first():
    clock = Clock()
    queue = Queue(Slots(1), clock)
    running = queue.join(Tags(tier="small"))
    main = queue.join(Tags(tier="main"))
    clock.now += PATIENCE_S / 2
    small = queue.join(Tags(tier="small"))
    queue.leave(running)
    assert small.slot is not None
    assert main.slot is None


def test_a_main_request_after_its_patience_goes_before_later_small_ones():
    clock = Clock()
    queue = Queue(Slots(1), clock)
    running = queue.join(Tags(tier="small"))
    main = queue.join(Tags(tier="main"))
    clock.now += PATIENCE_S + 0.1
    small = queue.join(Tags(tier="small"))
    queue.leave(running)
    assert main.slot is not None
    assert small.slot is None


def test_a_small_request_behind_an_older_main_one_takes_only_the_reserved_slot():
    clock = Clock()
    queue = Queue(Slots(2), clock)
    running = queue.join(Tags(tier="main"))
    main = queue.join(Tags(tier="main"))
    clock.now += PATIENCE_S + 0.1
    first, second = queue.join(Tags(tier="small")), queue.join(Tags(tier="small"))
    assert (first.slot, second.slot) == (0, None)
    queue.leave(running)
    assert main.slot == 1


def test_a_single_slot_is_not_reserved():
    assert Queue(Slots(1)).join(Tags(tier="main")).slot == 0


def test_a_request_larger_than_the_pool_runs_alone():
    queue = Queue(Slots(3, pool=10))
    light = queue.join(Tags(tier="main"), 1)
    heavy = queue.join(Tags(tier="main"), 50)
    assert heavy.slot is None
    queue.leave(light)
    assert heavy.slot is not None
    assert queue.join(Tags(tier="main"), 1).slot is None


class CrowdedSlots(Slots):
    """Slots with requests waiting in fake other processes."""

    def __init__(self, count: int, elsewhere: Ranks) -> None:
        super().__init__(count)
        self.elsewhere = elsewhere
        self.published: list[Ranks] = []

    def waiting_elsewhere(self) -> Ranks:
        return self.elsewhere

    def publish(self, ranks: Ranks) -> None:
        self.published.append(ranks)


def test_a_longer_wait_in_another_process_goes_first():
    clock = Clock()
    slots = CrowdedSlots(2, Ranks(small=clock.now - 1))
    queue = Queue(slots, clock)
    waiter = queue.join(Tags(tier="small"))
    assert waiter.slot is None
    assert slots.published == [Ranks(small=clock.now)]
    slots.elsewhere = Ranks(small=clock.now + 1)
    queue.grant_free()
    assert waiter.slot is not None
    assert slots.published[-1] == Ranks()


def test_a_main_request_of_another_process_does_not_block_the_reserved_slot():
    clock = Clock()
    queue = Queue(CrowdedSlots(4, Ranks(main=clock.now - 1)), clock)
    assert queue.join(Tags(tier="small")).slot == 0
    assert queue.join(Tags(tier="main")).slot is None
