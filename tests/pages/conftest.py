"""One browser for all tests of pages."""

from __future__ import annotations

import pytest

from tests.pages.browser import started_browser


@pytest.fixture(scope="package")
def browser():
    """Headless Chromium. Not for the whole session: Playwright's event loop would still run under tests elsewhere."""
    with started_browser() as browser:
        yield browser
