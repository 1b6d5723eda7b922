"""A loopback server that replays recorded answers of a real Ollama.

A request gets the recording that matches it in all fields the answer depends on; answers without a
recording (reasoning, embeddings) are scripted with ``say``.
"""

import json
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

import anyio
from aiohttp import web

from engines.base import JsonObject, JsonValue

FOLDER = Path(__file__).parent.parent / "fixtures" / "ollama"

DECISIVE = ("model", "messages", "format", "tools", "think", "logprobs", "top_logprobs", "input")
"""Fields of a body in which request and recording must match."""


@dataclass(frozen=True)
class Recording:
    name: str
    method: str
    path: str
    body: JsonObject
    status: int
    lines: tuple[str, ...]
    """The lines sent, one per chunk."""
    content_type: str = "application/x-ndjson"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def agrees(self, method: str, path: str, body: JsonObject) -> bool:
        asked = (self.method, self.path) == (method, path)
        return asked and all(_plain(self.body.get(key)) == _plain(body.get(key)) for key in DECISIVE)

    def likeness(self, body: JsonObject) -> int:
        """Returns how many of the other fields and options match."""
        return len(_rest(self.body) & _rest(body))


@dataclass(frozen=True)
class Turn:
    what: Recording
    hold: bool = False
    cut: bool = False


@dataclass
class Replay:
    url: str = ""
    asked: list[JsonObject] = field(default_factory=list[JsonObject])
    """The received bodies of ``/api/chat`` and ``/api/embed``, in order."""
    connections: set[object] = field(default_factory=set[object])
    began: anyio.Event = field(default_factory=anyio.Event)
    """Set when all recorded lines of a chat are sent."""
    left: anyio.Event = field(default_factory=anyio.Event)
    """Set when a client disconnects before the end of its answer."""
    listed: dict[str, JsonObject] | None = None
    """The answer of ``/api/tags`` by name; ``None``: the recording."""
    loaded: list[str] = field(default_factory=list[str])
    """The answer of ``/api/ps``, if ``listed`` is set."""
    unloadable: dict[str, str] = field(default_factory=dict[str, str])
    """Errors of models that do not load."""
    answers: deque[Sequence[JsonObject]] = field(default_factory=deque[Sequence[JsonObject]])
    """Lines of the next chats with models that load."""
    vectors: list[JsonValue] = field(default_factory=list[JsonValue])
    """Answer of all embeddings with models that load."""
    shown: list[str] = field(default_factory=list[str])
    """Models whose properties were asked for, in order."""
    _turns: dict[str, deque[Turn]] = field(default_factory=lambda: defaultdict(deque))
    _models: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])

    def play(self, name: str, *, at: str = "/api/chat", hold: bool = False, cut: bool = False) -> None:
        """Answers the next request to ``at`` with recording ``name``, whatever its body.

        ``hold`` keeps the answer open after its last line, ``cut`` drops the connection there.
        """
        self._turns[at].append(Turn(recording(name), hold, cut))

    def say(
        self,
        *lines: JsonValue,
        at: str = "/api/chat",
        status: int = 200,
        hold: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answers the next request to ``at`` with hand-written ``lines``."""
        text = tuple(json.dumps(line) for line in lines)
        what = Recording("by hand", "POST", at, {}, status, text, headers=headers or {})
        self._turns[at].append(Turn(what, hold))

    def install(self, name: str, like: str = "show_base", **changes: JsonValue) -> None:
        """Adds a model ``name`` for ``/api/show``: recording ``like`` with changed fields."""
        shown = cast("JsonObject", json.loads(recording(like).lines[0]))
        info = cast("JsonObject", shown["model_info"]) | cast("JsonObject", changes.pop("model_info", {}))
        self._models[name] = {**shown, **changes, "model_info": info}

    def offer(
        self, name: str, *, billions: float, gib: float, level: str = "Q4_K_M", **changes: JsonValue
    ) -> None:
        """Installs and lists a model: the recordings ``show_base`` and ``tags`` with another size."""
        info = cast("JsonObject", changes.pop("model_info", {}))
        size: JsonObject = {"general.parameter_count": int(billions * 1e9)}
        self.install(name, "show_base", **changes, model_info=size | info)
        tags = cast("JsonObject", json.loads(recording("tags").lines[0]))
        entry = cast("list[JsonObject]", tags["models"])[0]
        details = cast("JsonObject", entry["details"]) | {"quantization_level": level}
        own: JsonObject = {"name": name, "model": name, "size": int(gib * 2**30), "digest": f"{name} {gib}"}
        self.listed = {**(self.listed or {}), name: {**entry, **own, "details": details}}

    def remove(self, name: str) -> None:
        """Removes a model added by ``offer``."""
        assert self.listed
        del self.listed[name], self._models[name]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = cast("JsonObject", json.loads(text) if text else {})
        self.connections.add(request.transport)
        if request.path in ("/api/chat", "/api/embed"):
            self.asked.append(body)
        if turns := self._turns[request.path]:
            return await self._send(request, turns.popleft())
        if self.listed is not None and request.path == "/api/tags":
            return web.json_response({"models": [*self.listed.values()]})
        if self.listed is not None and request.path == "/api/ps":
            loaded = [self.listed[name] for name in self.loaded if name in self.listed]
            return web.json_response({"models": loaded})
        if self.listed is not None and request.path in ("/api/chat", "/api/embed"):
            if (name := str(body["model"])) not in self._models:
                return web.json_response({"error": f"model '{name}' not found"}, status=404)
            if name in self.unloadable:
                return web.json_response({"error": self.unloadable[name]}, status=500)
            if request.path == "/api/embed":
                return web.json_response({"embeddings": self.vectors, "prompt_eval_count": 1})
            self.say(*self.answers.popleft())
            return await self._send(request, self._turns[request.path].popleft())
        if request.path == "/api/show":
            self.shown.append(str(body["model"]))
        if request.path == "/api/show" and (shown := self._models.get(str(body["model"]))):
            return web.json_response(shown)
        found = [r for r in recordings() if r.agrees(request.method, request.path, body)]
        if found:
            return await self._send(request, Turn(max(found, key=lambda r: r.likeness(body))))
        if request.path == "/api/show":
            return web.json_response({"error": f"model '{body['model']}' not found"}, status=404)
        return web.json_response({"error": f"no recording of {request.path} {text}"}, status=500)

    async def _send(self, request: web.Request, turn: Turn) -> web.StreamResponse:
        what = turn.what
        response = web.StreamResponse(
            status=what.status, headers={"content-type": what.content_type, **what.headers}
        )
        await response.prepare(request)
        try:
            for line in what.lines:
                await response.write(f"{line}\n".encode())
            if request.path == "/api/chat":
                self.began.set()
            if turn.cut and request.transport:
                request.transport.abort()
            if turn.hold:
                await anyio.sleep_forever()
        except BaseException:
            self.left.set()
            raise
        return response


@asynccontextmanager
async def serving(port: int = 0, replay: Replay | None = None) -> AsyncGenerator[Replay]:
    replay = replay or Replay()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", replay.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await (site := web.TCPSite(runner, "127.0.0.1", port)).start()
    replay.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield replay
    finally:
        await site.stop()
        await runner.cleanup()


def recording(name: str) -> Recording:
    return next(r for r in recordings() if r.name == name)


@cache
def recordings() -> Sequence[Recording]:
    exchanges = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return [
        _read(e) for e in exchanges if "status" in e["response"] and not isinstance(e["request"]["body"], str)
    ]


def _read(exchange: Mapping[str, JsonObject]) -> Recording:
    request, response = exchange["request"], exchange["response"]
    lines = cast("list[JsonObject] | None", response.get("lines"))
    body = response.get("body")
    whole = body if isinstance(body, str) else json.dumps(body)
    return Recording(
        name=str(exchange["name"]),
        method=str(request["method"]),
        path=str(request["path"]),
        body=cast("JsonObject", request["body"] or {}),
        status=cast("int", response["status"]),
        lines=tuple(str(line["line"]) for line in lines) if lines else (whole,),
        content_type=str(cast("JsonObject", response["headers"])["content-type"]),
    )


def _plain(value: JsonValue) -> JsonValue:
    """Removes the ids of tool calls, which the recorded requests do not contain."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ("id", "tool_call_id")}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _rest(body: JsonObject) -> set[tuple[str, str | float]]:
    options = cast("JsonObject", body.get("options") or {})
    rest = {k: v for k, v in body.items() if k not in DECISIVE and k != "options"} | options
    return {(key, v if isinstance(v, int | float) else json.dumps(v)) for key, v in rest.items()}
