"""What real clients say first is answered by the stand-in, so that their first turn has our tools.

The lines in ``tests/data/openings`` are theirs, written down by ``make test-clients``.
"""

import json
from pathlib import Path

import pytest

from tests.mcp_server.stdio.test_front import front_said

OPENINGS = sorted((Path(__file__).parents[2] / "data" / "openings").glob("*.jsonl"))


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda path: path.stem)
def test_a_real_client_is_answered_up_to_the_list_of_tools(opening: Path) -> None:
    said = [json.loads(line) for line in opening.read_text().splitlines()]
    answers, backlog = front_said(*said)
    asked = [message["id"] for message in said if "id" in message]
    assert [answer["id"] for answer in answers] == asked
    assert all("result" in answer for answer in answers)
    assert [tool["name"] for tool in answers[-1]["result"]["tools"]] == [
        "classify",
        "extract",
        "summarize",
        "chat",
    ]
    assert backlog.answered == set(asked)
