"""Drives Chromium over the DevTools protocol, without a driver."""

import base64
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import aiohttp
import anyio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        """Console errors and warnings."""

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its result."""
        answer = await self._ask(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and returns its response; records console events before it."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._number:
                return message
            self._record(message)

    def _record(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning"):
                self.complaints.append(str(params["args"]))
            case _:
                pass

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log", "DOM", "Accessibility"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)

    async def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Emulates a screen of this size and colour scheme."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, expression: str) -> Any:
        outcome = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in outcome, outcome["exceptionDetails"]
        return outcome["result"].get("value")

    async def until(self, condition: str) -> None:
        """Polls until ``condition`` holds; it does not hold during navigation."""
        while not await self._holds(condition):  # noqa: ASYNC110 (no event leaves the page)
            await anyio.sleep(0.02)

    async def _holds(self, condition: str) -> bool:
        answer = await self._ask("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
        return answer.get("result", {}).get("result", {}).get("value") is True

    async def press(self, key: str, text: str = "") -> None:
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40}
        typed = text or {"Enter": "\r", " ": " "}.get(key, "")
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=typed, **event)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def tree(self, role: str) -> list[tuple[str, str]]:
        """Returns role and name of all accessible nodes, once ``role`` is among them."""
        while True:
            nodes = (await self.send("Accessibility.getFullAXTree"))["nodes"]
            nodes_named = [
                (node["role"]["value"], node.get("name", {}).get("value", ""))
                for node in nodes
                if not node["ignored"]
            ]
            if role in dict(nodes_named):
                return nodes_named

    async def screenshot(self, path: Path) -> None:
        """Saves a screenshot of the whole page."""
        size = await self.run("[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        taken = await self.send("Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip)
        await anyio.Path(path).write_bytes(base64.b64decode(taken["data"]))


class Browser:
    """A running browser with its DevTools endpoint at ``url``."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    @asynccontextmanager
    async def tab(self) -> AsyncGenerator[Page]:
        """Opens a tab and closes it on exit."""
        async with self._session.put(f"{self._url}/json/new?about:blank") as answer:
            tab = await answer.json()
        async with self._session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Page(socket)
        async with self._session.get(f"{self._url}/json/close/{tab['id']}"):
            pass


@asynccontextmanager
async def browsing() -> AsyncGenerator[Browser]:
    """Starts a browser with a temporary profile."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [CHROMIUM, *QUIET, f"--user-data-dir={folder}", "about:blank"]
        environment = {**os.environ, "HOME": folder}
        async with await anyio.open_process(
            command, env=environment, stdout=DEVNULL, stderr=DEVNULL
        ) as process:
            try:
                async with aiohttp.ClientSession() as session:
                    yield Browser(f"http://127.0.0.1:{await _port(Path(folder))}", session)
            finally:
                process.terminate()
                with anyio.fail_after(10, shield=True):
                    await process.wait()


async def _port(folder: Path) -> int:
    file = anyio.Path(folder, "DevToolsActivePort")
    with anyio.fail_after(30):
        while True:
            if await file.exists() and (text := await file.read_text()).count("\n"):
                return int(text.split("\n")[0])
            await anyio.sleep(0.05)
