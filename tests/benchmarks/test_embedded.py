"""Tests the embedded engine's benchmark: comparison, target and stored figures."""

import json

import pytest

from benchmarks import __main__ as bench
from benchmarks import embedded, start, targets, tools
from benchmarks.embedded import BARE, OURS, Speed

SPEEDS: embedded.Speeds = {
    "small": {
        OURS: [Speed(90, 19), Speed(50, 9.5), Speed(96, 10)],
        BARE: [Speed(100, 20), Speed(50, 10), Speed(100, 20)],
    }
}


def test_only_neighbours_in_time_are_compared():
    times = embedded.ratio(SPEEDS["small"])
    assert (times.prompt, times.answer) == pytest.approx((0.96, 0.95))


def test_stored_figures_are_read_back_unchanged():
    assert embedded.speeds_of(json.loads(json.dumps(embedded.as_json(SPEEDS)))) == SPEEDS


def test_the_target_is_a_speed_five_percent_below_the_bare_servers():
    stored = json.loads(bench.STORED.read_text(encoding="utf-8"))
    memory = {name: start.Memory(**held) for name, held in stored["start"]["memory"].items()}
    added = tools.Added(**stored["tools"]["added"])
    found = targets.targets(bench.runs_of(stored), bench.starts_of(stored), memory, added, [], SPEEDS)
    listed = [target for target in found if target.what.startswith("embedded")]
    assert [(target.what.partition(",")[0], target.wanted, target.least) for target in listed] == [
        ("embedded prompt tokens/s", 0.95, True),
        ("embedded answer tokens/s", 0.95, True),
    ]


def test_each_setting_of_the_sweep_has_a_name_of_its_own():
    assert len({setting.name for setting in embedded.SWEEP}) == len(embedded.SWEEP)
