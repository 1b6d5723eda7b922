"""What a person or Prometheus sees of a running server: ``/``, ``/stats.json`` and ``/metrics``.

The page itself holds no data, so that it is served without a token; what it shows it asks for with one.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engines.base import Engine, JsonObject, JsonValue, Model
from engines.errors import AgentError
from engines.middleware import prometheus
from engines.middleware.metrics import NAMES
from mcp_server.app import App
from mcp_server.version import VERSION
from shim.encoding import json_bytes
from shim.errors import rest_body, status_of
from tools.ledger.savings import OTHER, Cube, Sums, cube, report, since_of, split
from tools.ledger.store import LedgerUnreadableError

DASHBOARD = Path(__file__).with_name("dashboard")
PAGE: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html"),
    "/dashboard.css": ("dashboard.css", "text/css"),
    "/dashboard.js": ("dashboard.js", "text/javascript"),
}
"""Routes of the page, the files behind them, and their types."""

# Names in the page come from callers: even if one got in as markup, nothing of it could run or load.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

ASKED_AGAIN_S = 10.0
"""How long what the engines said of themselves is shown."""
ANSWER_S = 2.0
"""How long an engine may take to say it."""
MODELS = 20
"""Models of an engine listed."""


FAMILIES: tuple[tuple[str, str, Callable[[Sums], int]], ...] = (
    ("calls", "Calls in the ledger", lambda sums: sums.calls),
    ("failed_calls", "Calls in the ledger that failed", lambda sums: sums.failed),
    ("cached_calls", "Calls in the ledger answered from the cache alone", lambda sums: sums.cached),
    ("definitions_listed", "Sessions that took the tools' definitions", lambda sums: sums.listed),
    ("read_tokens", "Tokens read in place of the callers", lambda sums: sums.read),
    ("spent_tokens", "Tokens of calls, answers and definitions", lambda sums: sums.spent),
    ("saved_tokens", "Tokens the callers' contexts were spared, net", lambda sums: sums.saved),
)
"""Of the ledger. Gauges, not counters: savings can be negative, and old calls are forgotten."""


def routes(app: App) -> list[Route]:
    """The page's files, its data, and the scraper's."""
    seen = Seen(app)
    files = [Route(path, _file(*where), methods=["GET"]) for path, where in PAGE.items()]
    return [
        *files,
        Route("/stats.json", seen.stats, methods=["GET"]),
        Route("/metrics", seen.metrics, methods=["GET"]),
    ]


class Seen:
    """Answers what is asked about ``app``."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._engines: list[JsonValue] = []
        self._asked = -ASKED_AGAIN_S
        self._lock = anyio.Lock()

    async def stats(self, request: Request) -> Response:
        """What ``stats --json`` prints, and ``now``: engines and who waits for them."""
        asked = request.query_params
        try:
            told = await self._report(asked.get("since", "7d"), asked.get("project", ""))
        except AgentError as error:
            return _json(rest_body(error), status_of(error))
        return _json({**told, "now": {"version": VERSION, "engines": await self._now()}})

    async def metrics(self, request: Request) -> Response:
        """This process's engines, and the ledger of all processes."""
        try:
            everything = await self._everything()
        except LedgerUnreadableError:
            everything = None
        text = prometheus.render(self._app.engines.metrics.snapshot(), _families(everything))
        return Response(text, media_type=prometheus.CONTENT_TYPE)

    async def _report(self, since: str, project: str) -> JsonObject:
        ledger = self._app.ledger
        if ledger is None:
            raise LedgerUnreadableError("no ledger is kept", hint="set [ledger] enabled = true")
        found = await report(ledger, self._app.targets, since_of(since, ledger.clock()), project)
        return found.as_json()

    async def _everything(self) -> Cube | None:
        ledger = self._app.ledger
        return await ledger.read(lambda file: cube(file, since=0)) if ledger else None

    async def _now(self) -> list[JsonValue]:
        """Each engine as it is, with the requests of this process at it."""
        async with self._lock:
            if anyio.current_time() - self._asked >= ASKED_AGAIN_S:
                self._engines = await _ask_all(self._app.engines.each)
                self._asked = anyio.current_time()
        places = self._app.settings.limits.concurrency
        active = self._app.engines.metrics.snapshot().active
        return [
            {**engine, "places": places, **_queue(active.get(str(engine["name"]), 0), places)}
            for engine in self._engines
            if isinstance(engine, dict)
        ]


def _queue(active: int, places: int) -> JsonObject:
    return {"running": min(active, places), "waiting": max(0, active - places)}


async def _ask_all(engines: Mapping[str, Engine]) -> list[JsonValue]:
    """What each engine says of itself, all asked at once; in the order given."""
    said: dict[str, JsonObject] = {}

    async def ask(name: str, engine: Engine) -> None:
        said[name] = {"name": name, "ready": False, "error": f"no answer within {ANSWER_S:g} s", "models": []}
        with anyio.move_on_after(ANSWER_S):
            said[name] = await _ask(name, engine)

    async with anyio.create_task_group() as group:
        for name, engine in engines.items():
            group.start_soon(ask, name, engine)
    return [said[name] for name in engines]


async def _ask(name: str, engine: Engine) -> JsonObject:
    try:
        await engine.check()
        models = await engine.models()
    except AgentError as error:
        return {"name": name, "ready": False, "error": error.message, "models": []}
    return {"name": name, "ready": True, "error": None, "models": [_model(m) for m in models[:MODELS]]}


def _model(model: Model) -> JsonValue:
    return {"name": model.name, "adapts": model.base or None, "loaded": model.loaded}


def _families(everything: Cube | None) -> Iterator[prometheus.Family]:
    yield "ledger_readable", "gauge", "Whether the ledger can be read", [({}, int(everything is not None))]
    groups = _by_project_and_tool(everything or {})
    labelled = [({"project": project, "tool": tool}, sums) for (project, tool), sums in groups.items()]
    for name, about, value in FAMILIES:
        yield f"ledger_{name}", "gauge", about, [(labels, value(sums)) for labels, sums in labelled]


def _by_project_and_tool(everything: Cube) -> dict[tuple[str, str], Sums]:
    """The busiest projects one by one, so that callers cannot make series without end."""
    busiest = split(everything, lambda kind: kind.project, most=NAMES)
    groups: dict[tuple[str, str], Sums] = {}
    for kind, sums in everything.items():
        key = kind.project if kind.project in busiest else OTHER, kind.tool
        groups[key] = groups.get(key, Sums()) + sums
    return groups


def _json(value: JsonObject, status: int = 200) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(json_bytes(value), status, headers, "application/json")


def _file(name: str, kind: str) -> Response:
    """A response that is sent again and again; the file is read before anything is served."""
    return Response((DASHBOARD / name).read_bytes(), headers=HEADERS, media_type=kind)
