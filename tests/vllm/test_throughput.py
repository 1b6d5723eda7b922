from pathlib import Path

import anyio
import pytest

from tests.vllm.server import Server
from tests.vllm.throughput import compare, gateway

pytestmark = [pytest.mark.anyio, pytest.mark.vllm]


async def test_eight_requests_at_once_take_less_than_half_the_time_of_eight_in_a_row(
    adapted: Server, logs: Path
):
    with anyio.fail_after(300), gateway(adapted, logs / "gateway.log") as through:
        bare, ours = await compare(adapted, through, rounds=1)
    assert ours.times > 2, f"vLLM alone: {bare.times:.1f}"
