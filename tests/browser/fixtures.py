"""A browser that tests may ask for; where there is none they skip, saying why."""

from __future__ import annotations

import pytest

from tests.browser.chromium import NoChromiumError, need_chromium, switches


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, driven through its own protocol."""
    try:
        path = need_chromium()
    except NoChromiumError as error:
        pytest.skip(str(error))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=switches())
        yield browser
        browser.close()
