"""Access control for HTTP: an ASGI middleware around the whole app, so that it covers every route.

It checks Host and Origin on every request (against DNS rebinding and cross-site requests), the token
on every route outside ``OPEN_ROUTES``, and the size of bodies. It refuses websockets. Pages of
``cors_origins`` get CORS headers, and preflights answered by the middleware, which run no route.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines.errors import AgentError
from mcp_server.settings import LOOPBACK, HttpSettings, SettingsError

OPEN_ROUTES = frozenset({"/health", "/", "/dashboard.css", "/dashboard.js"})
"""Routes without a token: they contain no data; the dashboard requests its data with the token."""


class _RefusedError(AgentError):
    """A request the guard refuses."""

    kind = "caller"
    status = 400

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)


class HostRefusedError(_RefusedError):
    """The Host header is not allowed."""

    code = "host_refused"
    status = 421


class OriginRefusedError(_RefusedError):
    """The Origin header is not allowed."""

    code = "origin_refused"
    status = 403


class TokenRefusedError(_RefusedError):
    """The bearer token is missing or wrong."""

    code = "token_refused"
    status = 401


class HeaderRefusedError(_RefusedError):
    """A header is malformed or repeated."""

    code = "header_refused"


class BodyTooLargeError(_RefusedError):
    """The body exceeds ``[http] max_body_mib``."""

    code = "body_too_large"
    status = 413


# A name or address with an optional port: no user, path, or second colon outside brackets.
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]\\]+)(?::\d{1,5})?")
_ONCE = (b"host", b"origin", b"authorization", b"content-length")
"""Headers that may come only once: parsers disagree on which of two counts."""


def check_listening(settings: HttpSettings) -> None:
    """Refuses to listen beyond loopback without a token.

    Raises:
        SettingsError: the address is not loopback and there is no token.
    """
    if settings.host not in LOOPBACK and not settings.token:
        raise SettingsError(
            f"refusing to listen on {settings.host} without a token",
            hint="set LOCAL_LLM_HTTP__TOKEN, or use --host 127.0.0.1",
        )


class Guard:
    """ASGI middleware that refuses requests ``HttpSettings`` does not allow."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self._token = settings.token.encode()
        self._hosts = LOOPBACK | {host.lower() for host in (settings.host, *settings.allowed_hosts)}
        self._cors_origins = frozenset(settings.cors_origins)
        self._origins = {origin.lower() for origin in settings.allowed_origins} | self._cors_origins
        self._max_body = settings.max_body_mib * 2**20
        # A browser sends no token before a preflight is answered, so this comes before the token's check.
        self._cors = CORSMiddleware(
            self._with_access,
            allow_origins=self._cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),  # OpenAI's client sends a dozen of its own
            expose_headers=("Retry-After", "X-Should-Retry", "Mcp-Session-Id", "WWW-Authenticate"),
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        # Surrounding blanks are no part of a value (RFC 9110, 5.5); httptools keeps trailing ones.
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        scope = {**scope, "headers": headers}
        try:
            found = _headers(headers)
            self._check_source(found)
            is_cors = found.get(b"origin", b"").decode("latin-1") in self._cors_origins
            if not is_cors:
                self._check_access(scope["path"], found)
        except _RefusedError as error:
            await _refuse(send, error)
            return
        await (self._cors if is_cors else self._limited)(scope, receive, send)

    async def _with_access(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the app if token and announced length are right; a refusal has CORS headers too."""
        try:
            self._check_access(scope["path"], _headers(scope["headers"]))
        except _RefusedError as error:
            await _refuse(send, error)
            return
        await self._limited(scope, receive, send)

    def _check_source(self, headers: Mapping[bytes, bytes]) -> None:
        """Checks Host and Origin."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._known_host(host):
            raise HostRefusedError(
                f"the Host header {host[:100]!r} is not allowed", hint="add it to [http] allowed_hosts"
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._known_origin(origin.decode("latin-1").lower(), host):
            raise OriginRefusedError(
                "the Origin header is not allowed", hint="add it to [http] allowed_origins"
            )

    def _check_access(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Checks the token and the announced length."""
        if self._token and path not in OPEN_ROUTES and not self._has_token(headers):
            raise TokenRefusedError(
                "the bearer token is missing or wrong", hint="send Authorization: Bearer TOKEN"
            )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise HeaderRefusedError("Content-Length is not a number", hint="send the body's length in bytes")
        # int() raises ValueError above some 4,000 digits.
        if len(length) > 18 or int(length) > self._max_body:
            raise self._too_large()

    def _known_host(self, host: str) -> bool:
        """Whether the host is configured or an IP address, which is safe: DNS rebinding needs a name."""
        found = _HOST.fullmatch(host)
        return found is not None and (
            host in self._hosts or found["name"] in self._hosts or _is_address(found["name"])
        )

    def _known_origin(self, origin: str, host: str) -> bool:
        """Whether the origin is configured, the request's host, or loopback on any port; never ``null``."""
        scheme, _, authority = origin.partition("://")
        found = _HOST.fullmatch(authority)
        if origin in self._origins:
            return True
        return (
            scheme in {"http", "https"}
            and found is not None
            and (authority == host or found["name"] in LOOPBACK)
        )

    def _has_token(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and compare_digest(token.strip(), self._token)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the app and counts the body as it arrives, whatever length was announced.

        Above the limit the guard answers itself and the app receives a disconnect, so that no error
        handler of the app can replace the refusal.
        """
        taken = 0
        started = refused = False

        async def counted() -> Message:
            nonlocal taken, refused
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= self._max_body:
                return message
            if not (started or refused):
                refused = True
                await _refuse(send, self._too_large())
            return {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, sending)
        except Exception:
            if not refused:
                raise

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"the body is over {self._max_body >> 20} MiB",
            hint="send paths instead of text, or raise [http] max_body_mib",
        )


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Returns the headers by lower-case name.

    Raises:
        HeaderRefusedError: a header of ``_ONCE`` is repeated.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in raw:
        name = name.lower()
        if name in headers and name in _ONCE:
            raise HeaderRefusedError(
                f"the header {name.decode('latin-1')} appears twice", hint="send it once"
            )
        headers[name] = value
    return headers


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _refuse(send: Send, error: _RefusedError) -> None:
    """Sends the refusal in OpenAI's error format, which REST and MCP clients read as well."""
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
