"""Finds the server to which ``stdio`` forwards: ``--through``, the environment, or the user's settings file.

Reads the file itself, because the settings' models take more memory than forwarding does. What is wrong in it
is reported by a process that reads all of it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from mcp_server.folders import user_file

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """A running server."""

    url: str
    """Its address, as it was given."""
    token: str = field(default="", repr=False)

    @property
    def endpoint(self) -> str:
        """URL of MCP over Streamable HTTP."""
        base = self.url.rstrip("/")
        return base if base.endswith("/mcp") else f"{base}/mcp"

    @property
    def local_port(self) -> int | None:
        """Its port on this machine; ``None`` for a server elsewhere.

        Raises:
            ValueError: it is not the URL of a server.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL has no host")
        port = parts.port or 80
        return port if parts.scheme == "http" and parts.hostname in LOOPBACK else None


def target(flag: str | None, environ: Mapping[str, str]) -> Target | None:
    """Returns the server to forward to; ``None`` to serve in this process."""
    file = _user_settings(environ)
    url = flag if flag is not None else _setting(file, environ, "stdio", "through")
    return Target(url, _setting(file, environ, "http", "token")) if url else None


def _setting(file: Mapping[str, object], environ: Mapping[str, str], section: str, key: str) -> str:
    given = environ.get(f"LOCAL_LLM_{section}__{key}".upper())
    if given is not None:
        return given
    table = file.get(section)
    value = cast("dict[str, object]", table).get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) else ""


def _user_settings(environ: Mapping[str, str]) -> Mapping[str, object]:
    try:
        return tomllib.loads(user_file(environ).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
