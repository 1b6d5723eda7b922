"""Pooled connections that are used again only while nothing has come on them unasked.

Imported when a wire opens: aiohttp takes a while.
"""

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class QuietConnector(aiohttp.TCPConnector):
    """aiohttp would take an answer nobody asked for, come after the last one, for the next request's."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's signature)
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if not _spoke(connection.protocol):
                return connection
            connection.close()


def _spoke(protocol: ResponseHandler | None) -> bool:
    return protocol is not None and protocol.should_close
