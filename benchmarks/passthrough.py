"""Baseline gateway: Starlette and aiohttp pass bytes through without parsing them.

    python -P -m benchmarks.passthrough PORT UPSTREAM

A Python gateway can hardly be faster, so the time that another gateway adds is reported as a ratio to the
time that this one adds.
"""

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def build(upstream: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            app.state.session = session
            yield

    async def chat(request: Request) -> Response:
        session: aiohttp.ClientSession = request.app.state.session
        body = await request.body()
        headers = {"content-type": "application/json"}
        answer = await session.post(f"{upstream}/chat/completions", data=body, headers=headers)
        if answer.content_type == "text/event-stream":
            return StreamingResponse(passed(answer), media_type="text/event-stream")
        async with answer:
            return Response(await answer.read(), media_type="application/json")

    async def models(request: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", models, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def passed(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with answer:
        async for data in answer.content.iter_any():
            yield data


def main() -> None:
    port, upstream = sys.argv[1:]
    uvicorn.run(build(upstream), host="127.0.0.1", port=int(port), loop="uvloop", log_config=None,
                access_log=False)  # fmt: skip


if __name__ == "__main__":
    main()
