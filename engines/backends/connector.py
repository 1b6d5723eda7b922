"""An aiohttp connector that discards pooled connections with unexpected data.

Imported when a ``Wire`` opens, because importing aiohttp is slow.
"""

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class QuietConnector(aiohttp.TCPConnector):
    """Discards pooled connections with unread data, which aiohttp would take as the next answer."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's signature)
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if not _has_unread_data(connection.protocol):
                return connection
            connection.close()


def _has_unread_data(protocol: ResponseHandler | None) -> bool:
    return protocol is not None and protocol.should_close
