"""The SDK leaves an answer open when its session is ended meanwhile; uvicorn would log that as an error."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from mcp_server.http.app import Completed

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PIECE: Message = {"type": "http.response.body", "body": b"a", "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b"b"}
END: Message = {"type": "http.response.body", "body": b""}


async def sent_after(*messages: Message) -> list[Message]:
    """Returns what is sent if an app sends ``messages``."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await Completed(app)({"type": "http"}, receive, send)
    return sent


@pytest.mark.parametrize("messages", [(START,), (START, PIECE)])
async def test_an_answer_that_is_left_open_is_ended(messages: tuple[Message, ...]) -> None:
    assert await sent_after(*messages) == [*messages, END]


@pytest.mark.parametrize("messages", [(START, LAST), (START, PIECE, LAST)])
async def test_a_complete_answer_stays_as_it_is(messages: tuple[Message, ...]) -> None:
    assert await sent_after(*messages) == [*messages]


async def test_a_request_without_an_answer_is_not_found() -> None:
    start, body = await sent_after()
    assert start["status"] == 404
    assert b"session" in body["body"]
