"""Monitoring routes: the dashboard at ``/``, its data at ``/stats.json``, Prometheus at ``/metrics``.

The page itself contains no data and is served without a token; it requests its data with one.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engines.base import Engine, JsonObject, JsonValue, Model
from engines.errors import AgentError
from engines.middleware import prometheus
from engines.middleware.metrics import NAMES, Snapshot
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

# Names on the page come from callers: the policy stops injected markup from running or loading anything.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

REFRESH_S = 10.0
"""How long the state of the engines is cached."""
ENGINE_TIMEOUT_S = 2.0
"""How long an engine may take to report its state."""
MODELS = 20
"""Maximum models listed per engine."""


FAMILIES: tuple[tuple[str, str, Callable[[Sums], int]], ...] = (
    ("calls", "Calls in the ledger", lambda sums: sums.calls),
    ("failed_calls", "Calls in the ledger that failed", lambda sums: sums.failed),
    ("cached_calls", "Calls in the ledger answered from the cache alone", lambda sums: sums.cached),
    ("definitions_listed", "Sessions that took the tools' definitions", lambda sums: sums.listed),
    ("read_tokens", "Tokens read for the callers", lambda sums: sums.read),
    ("spent_tokens", "Tokens of calls, answers and definitions", lambda sums: sums.spent),
    ("saved_tokens", "Tokens the callers' contexts were spared, net", lambda sums: sums.saved),
)
"""Ledger metrics. Gauges, not counters: savings can be negative, and old calls are pruned."""


Collect = Callable[[], Awaitable[Snapshot]]
"""Returns the metrics of all workers."""


def routes(app: App, collect: Collect | None = None) -> list[Route]:
    """Returns the routes of the page's files, ``/stats.json`` and ``/metrics``.

    Without ``collect`` this process is the only one.
    """

    async def of_this_process() -> Snapshot:
        return app.engines.metrics.snapshot()

    monitoring = Monitoring(app, collect or of_this_process)
    files = [Route(path, _file(*where), methods=["GET"]) for path, where in PAGE.items()]
    return [
        *files,
        Route("/stats.json", monitoring.stats, methods=["GET"]),
        Route("/metrics", monitoring.metrics, methods=["GET"]),
    ]


class Monitoring:
    """Serves statistics and metrics of ``app``."""

    def __init__(self, app: App, collect: Collect) -> None:
        self._app = app
        self._collect = collect
        self._engines: list[JsonValue] = []
        self._refreshed = -REFRESH_S
        self._lock = anyio.Lock()

    async def stats(self, request: Request) -> Response:
        """Returns the report of ``stats --json`` and, as ``now``, the engines and their queues."""
        query = request.query_params
        try:
            found = await self._report(query.get("since", "7d"), query.get("project", ""))
        except AgentError as error:
            return _json(rest_body(error), status_of(error))
        return _json({**found, "now": {"version": VERSION, "engines": await self._now()}})

    async def metrics(self, request: Request) -> Response:
        """Returns the metrics of the engines and of the shared ledger."""
        try:
            everything = await self._everything()
        except LedgerUnreadableError:
            everything = None
        text = prometheus.render(await self._collect(), _families(everything))
        return Response(text, media_type=prometheus.CONTENT_TYPE)

    async def _report(self, since: str, project: str) -> JsonObject:
        ledger = self._app.ledger
        if ledger is None:
            raise LedgerUnreadableError("the ledger is disabled", hint="set [ledger] enabled = true")
        found = await report(ledger, self._app.targets, since_of(since, ledger.clock()), project)
        return found.as_json()

    async def _everything(self) -> Cube | None:
        ledger = self._app.ledger
        return await ledger.read(lambda file: cube(file, since=0)) if ledger else None

    async def _now(self) -> list[JsonValue]:
        """Returns the state of each engine and its running and waiting requests."""
        async with self._lock:
            if anyio.current_time() - self._refreshed >= REFRESH_S:
                self._engines = await _states(self._app.engines.each)
                self._refreshed = anyio.current_time()
        slots = self._app.settings.limits.concurrency
        active = (await self._collect()).active
        return [
            {**engine, "places": slots, **_queue(active.get(str(engine["name"]), 0), slots)}
            for engine in self._engines
            if isinstance(engine, dict)
        ]


def _queue(active: int, slots: int) -> JsonObject:
    return {"running": min(active, slots), "waiting": max(0, active - slots)}


async def _states(engines: Mapping[str, Engine]) -> list[JsonValue]:
    """Returns the state of each engine, queried concurrently, in the order given."""
    states: dict[str, JsonObject] = {}

    async def query(name: str, engine: Engine) -> None:
        error = f"no answer within {ENGINE_TIMEOUT_S:g} s"
        states[name] = {"name": name, "ready": False, "error": error, "models": []}
        with anyio.move_on_after(ENGINE_TIMEOUT_S):
            states[name] = await _state(name, engine)

    async with anyio.create_task_group() as group:
        for name, engine in engines.items():
            group.start_soon(query, name, engine)
    return [states[name] for name in engines]


async def _state(name: str, engine: Engine) -> JsonObject:
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
    """Groups by project and tool; merges all but the busiest projects to bound the number of series."""
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
    """Returns a reusable response with the file's content, read once at start-up."""
    return Response((DASHBOARD / name).read_bytes(), headers=HEADERS, media_type=kind)
