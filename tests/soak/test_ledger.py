"""The soak's own checks fail where the ledger and the calls do not agree."""

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.ledger import Rows, differences, rows
from tools.base import Call, Receipt, TokenCounts
from tools.ledger.store import Ledger

pytestmark = pytest.mark.anyio

RECEIPT = Receipt("small", "scripted", "m", None, "p", 1, TokenCounts(1, 2, 3), saved=4)


async def test_a_row_that_was_written_twice_is_counted(tmp_path: Path) -> None:
    async with Ledger(tmp_path, days=36_500, clock=lambda: 1e9) as ledger:
        for agent in ("a", "b", "b"):
            ledger.record(Call("chat", {}, agent=agent), RECEIPT)
        ledger.charge("p", "a", 800)
    assert rows(tmp_path) == Rows(Counter(a=1, b=2), 1)


@pytest.mark.parametrize(("in_ledger", "agrees"), [(4, False), (5, True), (7, True), (8, False)])
def test_rows_are_as_many_as_ended_calls_and_at_most_the_cancelled_ones_more(
    in_ledger: int, agrees: bool
) -> None:
    found = Rows(Counter(a=in_ledger), 0)
    assert (differences(found, Counter(a=5), Counter(a=2)) == []) == agrees
