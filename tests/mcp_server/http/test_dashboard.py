"""The dashboard's routes, and its page in Chromium if that is installed."""

import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from mcp_server.http.metrics import DASHBOARD, PAGE
from tests.mcp_server.http.browser import CHROMIUM, Browser, Page, browsing
from tests.mcp_server.seeded import seed
from tests.test_transports_agree import serving
from tools.base import Call, Project, Receipt, TokenCounts
from tools.ledger.store import Ledger

pytestmark = pytest.mark.anyio

NO_CHROMIUM = "no Chromium here (Debian: apt install chromium)"


def in_browser(test: Callable[..., object]) -> Callable[..., object]:
    return pytest.mark.browser(pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)(test))


TOKEN = "correct horse"
UP_TO_DATE = "document.querySelector('#status')?.textContent.includes('up to date')"
HOSTILE = "<img src=x onerror=alert(1)>"


@asynccontextmanager
async def running_server(folder: Path, *, seeded: bool = False, **variables: str) -> AsyncGenerator[str]:
    """Starts a server with an empty or a seeded ledger."""
    if seeded:
        await seed(folder / "data" / "local-llm-agent", time.time())
    environment = {
        **os.environ,
        "LOCAL_LLM_ENGINE": "scripted",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        **variables,
    }
    async with serving(environment, folder) as url:
        yield url


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with browsing() as running:
        yield running


@pytest.fixture(scope="module")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    async with running_server(tmp_path_factory.mktemp("empty")) as url:
        yield url


@pytest.fixture(scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    async with running_server(tmp_path_factory.mktemp("full"), seeded=True) as url:
        yield url


@asynccontextmanager
async def opened(browser: Browser, url: str) -> AsyncGenerator[Page]:
    """Opens the page, waits for its figures, and asserts at the end that the console has no errors."""
    with anyio.fail_after(60):
        async with browser.tab() as page:
            await page.look(width=1280)
            await page.open(url)
            await page.until(UP_TO_DATE)
            yield page
            assert page.complaints == []


async def fetched(url: str, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        kind = answer.content_type
        return answer.status, await answer.json() if kind == "application/json" else await answer.text()


async def chatted(url: str) -> None:
    """Makes one call for the project shop."""
    async with (
        aiohttp.ClientSession(headers={"X-Project": "shop"}) as session,
        session.post(f"{url}/mcp/tools/chat", json={"prompt": "hi"}) as answer,
    ):
        assert answer.status == 200


async def test_the_page_needs_no_token_and_what_it_shows_does(tmp_path: Path) -> None:
    async with running_server(tmp_path, LOCAL_LLM_HTTP__TOKEN=TOKEN) as url:
        for path in PAGE:
            assert (await fetched(url + path))[0] == 200
        for path in ("/stats.json", "/metrics"):
            assert (await fetched(url + path))[0] == 401
            assert (await fetched(url + path, TOKEN))[0] == 200


async def test_the_page_asks_nothing_of_other_machines() -> None:
    for name, _ in PAGE.values():
        text = (DASHBOARD / name).read_text()
        hosts = text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in hosts
        assert "https:" not in hosts
        assert "innerHTML" not in text


async def test_a_period_that_is_none_is_refused_in_words(empty: str) -> None:
    status, body = await fetched(f"{empty}/stats.json?since=yesteryear")
    assert status == 400
    assert "7d" in body["error"]["hint"]


async def test_without_a_ledger_the_page_says_so_and_metrics_go_on(tmp_path: Path) -> None:
    async with running_server(tmp_path, LOCAL_LLM_LEDGER__ENABLED="false") as url:
        status, body = await fetched(f"{url}/stats.json")
        assert (status, body["error"]["code"]) == (503, "ledger_unreadable")
        status, text = await fetched(f"{url}/metrics")
        assert "local_llm_agent_ledger_readable{} 0" in text.splitlines()
    assert not (tmp_path / "data").exists()


async def test_projects_without_end_do_not_make_series_without_end(tmp_path: Path) -> None:
    receipt = Receipt("small", "e", "m", None, "p", 1, TokenCounts(10), 5)
    async with Ledger(tmp_path / "data" / "local-llm-agent") as ledger:
        for number in range(300):
            name = f'p"{number}\\\n'
            ledger.record(Call("chat", {}, Project(name)), Receipt(*_named(receipt, name)))
    async with running_server(tmp_path) as url:
        _, text = await fetched(f"{url}/metrics")
    series = [line for line in text.splitlines() if line.startswith("local_llm_agent_ledger_saved_tokens")]
    assert len(series) == 51
    assert sum(int(line.rsplit(" ", 1)[1]) for line in series) == 300 * 5
    assert 'project="other"' in "".join(series)


def _named(receipt: Receipt, project: str) -> tuple[Any, ...]:
    fields = [getattr(receipt, name) for name in Receipt.__slots__]
    fields[4] = project
    return tuple(fields)


async def test_every_metric_family_has_its_type(tmp_path: Path) -> None:
    async with running_server(tmp_path, seeded=True) as url:
        await chatted(url)
        _, text = await fetched(f"{url}/metrics")
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.partition("{")[0]
            assert any(name in (each, f"{each}_bucket", f"{each}_sum", f"{each}_count") for each in told), (
                line
            )
    assert 'local_llm_agent_requests_total{engine="scripted",tool="chat"' in text


@in_browser
async def test_the_figures_of_the_page_are_those_of_the_ledger(browser: Browser, full: str) -> None:
    async with opened(browser, f"{full}/#since=30d") as page:
        _, stats = await fetched(f"{full}/stats.json?since=30d")
        assert await page.run("document.querySelector('.net').textContent") == f"{stats['totals']['saved']:,}"
        cells = "row => [...row.cells].map(cell => cell.textContent)"
        rows = await page.run(f"[...document.querySelectorAll('#by-tool tbody tr')].map({cells})")
        assert rows == [
            [group["name"], f"{group['calls']:,}", f"{group['failed']:,}", f"{group['saved']:,}"]
            for group in stats["by"]["tool"]
        ]
        bars = await page.run("document.querySelectorAll('#time rect').length")
        assert bars == len(stats["steps"])
        assert await page.run("document.querySelectorAll('#last li').length") == len(stats["last"])


@in_browser
@pytest.mark.parametrize("which", ["empty", "full"])
async def test_nothing_sticks_out_and_everything_can_be_read(
    browser: Browser, empty: str, full: str, which: str
) -> None:
    async with opened(browser, {"empty": empty, "full": full}[which]) as page:
        for width in (1280, 800, 390, 320):
            for dark in (False, True):
                await page.look(width=width, dark=dark)
                assert await page.run("document.documentElement.scrollWidth <= innerWidth"), width
                assert await page.run(FAINT) == [], (width, dark)


FAINT = """
(() => {
  const light = colour => {
    const part = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    return .2126 * part[0] + .7152 * part[1] + .0722 * part[2]
  }
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor
      if (!colour.startsWith('rgba(0, 0, 0, 0')) return colour
    }
  }
  const faint = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue
    const style = getComputedStyle(element)
    const [a, b] = [light(element.closest('svg') ? style.fill : style.color), light(ground(element))]
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05)
    if (contrast < 4.5) faint.push(`${walk.currentNode.data.trim()} ${contrast.toFixed(1)}`)
  }
  return faint
})()
"""
"""Texts whose contrast is under 4.5 to 1, the limit of WCAG 2.2 AA (success criterion 1.4.3)."""


@in_browser
async def test_an_empty_ledger_says_what_to_do(browser: Browser, empty: str) -> None:
    async with opened(browser, empty) as page:
        names = [name for role, name in await page.tree("heading") if role == "heading"]
        assert names == ["local-llm-agent", "No calls yet", "Engines now", "scripted ● ready"]
        assert not await page.run("document.querySelector('#filters').checkVisibility()")


@in_browser
async def test_a_call_appears_without_reloading(browser: Browser, tmp_path: Path) -> None:
    async with running_server(tmp_path) as url, opened(browser, url) as page:
        await chatted(url)
        await page.until("document.querySelector('#last .who')?.textContent.startsWith('shop')")
        assert await page.run("document.querySelector('.net').className") == "net loss"


@in_browser
async def test_everything_works_from_the_keyboard(browser: Browser, full: str) -> None:
    async with opened(browser, full) as page:
        focused: list[str] = []
        for _ in range(5):
            await page.press("Tab")
            focused.append(await page.run(f"{WHO}(document.activeElement)"))
        assert focused == ["A skip", "INPUT since 7d", "SELECT project", "SUMMARY As a table", "SUMMARY last"]
        assert await page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await page.press("Enter")
        assert await page.run("document.activeElement.parentElement.open")
        assert await page.run("document.querySelector('details[open] .receipt').checkVisibility()")
        await page.run("document.querySelector('[name=since][value=\"7d\"]').focus()")
        await page.press("ArrowRight")
        await page.until("document.querySelectorAll('#time rect').length >= 30")
        assert await page.run("location.hash") == "#since=30d&project="
        assert await page.run("document.querySelectorAll('#last details[open]').length") == 1


WHO = """
(element => [element.tagName, element.name || element.className, element.value ?? '',
  element.tagName == 'SUMMARY' ? (element.closest('#last') ? 'last' : element.textContent) : '']
  .filter(Boolean).join(' '))
"""


@in_browser
async def test_a_screen_reader_gets_role_and_name_of_each_element(browser: Browser, full: str) -> None:
    async with opened(browser, f"{full}/#since=30d") as page:
        tree = await page.tree("image")
    roles = {role for role, _ in tree}
    assert {"main", "banner", "status", "radio", "combobox", "table", "columnheader", "rowheader"} <= roles
    nameless = [
        role for role, name in tree if role in ("radio", "combobox", "image", "region", "table") and not name
    ]
    assert nameless == []
    [picture] = [name for role, name in tree if role == "image"]
    assert picture.startswith("Tokens saved by day. Most: ")
    assert ("region", "Last calls") in tree


@in_browser
async def test_a_project_can_be_looked_at_alone_and_linked_to(browser: Browser, full: str) -> None:
    async with opened(browser, f"{full}/#since=all&project=erp") as page:
        assert await page.run("document.querySelector('select').value") == "erp"
        assert await page.run("document.querySelectorAll('#by-project tbody tr').length") == 1
        assert await page.run("document.querySelectorAll('select option').length") == 4
        _, stats = await fetched(f"{full}/stats.json?since=all&project=erp")
        assert await page.run("document.querySelector('.net').textContent") == f"{stats['totals']['saved']:,}"


@in_browser
async def test_with_a_token_the_page_asks_for_it_once_and_keeps_it_in_the_tab(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_server(tmp_path, seeded=True, LOCAL_LLM_HTTP__TOKEN=TOKEN) as url,
        browser.tab() as page,
    ):
        with anyio.fail_after(60):
            await page.look(width=390)
            await page.open(url)
            await page.until("document.activeElement?.id == 'token'")
            assert not await page.run("document.querySelector('#figures').checkVisibility()")
            await page.type("wrong")
            await page.press("Enter")
            await page.until("document.querySelector('#refused').textContent.includes('refused')")
            await page.type(TOKEN)
            await page.press("Enter")
            await page.until(UP_TO_DATE)
            assert await page.run("document.querySelector('.net').checkVisibility()")
            await page.run("location.reload()")
            await page.until(
                f"performance.getEntriesByType('navigation')[0].type == 'reload' && {UP_TO_DATE}"
            )
            assert not await page.run("document.querySelector('#lock').checkVisibility()")
            assert await page.run("document.cookie + localStorage.length + location.href") == f"0{url}/"
            assert all("401" in complaint for complaint in page.complaints)


@in_browser
async def test_names_that_look_like_markup_are_shown_as_they_are(browser: Browser, tmp_path: Path) -> None:
    receipt = Receipt("small", HOSTILE, HOSTILE, None, HOSTILE, 1, TokenCounts(10), 5, notes=(HOSTILE,))
    async with Ledger(tmp_path / "data" / "local-llm-agent") as ledger:
        ledger.record(Call("chat", {}, Project(HOSTILE), HOSTILE), receipt)
    async with running_server(tmp_path) as url, opened(browser, url) as page:
        assert await page.run("document.querySelectorAll('main img').length") == 0
        assert await page.run("document.querySelector('#by-project tbody th').textContent") == HOSTILE


@in_browser
async def test_when_the_server_goes_away_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with browser.tab() as page:
            async with running_server(tmp_path, seeded=True) as url:
                await page.look(width=1280)
                await page.open(url)
                await page.until(UP_TO_DATE)
            await page.until("document.querySelector('#trouble').checkVisibility()")
            assert await page.run("document.querySelector('.net').checkVisibility()"), "the old figures stay"
