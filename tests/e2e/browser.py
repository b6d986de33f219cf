"""A person's browser: the Chromium of this machine, without a window, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opensearch_batch.pages.address import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import ConsoleMessage, Error, Frame, Page, ViewportSize

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The browser's own traffic is off: it would look for updates, and for what its maker has to tell.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""The folder for a person to look at them: so those in docs/images are made."""
WIDE: ViewportSize = {"width": 1500, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 780}


CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None,
    reason="no Chromium on this machine, and none is fetched for a test (Debian: apt-get install chromium)",
)


class Person:
    """Somebody at a browser. `troubles` are what the browser says is wrong with our pages: errors of scripts, and what
    the pages' own policy forbids. Airflow's pages have their own.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("pageerror", self._failed)
        page.on("console", self._said)

    def _failed(self, error: Error) -> None:
        if PREFIX in (error.stack or ""):
            self.troubles.append(str(error))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and PREFIX in message.location["url"]:
            self.troubles.append(message.text)

    def log_in(self, url: str, name: str, password: str) -> None:
        self.page.goto(url)
        self.page.locator("input[name=username]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()
        self.page.wait_for_url(lambda at: "/login" not in at)

    def keep(self, name: str, whole: bool = False) -> None:
        """A screenshot of the window, or of the `whole` page, where a folder for them is named."""
        if SCREENSHOTS:
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=whole)


def too_wide(page: Page | Frame) -> int:
    """By how many pixels the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def is_dark(page: Page | Frame) -> bool:
    """Whether the text is light: the browser gives the page the ground that goes with it."""
    colour: str = page.evaluate("getComputedStyle(document.body).color")
    return min(int(part) for part in colour.strip("rgb()").split(",")) > 128


@contextmanager
def browsing(**context: Any) -> Iterator[Person]:
    """`context` is what Playwright takes for a new one, as `color_scheme="dark"`."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        yield Person(browser.new_context(viewport=WIDE, **context).new_page())
