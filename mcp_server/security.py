"""Who may speak to the HTTP server: one wrapper around the whole app, so that no route is forgotten.

Host and Origin are checked on every request (a web page must not reach us through the user's
browser), the token on every route but ``/health``, and no body grows past its limit.
"""

import ipaddress
import json
from collections.abc import Sequence
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines.errors import AgentError
from mcp_server.settings import LOOPBACK, HttpSettings, SettingsError

OPEN_ROUTES = frozenset({"/health", "/", "/dashboard.css", "/dashboard.js"})
"""Say that a process is alive and nothing else; the dashboard's page asks for its data with the token."""


class _RefusedError(AgentError):
    kind = "caller"
    status = 400

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)


class HostRefusedError(_RefusedError):
    code = "host_refused"
    status = 421


class OriginRefusedError(_RefusedError):
    code = "origin_refused"
    status = 403


class TokenRefusedError(_RefusedError):
    code = "token_refused"
    status = 401


class BodyTooLargeError(_RefusedError):
    code = "body_too_large"
    status = 413


def check_listening(settings: HttpSettings) -> None:
    """Refuse to listen where others can reach us without a token.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    if settings.host not in LOOPBACK and not settings.token:
        raise SettingsError(
            f"will not listen on {settings.host} without a token",
            hint="set LOCAL_LLM_HTTP__TOKEN, or use --host 127.0.0.1",
        )


class Guard:
    """Wraps an ASGI app; refuses what ``HttpSettings`` does not allow, before the app sees it."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._token = settings.token.encode()
        self._hosts = LOOPBACK | {settings.host, *settings.allowed_hosts}
        self._origins = frozenset(settings.allowed_origins)
        self._max_body = settings.max_body_mib * 2**20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            self._check(scope["path"], headers)
        except _RefusedError as error:
            await _refuse(send, error)
            return
        await self._limited(scope, receive, send)

    def _check(self, path: str, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._known_host(host):
            raise HostRefusedError(
                f"the Host header {host!r} is not one of ours", hint="add it to [http] allowed_hosts"
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._known_origin(origin.decode("latin-1"), host):
            raise OriginRefusedError("this Origin may not call", hint="add it to [http] allowed_origins")
        if self._token and path not in OPEN_ROUTES and not self._has_token(headers):
            raise TokenRefusedError(
                "the bearer token is missing or wrong", hint="send Authorization: Bearer TOKEN"
            )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._max_body:
            raise self._too_large()

    def _known_host(self, host: str) -> bool:
        """Names we were given. A bare IP address is safe too: DNS rebinding needs a name."""
        name = urlsplit(f"//{host}").hostname or ""
        return host in self._hosts or name in self._hosts or _is_address(name)

    def _known_origin(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        return origin in self._origins or parts.netloc == host or (parts.hostname or "") in LOOPBACK

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and compare_digest(token.strip(), self._token)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app, with a body of unknown length counted as it comes in."""
        taken = 0
        started = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_body:
                raise self._too_large()
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted, sending)
        except BodyTooLargeError as error:
            if started:
                raise
            await _refuse(send, error)

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"the body is over {self._max_body >> 20} MiB or its length is wrong",
            hint="send paths instead of text, or raise [http] max_body_mib",
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(send: Send, error: _RefusedError) -> None:
    """The refusal in OpenAI's error body, which REST and MCP clients read as well."""
    body = json.dumps(
        {"error": {"message": f"{error.message} ({error.hint})", "type": "invalid_request_error",
                   "param": None, "code": error.code}}
    ).encode()  # fmt: skip
    headers: Sequence[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *([(b"www-authenticate", b"Bearer")] if error.status == TokenRefusedError.status else []),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
