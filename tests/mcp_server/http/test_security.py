"""Access control of the HTTP server: token, Host, Origin and body size, on every route of the app."""

import inspect
import json
import socket
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.app import build
from mcp_server.folders import Folders
from mcp_server.http import connection, security
from mcp_server.http.app import Server, build_http, configured
from mcp_server.http.security import OPEN_ROUTES, Guard, check_listening
from mcp_server.settings import CONFIG_VARIABLE, HttpSettings, SettingsError, read

pytestmark = pytest.mark.anyio

TOKEN = "a-token-nobody-guesses"
BEARER = ("authorization", f"Bearer {TOKEN}")
HOST = ("host", "127.0.0.1:3160")
MIB = 2**20

ROUTES = [
    ("GET", "/"), ("GET", "/health"), ("GET", "/ready"), ("GET", "/openapi.json"), ("GET", "/metrics"),
    ("GET", "/stats.json"), ("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/sse"),
    ("POST", "/messages/"), ("POST", "/messages/?session_id=00000000000000000000000000000000"),
    ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/responses"), ("GET", "/mcp/tools"),
    ("POST", "/v1/completions"), ("POST", "/v1/embeddings"),
    ("POST", "/mcp/tools/classify"), ("OPTIONS", "/v1/chat/completions"), ("GET", "/nowhere"),
]  # fmt: skip
CLOSED = [route for route in ROUTES if route[1] not in OPEN_ROUTES]
POSTS = [route for route in ROUTES if route[0] == "POST"]

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Error code of a refusal."""
        try:
            return json.loads(self.body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return ""


REFUSALS = {"host_refused", "origin_refused", "token_refused", "header_refused", "body_too_large"}


async def ask(
    app: ASGIApp, method: str, path: str, headers: Headers, parts: Sequence[bytes] = (b"",)
) -> Answer:
    """Sends one request as uvicorn would; returns the beginning of an endless response."""
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 3160),
    }  # fmt: skip
    waiting = list(parts)
    sent: list[Message] = []
    leave = anyio.Event()

    async def receive() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        kind = dict(sent[0].get("headers", ())).get(b"content-type", b"")
        ended = message["type"] == "http.response.body" and not message.get("more_body")
        if ended or kind.startswith(b"text/event-stream"):
            leave.set()

    with anyio.fail_after(10):
        await app(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, sent
    body = b"".join(message.get("body", b"") for message in sent)
    named = {name.decode(): value.decode() for name, value in starts[0]["headers"]}
    return Answer(starts[0]["status"], named, body)


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncGenerator[None]:
    """Runs the lifespan of ``app``."""
    to_app, from_test = anyio.create_memory_object_stream[Message](2)
    up, down = anyio.Event(), anyio.Event()

    async def send(message: Message) -> None:
        assert message["type"] in {"lifespan.startup.complete", "lifespan.shutdown.complete"}, message
        (up if message["type"] == "lifespan.startup.complete" else down).set()

    async with to_app, from_test, anyio.create_task_group() as group:
        group.start_soon(_living, app, from_test.receive, send)
        await to_app.send({"type": "lifespan.startup"})
        with anyio.fail_after(5):
            await up.wait()
        yield
        await to_app.send({"type": "lifespan.shutdown"})
        with anyio.fail_after(5):
            await down.wait()


async def _living(app: ASGIApp, receive: Receive, send: Send) -> None:
    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)


@asynccontextmanager
async def app_with(folder: Path, **http: object) -> AsyncGenerator[ASGIApp]:
    """Builds the app over the scripted engine with these HTTP settings."""
    with pytest.MonkeyPatch.context() as patch:
        (folder / "config.toml").write_text("")
        patch.setenv(CONFIG_VARIABLE, str(folder / "config.toml"))
        settings = read(engine="scripted", cache=False, ledger={"enabled": False}, http=http)
    folders = Folders(*(folder / name for name in ("cache", "run", "config", "data")))
    async with build(settings, folders) as app:
        asgi = build_http(app)
        async with alive(asgi):
            yield asgi


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ASGIApp]:
    folder = tmp_path_factory.mktemp("guarded")
    async with app_with(folder, token=TOKEN, max_body_mib=1, allowed_hosts=["Box.local", "other:99"]) as app:
        yield app


@pytest.fixture(scope="module")
async def tokenless(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ASGIApp]:
    async with app_with(tmp_path_factory.mktemp("tokenless"), max_body_mib=1) as app:
        yield app


# Token


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Bearer {TOKEN.upper()}",
     f"Basic {TOKEN}", TOKEN, f"Bearer Bearer {TOKEN}", f"Bearer\t{TOKEN}", f"Bearer {TOKEN}\0", "Bearer é"],
)  # fmt: skip
async def test_without_the_token_no_route_answers(
    guarded: ASGIApp, method: str, path: str, authorization: str | None
) -> None:
    headers = [HOST] if authorization is None else [HOST, ("authorization", authorization)]
    answer = await ask(guarded, method, path, headers)
    assert (answer.status, answer.code) == (401, "token_refused")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_every_route_answers(
    guarded: ASGIApp, method: str, path: str, scheme: str
) -> None:
    answer = await ask(guarded, method, path, [HOST, ("authorization", f"{scheme} {TOKEN}")])
    assert answer.code not in REFUSALS


@pytest.mark.parametrize("path", sorted(OPEN_ROUTES))
async def test_what_is_open_needs_no_token_but_all_else(guarded: ASGIApp, path: str) -> None:
    assert (await ask(guarded, "GET", path, [HOST])).status == 200
    assert (await ask(guarded, "GET", path, [("host", "evil.example")])).code == "host_refused"
    assert (
        await ask(guarded, "GET", path, [HOST, ("origin", "http://evil.example")])
    ).code == "origin_refused"


@pytest.mark.parametrize(
    "path",
    ["/health/", "//health", "/health/../v1/models", "/HEALTH", "/health;x", "/health%2f", "/./", "//"],
)
async def test_what_only_looks_open_is_closed(guarded: ASGIApp, path: str) -> None:
    assert (await ask(guarded, "GET", path, [HOST])).code == "token_refused"


async def test_a_token_in_the_query_is_none(guarded: ASGIApp) -> None:
    assert (await ask(guarded, "GET", f"/v1/models?token={TOKEN}", [HOST])).code == "token_refused"


def test_the_token_is_compared_in_constant_time() -> None:
    # Timing cannot be tested on a busy machine; that nothing else compares it can.
    source = inspect.getsource(security)
    assert "compare_digest(token.strip(), self._token)" in source
    assert "== self._token" not in source


async def test_on_loopback_no_token_is_needed(tokenless: ASGIApp) -> None:
    assert (await ask(tokenless, "GET", "/v1/models", [HOST])).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "", "example.org", "127.0.0.1.example.org"])
def test_beyond_loopback_we_do_not_listen_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="without a token") as refused:
        check_listening(HttpSettings(host=host))
    assert "LOCAL_LLM_HTTP__TOKEN" in refused.value.hint
    check_listening(HttpSettings(host=host, token=TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_we_listen_without_a_token(host: str) -> None:
    check_listening(HttpSettings(host=host))


# Host


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_web_page_under_another_name_reaches_no_route(
    tokenless: ASGIApp, method: str, path: str
) -> None:
    answer = await ask(tokenless, method, path, [("host", "evil.example:3160")])
    assert (answer.status, answer.code) == (421, "host_refused")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:3160", "127.0.0.1:80", "localhost", "LocalHost:3160", "[::1]", "[::1]:3160",
     "192.168.0.7:3160", "[2001:db8::1]:3160", "box.local", "BOX.local:3160", "other:99"],
)  # fmt: skip
async def test_our_own_names_and_addresses_are_known(guarded: ASGIApp, host: str) -> None:
    assert (await ask(guarded, "GET", "/v1/models", [("host", host), BEARER])).status == 200


@pytest.mark.parametrize(
    "host",
    ["", " ", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:3160",
     "127.0.0.1@evil.example", "evil.example@127.0.0.1", "localhost:3160@evil.example", "127.0.0.1:3160:80",
     "127.0.0.1/evil", "evil.example#127.0.0.1", "evil.example?127.0.0.1", "evil.example\\@127.0.0.1",
     "127.0.0.1:port", "127.0.0.1:", "127.0.0.1:999999", "localhost.", "127.0.0.1.", "127.1", "2130706433",
     "0x7f000001", "127.0.0.1 evil.example", "127.0.0.1,evil.example", "[::1", "::1]", "[::1].evil.example",
     "[evil.example]", "[::1]evil", "[", "]", "[]", "other", "other:98", "null", "*", "loc\u00e4lhost"],
)  # fmt: skip
async def test_other_names_are_not(guarded: ASGIApp, host: str) -> None:
    answer = await ask(guarded, "GET", "/health", [("host", host), BEARER])
    assert (answer.status, answer.code) == (421, "host_refused")


async def test_a_request_without_a_host_is_refused(guarded: ASGIApp) -> None:
    assert (await ask(guarded, "GET", "/health", [BEARER])).code == "host_refused"


async def test_without_a_host_a_null_origin_is_not_ours() -> None:
    guard = Guard(_unreachable, HttpSettings(host="", token=TOKEN))
    for headers in ([BEARER], [("host", ""), BEARER], [("host", ""), ("origin", "null"), BEARER]):
        assert (await ask(guard, "GET", "/", headers)).code == "host_refused"


async def _unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the app was reached")


@pytest.mark.parametrize("name", ["host", "origin", "authorization", "content-length"])
async def test_a_header_that_decides_may_not_come_twice(guarded: ASGIApp, name: str) -> None:
    values = {
        "host": "127.0.0.1",
        "origin": "http://127.0.0.1",
        "authorization": BEARER[1],
        "content-length": "0",
    }
    twice = [*values.items(), (name.title(), values[name])]
    answer = await ask(guarded, "POST", "/mcp/tools/classify", twice)
    assert (answer.status, answer.code) == (400, "header_refused")
    assert name.encode() in answer.body


async def test_blanks_around_a_value_are_no_part_of_it() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await _fine(scope, receive, send)

    headers = [("host", " 127.0.0.1\t"), ("mcp-name", "  chat \t"), ("content-length", " 0 ")]
    assert (await ask(Guard(look, HttpSettings()), "POST", "/mcp", headers)).status == 204
    assert seen == [(b"host", b"127.0.0.1"), (b"mcp-name", b"chat"), (b"content-length", b"0")]


# Origin


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_web_page_from_elsewhere_reaches_no_route(
    tokenless: ASGIApp, method: str, path: str, origin: str
) -> None:
    answer = await ask(tokenless, method, path, [HOST, ("origin", origin)])
    assert (answer.status, answer.code) == (403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["", "null", "NULL", "http://evil.example", "https://127.0.0.1.evil.example", "http://localhost.evil.example",
     "http://127.0.0.1@evil.example", "http://evil.example@127.0.0.1", "http://localhost:80@evil.example", "file://",
     "http://", "http://[::1", "http://[::1].evil.example", "http://127.0.0.1/path", "app://localhost",
     "chrome-extension://localhost", "//127.0.0.1", "127.0.0.1:3160", "http:127.0.0.1", "http://127.1",
     "http://localhost.", "http://127.0.0.1 http://evil.example", "http://127.0.0.1:3160\\@evil.example",
     "http://192.168.0.7", "*"],
)  # fmt: skip
async def test_an_origin_that_is_not_ours_is_refused(guarded: ASGIApp, origin: str) -> None:
    answer = await ask(guarded, "GET", "/health", [HOST, ("origin", origin), BEARER])
    assert (answer.status, answer.code) == (403, "origin_refused")


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:3160",
        "http://127.0.0.1",
        "http://localhost:6274",
        "https://LOCALHOST",
        "http://[::1]:5173",
    ],
)
async def test_an_origin_of_this_machine_may_call(guarded: ASGIApp, origin: str) -> None:
    assert (await ask(guarded, "GET", "/v1/models", [HOST, ("origin", origin), BEARER])).status == 200


async def test_a_page_we_serve_may_call_back(guarded: ASGIApp) -> None:
    for host in ("192.168.0.7:3160", "box.local"):
        headers = [("host", host), ("origin", f"http://{host}"), BEARER]
        assert (await ask(guarded, "GET", "/v1/models", headers)).status == 200


async def test_an_allowed_origin_may_call() -> None:
    guard = Guard(_fine, HttpSettings(allowed_origins=("https://App.example",)))
    assert (await ask(guard, "GET", "/", [HOST, ("origin", "https://app.example")])).status == 204
    assert (await ask(guard, "GET", "/", [HOST, ("origin", "http://app.example")])).code == "origin_refused"


async def _fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


# CORS

PAGE = ("origin", "https://app.example")
PREFLIGHT = [
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
]
ALLOWS = "access-control-allow-origin"


@pytest.fixture(scope="module")
async def cors(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ASGIApp]:
    folder = tmp_path_factory.mktemp("cors")
    async with app_with(folder, token=TOKEN, max_body_mib=1, cors_origins=["https://App.example"]) as app:
        yield app


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_origins_in_the_settings_no_answer_has_cors_headers(
    guarded: ASGIApp, method: str, path: str
) -> None:
    for headers in ([HOST, BEARER], [HOST, BEARER, ("origin", "http://localhost:5173"), *PREFLIGHT]):
        answer = await ask(guarded, method, path, headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = await ask(guarded, "OPTIONS", path, [HOST, ("origin", "http://localhost:5173"), *PREFLIGHT])
    assert preflight.code == ("no_such_route" if path in OPEN_ROUTES else "token_refused")


async def test_the_preflight_of_a_named_page_needs_no_token_and_runs_no_route(cors: ASGIApp) -> None:
    answer = await ask(cors, "OPTIONS", "/v1/chat/completions", [HOST, PAGE, *PREFLIGHT])
    assert answer.status == 200
    assert answer.headers[ALLOWS] == PAGE[1]
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT[1][1]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("host", "evil.example"), PAGE], "host_refused"),
        ([PAGE], "host_refused"),
        ([HOST, ("origin", "https://evil.example")], "origin_refused"),
        ([HOST, ("origin", "http://app.example")], "origin_refused"),
        ([HOST, ("origin", "https://app.example:444")], "origin_refused"),
        ([HOST, ("origin", "https://app.example.evil.example")], "origin_refused"),
        ([HOST, ("origin", "null")], "origin_refused"),
        ([HOST, PAGE, PAGE], "header_refused"),
        # Of this machine, so not refused, but not named either: it gets no CORS headers.
        ([HOST, ("origin", "http://localhost:5173")], "token_refused"),
        ([HOST], "token_refused"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET"])
async def test_any_other_page_is_refused_as_before(
    cors: ASGIApp, method: str, headers: list[tuple[str, str]], code: str
) -> None:
    answer = await ask(cors, method, "/v1/models", [*headers, *PREFLIGHT])
    assert answer.code == code
    assert ALLOWS not in answer.headers


@pytest.mark.parametrize(("method", "path"), [route for route in CLOSED if route[0] != "OPTIONS"])
async def test_a_named_page_needs_the_token_and_can_read_that_it_does(
    cors: ASGIApp, method: str, path: str
) -> None:
    for extra in ([], PREFLIGHT):
        answer = await ask(cors, method, path, [HOST, PAGE, *extra])
        assert (answer.status, answer.code) == (401, "token_refused")
        assert answer.headers[ALLOWS] == PAGE[1]


async def test_an_options_request_that_is_no_preflight_needs_the_token(cors: ASGIApp) -> None:
    assert (await ask(cors, "OPTIONS", "/v1/models", [HOST, PAGE])).code == "token_refused"


async def test_a_named_page_can_read_answers_errors_and_streams(cors: ASGIApp) -> None:
    chat = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
    for method, path, body, status in (
        ("GET", "/v1/models", b"", 200),
        ("POST", "/v1/chat/completions", chat, 200),
        ("POST", "/v1/chat/completions", b"{}", 400),
        ("POST", "/v1/chat/completions", b" " * (MIB + 1), 413),
        ("GET", "/nowhere", b"", 404),
    ):
        answer = await ask(cors, method, path, [HOST, PAGE, BEARER], [body])
        assert (answer.status, answer.headers[ALLOWS]) == (status, PAGE[1])
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


# Bodies


@pytest.mark.parametrize(("method", "path"), POSTS)
async def test_a_body_announced_too_large_is_refused_unread(guarded: ASGIApp, method: str, path: str) -> None:
    for length in (MIB + 1, 10**18, "9" * 5_000):
        answer = await ask(guarded, method, path, [HOST, BEARER, ("content-length", str(length))])
        assert (answer.status, answer.code) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "5 5", "", "five", "5, 5"])
async def test_a_length_that_is_no_number_is_refused(guarded: ASGIApp, length: str) -> None:
    answer = await ask(guarded, "POST", "/mcp/tools/chat", [HOST, BEARER, ("content-length", length)])
    assert (answer.status, answer.code) == (400, "header_refused")


@pytest.mark.parametrize(("method", "path"), POSTS)
@pytest.mark.parametrize("announced", [[("transfer-encoding", "chunked")], [("content-length", "10")]])
async def test_a_body_that_grows_too_large_is_refused_whatever_was_announced(
    guarded: ASGIApp, method: str, path: str, announced: list[tuple[str, str]]
) -> None:
    headers = [
        HOST,
        BEARER,
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ]
    answer = await ask(guarded, method, path, [*headers, *announced], [b" " * 300_000] * 5)
    if answer.code == "no_such_route":
        return  # nothing of it was read
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_body_just_under_the_limit_is_taken(guarded: ASGIApp) -> None:
    body = json.dumps({"prompt": "x" * (MIB - 20)}).encode()
    assert MIB - 10 < len(body) <= MIB
    answer = await ask(guarded, "POST", "/mcp/tools/chat", [HOST, BEARER], [body[:1_000], body[1_000:]])
    assert answer.code not in REFUSALS


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=00000000000000000000000000000000"])
async def test_mcp_takes_what_the_limit_allows_over_both_transports(tmp_path: Path, path: str) -> None:
    headers = [
        HOST,
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("content-length", str(5 * MIB)),
    ]
    async with app_with(tmp_path, max_body_mib=8) as app:
        answer = await ask(app, "POST", path, headers, [b" " * MIB] * 5)
    assert answer.status != 413


async def test_an_app_that_swallows_our_refusal_cannot_answer_after_it() -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await _fine(scope, receive, send)

    answer = await ask(Guard(stubborn, HttpSettings(max_body_mib=1)), "POST", "/", [HOST], [b"x" * MIB, b"x"])
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_an_app_that_fails_is_not_hidden() -> None:
    with pytest.raises(AssertionError, match="reached"):
        await ask(Guard(_unreachable, HttpSettings()), "POST", "/", [HOST])


async def test_an_answer_already_begun_is_not_begun_again() -> None:
    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b"end"})

    answer = await ask(Guard(hasty, HttpSettings(max_body_mib=1)), "POST", "/", [HOST], [b"x" * MIB, b"x"])
    assert (answer.status, answer.body) == (200, b"end")


# What is not HTTP


async def test_a_websocket_is_closed_unseen() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "websocket", "path": "/mcp", "headers": [(b"host", b"127.0.0.1")]}
    await Guard(_unreachable, HttpSettings())(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


# On the wire, through uvicorn


@pytest.fixture
async def port(guarded: ASGIApp) -> AsyncGenerator[int]:
    config = configured(guarded)
    config.lifespan = "off"
    server = Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            with anyio.fail_after(5):
                while not server.started:
                    await anyio.lowlevel.checkpoint()
            yield listener.getsockname()[1]
            server.should_exit = True


async def wire(port: int, *parts: bytes) -> bytes:
    """Sends the bytes and returns the first response."""
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            for part in parts:
                await stream.send(part)
            return await _answer(stream)


async def pipelined(port: int, data: bytes) -> tuple[bytes, bytes]:
    """Sends the bytes and returns the first two responses."""
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(data)
            first = await _answer(stream)
            end = first.index(b"\r\n\r\n") + 4 + _length(first)
            return first[:end], first[end:] or await _answer(stream)


async def _answer(stream: ByteStream) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < _length(got):
        try:
            got += await stream.receive()
        except anyio.EndOfStream:
            break
    return got


def _length(got: bytes) -> int:
    lines = got.lower().split(b"\r\n")
    return next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)


def head(*lines: str, target: str = "POST /mcp/tools/chat") -> bytes:
    return "\r\n".join([f"{target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


AUTHORIZED = (f"Host: 127.0.0.1:{3160}", f"Authorization: Bearer {TOKEN}")


async def test_on_the_wire_two_hosts_are_refused(port: int) -> None:
    answer = await wire(port, head(*AUTHORIZED, "Host: evil.example", target="GET /v1/models"))
    assert answer.startswith(b"HTTP/1.1 400")


async def test_on_the_wire_another_target_than_the_host_is_refused(port: int) -> None:
    answer = await wire(port, head("Host: evil.example", target="GET http://127.0.0.1/health"))
    assert answer.startswith(b"HTTP/1.1 421")


@pytest.mark.parametrize("lengths", [["Content-Length: 5", "Content-Length: 6"], ["Content-Length: 5, 6"]])
async def test_on_the_wire_two_lengths_are_refused(port: int, lengths: list[str]) -> None:
    assert (await wire(port, head(*AUTHORIZED, *lengths), b"{}   ")).startswith(b"HTTP/1.1 400")


async def test_on_the_wire_a_length_and_chunks_are_not_both_believed(port: int) -> None:
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    both = head(*AUTHORIZED, f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked")
    answer = await wire(port, both, smuggled)
    assert answer.startswith(b"HTTP/1.1 400")


async def test_on_the_wire_chunks_without_end_are_refused(port: int) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await wire(port, head(*AUTHORIZED, "Transfer-Encoding: chunked"), *[chunk] * 20)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


async def test_on_the_wire_what_follows_the_announced_body_is_a_request_of_its_own(port: int) -> None:
    body = b'{"prompt":"x"}'
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    first, second = await pipelined(port, head(*AUTHORIZED, f"Content-Length: {len(body)}") + body + hidden)
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 421")


async def test_on_the_wire_a_websocket_is_refused(port: int) -> None:
    upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==",
    ]
    answer = await wire(port, head(*AUTHORIZED, *upgrade, target="GET /mcp"))
    assert b" 101 " not in answer.partition(b"\r\n")[0]


async def poured(port: int, first: bytes) -> int:
    """Returns the bytes of an endless request that are accepted before the connection closes."""
    taken = 0
    with anyio.fail_after(20):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            try:
                await stream.send(first)
                while True:
                    await stream.send(b"x" * MIB)
                    taken += MIB
            except anyio.BrokenResourceError:
                return taken


@pytest.mark.parametrize(
    "first", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: 1\r\nY: "]
)
async def test_on_the_wire_a_head_without_end_is_not_kept(port: int, first: bytes) -> None:
    assert await poured(port, first) < 32 * MIB


async def test_on_the_wire_a_large_head_is_refused_and_an_ordinary_one_not(port: int) -> None:
    fields = [f"X-{number}: {'x' * 1000}" for number in range(100)]
    answer = await wire(port, head(*AUTHORIZED, *fields[:50], target="GET /v1/models"))
    assert answer.startswith(b"HTTP/1.1 200")
    late = head(*AUTHORIZED, *fields, target="GET /v1/models")[:-2]
    assert (await wire(port, late)).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"GET / HTT"],
        [b"GET / HTTP/1.1\r\n", b"Host: 127.0.0.1\r\n"],
        [head(*AUTHORIZED, "Content-Length: 10") + b"{"],
    ],
    ids=["nothing", "half a line", "half the headers", "half a body"],
)
async def test_on_the_wire_what_does_not_arrive_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, parts: list[bytes]
) -> None:
    monkeypatch.setattr(connection, "RECEIVE_TIMEOUT_S", 0.2)
    with anyio.fail_after(5):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            for part in parts:
                await stream.send(part)
            got = b""
            try:
                while True:
                    got += await stream.receive()
            except anyio.EndOfStream:
                pass
    # Where the headers had come, the app has the request already: only its connection ends.
    assert got.startswith(b"HTTP/1.1 408") or parts[0].startswith(b"POST")


async def test_on_the_wire_many_silent_connections_keep_nobody_out(port: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(300):
            await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
        answer = await wire(port, head(*AUTHORIZED, target="GET /v1/models"))
    assert answer.startswith(b"HTTP/1.1 200")
