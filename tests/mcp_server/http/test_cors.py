"""Pages of other origins in Chromium: a named one can call the API, another cannot."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from tests.mcp_server.http.browser import browsing
from tests.mcp_server.http.test_dashboard import TOKEN, in_browser, running_server

pytestmark = pytest.mark.anyio

CALL = """
fetch("%s/v1/chat/completions", {
  method: "POST",
  headers: {"Authorization": "Bearer %s", "Content-Type": "application/json", "X-Stainless-Lang": "js"},
  body: JSON.stringify({messages: [{role: "user", content: "Hi"}], stream: %s}),
}).then(async answer => `${answer.status} ${await answer.text()}`, error => `blocked: ${error.name}`)
"""


@asynccontextmanager
async def page_served() -> AsyncGenerator[str]:
    """Yields the origin of a page on another host name and port than the API's."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>app</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{any:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@in_browser
async def test_a_page_of_a_named_origin_can_call_and_another_cannot(tmp_path: Path) -> None:
    with anyio.fail_after(90):
        async with page_served() as named, page_served() as other, browsing() as browser:
            allowed = f'["{named}"]'
            async with running_server(
                tmp_path, LOCAL_LLM_HTTP__TOKEN=TOKEN, LOCAL_LLM_HTTP__CORS_ORIGINS=allowed
            ) as url:
                found: dict[str, list[str]] = {}
                for origin in (named, other):
                    async with browser.tab() as page:
                        await page.open(origin)
                        await page.until("document.title === 'app'")
                        found[origin] = [
                            await page.run(CALL % (url, token, streamed))
                            for token, streamed in ((TOKEN, "false"), (TOKEN, "true"), ("wrong", "false"))
                        ]
    whole, streamed, refused = found[named]
    assert whole.startswith('200 {"id":"chatcmpl-')
    assert streamed.startswith("200 data: ")
    assert streamed.endswith("data: [DONE]\n\n")
    assert refused.startswith("401 ")
    assert "token_refused" in refused
    assert found[other] == ["blocked: TypeError"] * 3


@in_browser
async def test_without_the_setting_no_page_of_another_origin_can_call(tmp_path: Path) -> None:
    with anyio.fail_after(90):
        async with (
            page_served() as origin,
            running_server(tmp_path) as url,
            browsing() as browser,
            browser.tab() as page,
        ):
            await page.open(origin)
            await page.until("document.title === 'app'")
            assert await page.run(CALL % (url, "any", "false")) == "blocked: TypeError"
