"""A headless Chromium that opens Kadr's page, and says what went wrong in it."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
"""Debian's package `chromium`; None where there is none, and the tests of the page are skipped."""

WHY_SKIPPED: Final = "there is no Chromium here: apt-get install chromium"

ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""It opens our own page only, often as root and in a container; it asks nobody for anything."""

WIDE: Final = (1280, 860)
PHONE: Final = (390, 844)

SERIOUS: Final = frozenset({"serious", "critical"})

EXPECTED: Final = ("Failed to load resource",)
"""What the console says of each answer that is an error: the page shows those itself."""


@dataclass
class Opened:
    """A page of Kadr in a browser.

    Attributes:
        page: to act on.
        wrongs: errors of scripts, and refusals by the content policy.
    """

    page: Page
    wrongs: list[str] = field(default_factory=list)

    async def faults(self) -> list[str]:
        """Return the serious faults that axe finds: its rule, and where."""
        found = await Axe().run(self.page)
        violations: list[dict[str, Any]] = found.response["violations"]
        return [
            f"{each['id']}: {', '.join(str(node['target']) for node in each['nodes'])}"
            for each in violations
            if each["impact"] in SERIOUS
        ]

    def listen(self) -> None:
        """Remember from now on what goes wrong."""
        self.page.on("pageerror", lambda error: self.wrongs.append(str(error)))
        self.page.on("console", lambda said: self._note(said.type, said.text))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith(EXPECTED):
            self.wrongs.append(text)


@asynccontextmanager
async def open_browser(environment: Mapping[str, str] | None = None) -> AsyncIterator[Browser]:
    """Yield a Chromium with a profile of its own, gone at the end; the environment adds to this process's."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS), env={**os.environ, **(environment or {})}
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = WIDE,
    language: str = "en-GB",
    is_dark: bool = False,
    is_calm: bool = True,
    downloads: Path | None = None,
) -> AsyncIterator[Opened]:
    """Yield Kadr's page, as somebody sees it who was never here; at the end nothing went wrong in it.

    Args:
        browser: as `open_browser` gives it.
        url: what to open.
        size: of the window, in CSS pixels.
        language: what the browser prefers.
        is_dark: whether the system is.
        is_calm: whether the system asks for less motion.
        downloads: a folder for what is downloaded, if anything is.
    """
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        timezone_id="UTC",
        color_scheme="dark" if is_dark else "light",
        reduced_motion="reduce" if is_calm else "no-preference",
        accept_downloads=downloads is not None,
    )
    context.set_default_timeout(20_000)
    try:
        opened = Opened(await context.new_page())
        opened.listen()
        await opened.page.goto(url)
        yield opened
        assert opened.wrongs == [], opened.wrongs
    finally:
        await context.close()
