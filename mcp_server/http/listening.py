"""Opens listening sockets."""

import socket

from engines import system
from engines.errors import AgentError

BACKLOG = 2048
"""Listen backlog; uvicorn's default."""


class PortTakenError(AgentError):
    """Another process listens on the port."""

    kind = "unavailable"
    code = "port_taken"


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on the address; port 0 takes a free one.

    Raises:
        PortTakenError: another process listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        system.own_address(listener)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"stop that server, or choose another port: serve --port {port + 1}",
        ) from None
    return listener
