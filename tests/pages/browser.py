"""A page in a real browser: the system's Chromium, headless, complaining of any error and any use of the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 800), (390, 844)
"""Sizes of a window, CSS pixels."""

_OWN = ("file:", "data:", "blob:", "about:", "chrome-error:")
"""Schemes of what needs no network."""


@contextmanager
def started_browser() -> Iterator:
    """Start Chromium, and stop it and Playwright's event loop afterwards. Skips the test where either is absent."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine (looked for " + ", ".join(CHROMIUM_NAMES) + ")")
    # A container has little shared memory; root may not use the sandbox.
    arguments = ["--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser, file: Path, *, size: tuple[int, int] = DESKTOP, dark: bool = False, touch: bool = False, fragment: str = ""
) -> Iterator:
    """Open a file in a window of its own. On leaving, fail if it logged an error or asked for anything elsewhere."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=touch,
        offline=True,
    )
    context.set_default_timeout(10_000)
    wrong: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: wrong.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith(_OWN) else wrong.append(f"network: {asked.url}"))
    try:
        page.goto(file.absolute().as_uri() + (f"#{fragment}" if fragment else ""))
        yield page
    finally:
        context.close()
    assert not wrong, "; ".join(wrong)


def scrolls_sideways(page) -> bool:
    """Tell whether the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
