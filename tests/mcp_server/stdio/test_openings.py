"""The handshake answers the first messages of real clients, so that their first turn has the tools.

``make test-clients`` recorded the messages in ``tests/data/openings``.
"""

import json
from pathlib import Path

import pytest

from tests.mcp_server.stdio.test_handshake import handshake_answers

OPENINGS = sorted((Path(__file__).parents[2] / "data" / "openings").glob("*.jsonl"))


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda path: path.stem)
def test_a_real_client_is_answered_up_to_the_list_of_tools(opening: Path) -> None:
    messages = [json.loads(line) for line in opening.read_text().splitlines()]
    answers, backlog = handshake_answers(*messages)
    asked = [message["id"] for message in messages if "id" in message]
    assert [answer["id"] for answer in answers] == asked
    assert all("result" in answer for answer in answers)
    assert [tool["name"] for tool in answers[-1]["result"]["tools"]] == [
        "classify",
        "extract",
        "summarize",
        "chat",
    ]
    assert backlog.answered == set(asked)
