"""Takes the screenshots of the dashboard for the manual.

    python -m tests.mcp_server.http.screenshots

Needs Chromium, and pngquant for small files.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import anyio

from tests.mcp_server.http.browser import Browser, browsing
from tests.mcp_server.seeded import seed
from tests.test_transports_agree import serving

DOCS = Path(__file__).parents[3] / "docs"
UP_TO_DATE = "document.querySelector('#status')?.textContent.includes('up to date')"
SIZES = {"wide": (1280, False), "narrow": (390, True)}
"""Width and dark mode of each screenshot."""


async def main() -> None:
    async with browsing() as browser:
        for kind in ("full", "empty"):
            with tempfile.TemporaryDirectory() as folder:
                if kind == "full":
                    await seed(Path(folder, "local-llm-agent"), time.time())
                async with serving({**os.environ, "XDG_DATA_HOME": folder}, Path(folder)) as url:
                    for name, (width, dark) in SIZES.items():
                        file = DOCS / f"dashboard-{kind}-{name}.png"
                        await take(browser, f"{url}/#since=30d", file, width, dark=dark)


async def take(browser: Browser, url: str, file: Path, width: int, *, dark: bool) -> None:
    async with browser.tab() as page:
        await page.look(width=width, dark=dark)
        await page.open(url)
        await page.until(UP_TO_DATE)
        await page.run("document.querySelector('#last details')?.setAttribute('open', '')")
        await page.run("document.querySelectorAll('#last li:nth-child(n + 9)').forEach(li => li.remove())")
        await page.screenshot(file)
    if shutil.which("pngquant"):
        await anyio.run_process(
            ["pngquant", "--force", "--skip-if-larger", "--strip", "--output", file, "64", file], check=False
        )


if __name__ == "__main__":
    anyio.run(main)
